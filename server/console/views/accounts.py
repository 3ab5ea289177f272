"""Accounts: the list, one from every side, its bills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask import session as browser
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from server import audit, clock
from server.accounts.models import ACCOUNT_STATUSES, Account
from server.billing.models import Bill
from server.console import charts, entry, paging, scope, words
from server.console.queries import accounts
from server.db import snapshot, transaction
from server.desk.account import overview
from server.desk.account.preferences import Preference, note
from server.errors import Invalid
from server.notify.rules.categories import REFUSABLE
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


def one(account_id: int, wrong: str | None = None) -> str:
    """Everything about one account on one page."""
    with snapshot() as session:
        it = overview.of_id(session, entry.actor(), account_id)
    shown = clock.to_ms(clock.now()) - browser.get(f"phones.{account_id}", 0) < SHOWN_FOR * 1000
    months = [(str(month.month), month.last, month.this) for month in it.months or ()]
    return render_template(
        "console/account.html",
        it=it,
        chart=charts.years(months),
        shown=shown,
        wrong=wrong,
        categories=REFUSABLE,
    )


def bills(account_id: int) -> str:
    """All bills of an account, newest first."""
    with snapshot() as session:
        seen = scope.of(session, "bills", "view")
        row = scope.found(accounts.named(session, seen, account_id), "account")
        statement = select(Bill).where(Bill.account_id == account_id)
        found = paging.page(session, statement, Bill.id)
    return render_template("console/account_bills.html", row=row, page=found)


def show_phones(account_id: int) -> AnyResponse:
    """Show the whole phone numbers for five minutes; that somebody looked is written down."""
    with transaction() as session:
        seen = scope.of(session, "accounts", "view")
        scope.found(accounts.one(session, seen, account_id), "account")
        audit.record(session, entry.actor(), "phone.shown", "account", account_id)
    browser[f"phones.{account_id}"] = clock.to_ms(clock.now())
    return redirect(url_for("console.accounts_one", account_id=account_id))


def prefer(account_id: int) -> AnyResponse | tuple[str, int]:
    """Note for a customer what he wants to be told and what not."""
    sent = request.form
    try:
        with transaction() as session:
            seen = scope.of(session, "messages", "send")
            said = Preference(
                contact_id=sent.get("contact", 0, type=int),
                category=sent.get("category", ""),
                wants=sent.get("wants") == "1",
                why=sent.get("why", ""),
            )
            new = note(session, entry.actor(), seen, account_id, said)
    except Invalid as error:
        return one(account_id, words.sentence(error)), error.status
    flash(_("It is noted.") if new else _("That was noted already."), "message")
    return redirect(url_for("console.accounts_one", account_id=account_id))


def _status() -> str | None:
    status = request.args.get("status")
    return status if status in ACCOUNT_STATUSES else None
