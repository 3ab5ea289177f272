"""Accounts: the list, one from every side, its bills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response as AnyResponse

from server import audit, clock
from server.accounts.models import ACCOUNT_STATUSES, Account
from server.console import entry, paging, scope
from server.console.queries import accounts, messages, readings
from server.db import snapshot, transaction
from server.rounds.scope import Scope

SHOWN_FOR = 300


def page() -> str:
    """The list by account number."""
    status = _status()
    with snapshot() as session:
        seen = scope.of(session, "accounts", "view")
        statement = accounts.listed(seen, status)
        found = paging.page(session, statement, Account.account_no, descending=False)
        owing = accounts.owing(session, seen)
    return render_template(
        "console/accounts.html", page=found, status=status, statuses=ACCOUNT_STATUSES, owing=owing
    )


def export() -> Response:
    """The list as CSV."""
    status = _status()
    with snapshot() as session:
        seen = scope.of(session, "accounts", "view")
    columns = "account_no,customer,class,mode,status,tariff,balance"
    return paging.csv_answer("accounts", columns.split(","), lambda: _rows(seen, status))


def _rows(seen: Scope, status: str | None) -> Iterable[Sequence[Any]]:
    statement = accounts.listed(seen, status).order_by(Account.account_no)
    with snapshot() as session:
        for row in session.execute(statement.limit(paging.EXPORTED)):
            a = row.Account
            yield (
                a.account_no,
                row.customer,
                a.account_class,
                a.mode,
                a.status,
                a.tariff_code,
                row.balance,
            )


def one(account_id: int) -> str:
    """Everything about one account on one page."""
    with snapshot() as session:
        seen = scope.of(session, "accounts", "view")
        row = scope.found(accounts.one(session, seen, account_id), "account")
        around = accounts.around(session, row.Account)
        texts: list[Any] = []
        if scope.may("messages", "view"):
            reach = scope.of(session, "messages", "view")
            texts = messages.of_account(session, reach, account_id)
        trail = readings.trail(session, "account", account_id)
    shown = clock.to_ms(clock.now()) - browser.get(f"phones.{account_id}", 0) < SHOWN_FOR * 1000
    return render_template(
        "console/account.html", row=row, around=around, texts=texts, trail=trail, shown=shown
    )


def show_phones(account_id: int) -> AnyResponse:
    """Show the whole phone numbers for five minutes; that somebody looked is written down."""
    with transaction() as session:
        seen = scope.of(session, "accounts", "view")
        scope.found(accounts.one(session, seen, account_id), "account")
        audit.record(session, entry.actor(), "phone.shown", "account", account_id)
    browser[f"phones.{account_id}"] = clock.to_ms(clock.now())
    return redirect(url_for("console.accounts_one", account_id=account_id))


def bill(bill_id: int) -> str:
    """One bill with its frozen lines and the readings it charges."""
    with snapshot() as session:
        seen = scope.of(session, "bills", "view")
        row = scope.found(accounts.bill(session, seen, bill_id), "bill")
        lines = accounts.bill_lines(session, bill_id)
        charged = accounts.bill_readings(session, bill_id)
    return render_template("console/bill.html", row=row, lines=lines, charged=charged)


def _status() -> str | None:
    status = request.args.get("status")
    return status if status in ACCOUNT_STATUSES else None
