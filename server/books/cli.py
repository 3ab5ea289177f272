"""Commands about the books: bill runs, corrections, an account's turns, periods, export, proof."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from sqlalchemy import select

from server import clock
from server.accounts.models import Account, Customer
from server.billing.cli import quote_command
from server.billing.models import Bill
from server.billing.queries import bills_by_status, ledger_totals
from server.billing.service import Difference, export, periods, runs
from server.books import accounts as turns
from server.books.proof import differences
from server.books.setting import billing_rules, correction_limit
from server.db import Session, snapshot, transaction
from server.dues import service as dues
from server.errors import Invalid, NotFound
from server.identity.actor import SYSTEM
from server.operator import current
from server.rounds.models import Route
from server.terminal import command, settings


@command("reconcile")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of sentences.")
def reconcile_command(as_json: bool) -> None:
    """Compute every balance, bill and year of use again and say where the books differ.

    The exit code is 1 when anything differs.
    """
    found = 0
    listed: list[dict[str, str | None]] = []
    with snapshot() as session:
        for difference in differences(session):
            found += 1
            if as_json:
                listed.append(_fields(difference))
            else:
                _say(difference)
        totals = ledger_totals(session, current(session).currency)
        bills = sum(bills_by_status(session).values())
    if as_json:
        told = {"bills": bills, "ledger_lines": totals.lines, "differences": listed}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        word = f"{found} differences" if found else "the books agree"
        click.echo(f"{bills} bills, {totals.lines} ledger lines: {word}.")
    if found:
        raise SystemExit(1)


def _say(difference: Difference) -> None:
    click.echo(
        f"{difference.what}: {difference.subject} says {_text(difference.stored)},"
        f" its rows say {_text(difference.computed)}"
    )


def _text(value: Decimal | int | None) -> str:
    return "nothing" if value is None else f"{value}"


def _fields(difference: Difference) -> dict[str, str | None]:
    return {
        "what": difference.what,
        "subject": difference.subject,
        "stored": None if difference.stored is None else str(difference.stored),
        "computed": None if difference.computed is None else str(difference.computed),
    }


# --- billing ----------------------------------------------------------------------------------


@command("run")
@click.option("--period", required=True, help="YYYY-MM.")
@click.option("--route", "book_no", help="One route by its book number; without it, all routes.")
@click.option("--estimate", is_flag=True, help="Estimate readings whose order is due.")
@click.option("--chunk", default=runs.CHUNK, help="Accounts billed in one transaction.")
@click.option("--quiet", is_flag=True, help="Say only what came of it.")
def run_command(period: str, book_no: str | None, estimate: bool, chunk: int, quiet: bool) -> None:
    """Bill a period's readings; started again, or twice, it goes on with the same run.

    Bills are issued for accounts that have all their readings; the others wait for another run.
    """
    rules = billing_rules(settings())
    with transaction() as session:
        route_id = None if book_no is None else _route(session, book_no)
        run_id = runs.begin(
            session, SYSTEM, period, route_id, estimate_missing=estimate, chunk=max(chunk, 1)
        )
    begun, before = time.monotonic(), _progress(run_id).done
    while _step(run_id, rules):
        if not quiet:
            _show(run_id, before, time.monotonic() - begun)
    done = _progress(run_id)
    click.echo(
        f"Run {run_id} of {period} is {done.status}: {done.done:,} of {done.accounts:,} accounts,"
        f" {done.bills:,} bills over {done.total:,.2f}, {done.estimates:,} estimates,"
        f" {done.waiting:,} accounts wait for a reading."
    )


def _step(run_id: int, rules: Any) -> bool:
    with transaction() as session:
        return runs.step(session, run_id, rules, dues.use_credit)


def _progress(run_id: int) -> runs.Progress:
    with snapshot() as session:
        return runs.progress(session, [run_id])[0]


def _show(run_id: int, before: int, seconds: float) -> None:
    now = _progress(run_id)
    pace = (now.done - before) / seconds if seconds > 0 else 0
    left = f"{(now.accounts - now.done) / pace:.0f} s left" if pace else ""
    share = f"{now.share:.0%}"
    click.echo(f"{share:>4} {now.done:,} of {now.accounts:,} accounts {left}", err=True)


def _route(session: Session, book_no: str) -> int:
    route_id = session.scalar(select(Route.id).where(Route.book_no == book_no))
    if route_id is None:
        raise NotFound("bill_run.route", f"There is no route {book_no}.")
    return route_id


_REASON = click.option("--reason", required=True, help="Why; the audit trail keeps it.")


@command("cancel")
@click.argument("bill_no")
@_REASON
@click.option("--again", is_flag=True, help="Bill again what it charged for.")
def cancel_command(bill_no: str, reason: str, again: bool) -> None:
    """Cancel the bill BILL_NO, and those that filled tiers of the same year after it."""
    limit = correction_limit(settings())
    with transaction() as session:
        done = dues.cancel_bill(
            session,
            SYSTEM,
            _bill(session, bill_no),
            reason,
            again=again,
            limit=limit,
            rules=billing_rules(settings()),
        )
    if done.waits:
        click.echo("It is above the limit: a second person decides in the review queue.")
        return
    click.echo(f"{len(done.cancelled)} bills cancelled.")
    for bill in done.issued:
        click.echo(f"Issued {bill.bill_no} over {bill.total}.")


@command("credit")
@click.argument("bill_no")
@click.argument("amount")
@_REASON
def credit_command(bill_no: str, amount: str, reason: str) -> None:
    """Give AMOUNT of the bill BILL_NO back by a credit note."""
    limit = correction_limit(settings())
    with transaction() as session:
        bill_id = _bill(session, bill_no)
        done = dues.credit_bill(session, SYSTEM, bill_id, _amount(amount), reason, limit=limit)
    waits = "It is above the limit: a second person decides in the review queue."
    click.echo(waits if done.waits else f"{amount} given back.")


def _bill(session: Session, bill_no: str) -> int:
    bill_id = session.scalar(select(Bill.id).where(Bill.bill_no == bill_no))
    if bill_id is None:
        raise NotFound("bill.unknown", f"There is no bill {bill_no}.")
    return bill_id


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Invalid("bill.credit_amount", f"{text!r} is no amount.") from None


# --- accounts ---------------------------------------------------------------------------------

_READ = click.option(
    "--read",
    "dials",
    multiple=True,
    metavar="POINT:REGISTER=VALUE",
    help="What a dial shows, such as S0001:total=12345; once for each register.",
)
_AT = click.option("--at", type=click.DateTime(), help="When it was read (UTC); now without it.")
_SURE = click.option("--sure", is_flag=True, help="The dial was looked at twice.")


def _turn(dials: Sequence[str], reason: str, at: datetime | None, sure: bool) -> turns.Turn:
    read: dict[str, dict[str, Decimal]] = {}
    for text in dials:
        point_no, _, rest = text.rpartition(":")
        kind, _, value = rest.partition("=")
        if not point_no or not value:
            raise Invalid("account.dial", f"{text!r} is not POINT:REGISTER=VALUE.")
        read.setdefault(point_no, {})[kind] = _amount(value)
    when = clock.now() if at is None else at.replace(tzinfo=clock.now().tzinfo)
    return turns.Turn(when, reason, read, sure, billing_rules(settings()))


def _account(session: Session, account_no: str) -> int:
    account_id = session.scalar(select(Account.id).where(Account.account_no == account_no))
    if account_id is None:
        raise NotFound("account.unknown", f"There is no account {account_no}.")
    return account_id


def _tell(done: turns.Turned) -> None:
    for bill in done.bills:
        click.echo(f"Issued {bill.bill_no} over {bill.total}.")
    click.echo(f"The balance is {done.balance}.")


@command("close")
@click.argument("account_no")
@_READ
@_REASON
@_AT
@_SURE
@click.option("--balance-to", help="The account that takes the rest of the balance over.")
def close_account_command(
    account_no: str,
    dials: tuple[str, ...],
    reason: str,
    at: datetime | None,
    sure: bool,
    balance_to: str | None,
) -> None:
    """End the account ACCOUNT_NO with its final reading and bill."""
    with transaction() as session:
        to = None if balance_to is None else _account(session, balance_to)
        account_id = _account(session, account_no)
        turn = _turn(dials, reason, at, sure)
        done = turns.close_account(session, SYSTEM, account_id, turn, balance_to=to)
    _tell(done)


@command("hand-over")
@click.argument("account_no")
@click.argument("customer_no")
@click.argument("new_account_no")
@_READ
@_REASON
@_AT
@_SURE
@click.option("--with-balance", is_flag=True, help="The balance goes to the new account.")
def hand_over_command(
    account_no: str,
    customer_no: str,
    new_account_no: str,
    dials: tuple[str, ...],
    reason: str,
    at: datetime | None,
    sure: bool,
    with_balance: bool,
) -> None:
    """Give the points of ACCOUNT_NO to CUSTOMER_NO with the new account NEW_ACCOUNT_NO."""
    with transaction() as session:
        who = session.scalar(select(Customer.id).where(Customer.customer_no == customer_no))
        if who is None:
            raise NotFound("customer.unknown", f"There is no customer {customer_no}.")
        done = turns.hand_over(
            session,
            SYSTEM,
            _account(session, account_no),
            _turn(dials, reason, at, sure),
            customer_id=who,
            account_no=new_account_no,
            with_balance=with_balance,
        )
    _tell(done)


@command("suspend")
@click.argument("account_no")
@_READ
@_REASON
@_AT
@_SURE
def suspend_command(
    account_no: str, dials: tuple[str, ...], reason: str, at: datetime | None, sure: bool
) -> None:
    """Suspend the account ACCOUNT_NO."""
    with transaction() as session:
        account_id = _account(session, account_no)
        done = turns.suspend(session, SYSTEM, account_id, _turn(dials, reason, at, sure))
    _tell(done)


@command("resume")
@click.argument("account_no")
@_READ
@_REASON
@_AT
@_SURE
def resume_command(
    account_no: str, dials: tuple[str, ...], reason: str, at: datetime | None, sure: bool
) -> None:
    """Resume the suspended account ACCOUNT_NO."""
    with transaction() as session:
        account_id = _account(session, account_no)
        done = turns.resume(session, SYSTEM, account_id, _turn(dials, reason, at, sure))
    _tell(done)


@command("change-class")
@click.argument("account_no")
@click.argument("account_class")
@click.argument("tariff_code")
@_READ
@_REASON
@_AT
@_SURE
def change_class_command(
    account_no: str,
    account_class: str,
    tariff_code: str,
    dials: tuple[str, ...],
    reason: str,
    at: datetime | None,
    sure: bool,
) -> None:
    """Give ACCOUNT_NO another class and tariff; what was used is billed by the old ones."""
    with transaction() as session:
        done = turns.change_class(
            session,
            SYSTEM,
            _account(session, account_no),
            _turn(dials, reason, at, sure),
            account_class=account_class,
            tariff_code=tariff_code,
        )
    _tell(done)


# --- ledger -----------------------------------------------------------------------------------


@command("export")
@click.option("--period", required=True, help="YYYY-MM, the first.")
@click.option("--to", "last", help="YYYY-MM, the last; the same without it.")
@click.option("--lines", "by_line", is_flag=True, help="Every line instead of sums.")
def export_command(period: str, last: str | None, by_line: bool) -> None:
    """Write the ledger as CSV to the standard output, for an accounting system."""
    with snapshot() as session:
        if by_line:
            _csv(export.LINE_COLUMNS, export.lines(session, period, last or period))
        else:
            _csv(export.SUM_COLUMNS, export.sums(session, period, last or period))


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


@command("close")
@click.argument("period")
def close_command(period: str) -> None:
    """Close the accounting period PERIOD (YYYY-MM) when the books agree."""
    with transaction() as session:
        periods.close(session, SYSTEM, period, differences)
    click.echo(f"{period} is closed.")


@command("reopen")
@click.argument("period")
@_REASON
def reopen_command(period: str, reason: str) -> None:
    """Open the closed accounting period PERIOD again."""
    with transaction() as session:
        periods.reopen(session, SYSTEM, period, reason)
    click.echo(f"{period} is open.")


billing_group = click.Group(
    "billing",
    help="Bill runs and corrections of bills.",
    commands=[quote_command, run_command, cancel_command, credit_command],
)
account_group = click.Group(
    "account",
    help="The turns of an account.",
    commands=[
        close_account_command,
        hand_over_command,
        suspend_command,
        resume_command,
        change_class_command,
    ],
)
ledger_group = click.Group(
    "ledger",
    help="Accounting periods and the export of the ledger.",
    commands=[export_command, close_command, reopen_command],
)
