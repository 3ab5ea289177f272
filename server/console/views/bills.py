"""Bills: the list, one with its lines explained, corrections, bill runs, periods and the export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse

from server import clock
from server.audit import AuditEvent
from server.billing.models import BILL_KINDS, AccountingPeriod, Bill, BillRun, Journal
from server.billing.service import export, periods, runs
from server.billing.service.corrections import Corrected
from server.books import documents
from server.books.proof import differences
from server.books.setting import billing_rules, correction_limit
from server.console import entry, paging, scope, show, words
from server.db import Session, snapshot, transaction
from server.dues import service as dues
from server.errors import DomainError, Invalid
from server.rounds.models import Route

SHOWN_RUNS = 20
SHOWN_PERIODS = 24


def page() -> str:
    """The newest bills, by kind and period."""
    kind = request.args.get("kind")
    period = request.args.get("period", "").strip()[:7]
    with snapshot() as session:
        statement = documents.listed(scope.of(session, "bills", "view"))
        if kind in BILL_KINDS:
            statement = statement.where(Bill.kind == kind)
        if period:
            statement = statement.where(Bill.period == period)
        found = paging.page(session, statement, Bill.id)
    return render_template(
        "console/bills.html", page=found, kind=kind, kinds=BILL_KINDS, period=period
    )


def one(bill_id: int, wrong: str | None = None) -> str:
    """One bill with everything that explains it, and what can be done about it."""
    with snapshot() as session:
        seen = scope.of(session, "bills", "view")
        it = documents.of_id(session, seen, bill_id)
        trail = session.scalars(
            select(AuditEvent)
            .where(AuditEvent.subject_type == "bill", AuditEvent.subject_id == str(bill_id))
            .order_by(AuditEvent.id.desc())
            .limit(20)
        ).all()
    limit = correction_limit(entry.settings())
    return render_template("console/bill.html", it=it, trail=trail, limit=limit, wrong=wrong)


def printed(bill_id: int) -> str:
    """The bill for paper: A4, or a narrow receipt with ``?narrow=1``."""
    with snapshot() as session:
        it = documents.of_id(session, scope.of(session, "bills", "view"), bill_id)
    narrow = request.args.get("narrow") == "1"
    return render_template("console/bill_print.html", it=it, narrow=narrow)


def cancel(bill_id: int) -> AnyResponse | tuple[str, int]:
    """Cancel a bill, and bill again when that is wanted."""
    again = request.form.get("again") == "1"
    try:
        with transaction() as session:
            _visible(session, bill_id)
            done = dues.cancel_bill(
                session,
                entry.actor(),
                bill_id,
                request.form.get("reason", ""),
                again=again,
                limit=correction_limit(entry.settings()),
                rules=billing_rules(entry.settings()),
            )
    except DomainError as error:
        return one(bill_id, words.sentence(error)), error.status
    return _told(bill_id, done)


def credit(bill_id: int) -> AnyResponse | tuple[str, int]:
    """Give a part of a bill back."""
    try:
        with transaction() as session:
            _visible(session, bill_id)
            done = dues.credit_bill(
                session,
                entry.actor(),
                bill_id,
                _amount(request.form.get("amount", "")),
                request.form.get("reason", ""),
                limit=correction_limit(entry.settings()),
            )
    except DomainError as error:
        return one(bill_id, words.sentence(error)), error.status
    return _told(bill_id, done)


def _visible(session: Session, bill_id: int) -> None:
    documents.of_id(session, scope.of(session, "bills", "cancel"), bill_id)


def _told(bill_id: int, done: Corrected) -> AnyResponse:
    if done.waits:
        text = _("It is above the limit: a second person decides in the review queue.")
    elif done.issued:
        text = _("Cancelled and billed again: %(n)s new bills.", n=len(done.issued))
    elif done.cancelled:
        text = _(
            "Cancelled: %(n)s bills. What they charged for is unbilled.", n=len(done.cancelled)
        )
    else:
        text = _("Given back.")
    flash(text, "message")
    return redirect(url_for("console.accounts_bill", bill_id=bill_id))


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        raise Invalid("bill.credit_amount", "A credit is above zero, to the cent.") from None


# --- runs -------------------------------------------------------------------------------------


def all_runs(wrong: str | None = None) -> str:
    """Bill runs with their progress, and the form for a new one."""
    entry.actor().require("bills", "view")
    with snapshot() as session:
        newest = select(BillRun.id).order_by(BillRun.id.desc()).limit(SHOWN_RUNS)
        listed = runs.progress(session, session.scalars(newest).all())
        routes = session.execute(select(Route.id, Route.book_no, Route.name)).all()
    now = clock.now()
    return render_template(
        "console/bill_runs.html",
        runs=listed,
        left={run.run_id: _left(run) for run in listed if run.status == "running"},
        routes=sorted(routes, key=lambda route: route.book_no),
        names={f"route:{route.id}": route.book_no for route in routes},
        period=f"{now.astimezone(show.zone()):%Y-%m}",
        wrong=wrong,
    )


def _left(run: runs.Progress) -> int | None:
    """The seconds a run still takes at its pace so far."""
    spent = (clock.now() - run.started_at).total_seconds()
    return int(spent * (run.accounts - run.done) / run.done) if run.done else None


def begin_run() -> AnyResponse | tuple[str, int]:
    """Begin a bill run; the worker bills."""
    sent = request.form
    try:
        with transaction() as session:
            runs.begin(
                session,
                entry.actor(),
                sent.get("period", ""),
                sent.get("route", type=int),
                estimate_missing=sent.get("estimate") == "1",
            )
    except DomainError as error:
        return all_runs(words.sentence(error)), error.status
    flash(_("The run has begun: the worker bills, this page says how far it is."), "message")
    return redirect(url_for("console.bills_runs"))


def stop_run(run_id: int) -> AnyResponse:
    """Stop a run; what is billed stays."""
    with transaction() as session:
        runs.stop(session, entry.actor(), run_id)
    return redirect(url_for("console.bills_runs"))


# --- periods and export -----------------------------------------------------------------------


def all_periods(wrong: str | None = None) -> str:
    """Accounting periods since the first posting, newest first, with what was posted."""
    entry.actor().require("ledger", "view")
    with snapshot() as session:
        first = session.scalar(select(func.min(Journal.posted_at)))
        states = {
            row.period: row
            for row in session.scalars(
                select(AccountingPeriod).order_by(AccountingPeriod.period.desc())
            )
        }
    now = clock.now()
    last = periods.period_of(now, show.zone())
    begin = last if first is None else periods.period_of(first, show.zone())
    oldest = max(begin, periods.period_of(now - timedelta(days=30 * SHOWN_PERIODS), show.zone()))
    listed = export.periods_between(min(oldest, last), last)[::-1]
    return render_template(
        "console/periods.html",
        periods=listed,
        states=states,
        running=periods.period_of(now - periods.GRACE, show.zone()),
        wrong=wrong,
    )


def change_period(period: str) -> AnyResponse | tuple[str, int]:
    """Close a period, or open it again."""
    try:
        with transaction() as session:
            if request.form.get("status") == "closed":
                periods.close(session, entry.actor(), period, differences)
                text = _("%(period)s is closed: nothing is posted into it.", period=period)
            else:
                periods.reopen(session, entry.actor(), period, request.form.get("reason", ""))
                text = _("%(period)s is open again.", period=period)
    except DomainError as error:
        return all_periods(words.sentence(error)), error.status
    flash(text, "message")
    return redirect(url_for("console.bills_periods"))


def exported() -> Response:
    """The ledger as CSV: sums, or every line with ``?lines=1``."""
    entry.actor().require("ledger", "export")
    first = request.args.get("period", "")
    last = request.args.get("to") or first
    export.periods_between(first, last)
    by_line = request.args.get("lines") == "1"
    make: Any = export.lines if by_line else export.sums
    columns = export.LINE_COLUMNS if by_line else export.SUM_COLUMNS

    def rows() -> Iterator[Sequence[Any]]:
        with snapshot() as session:
            yield from make(session, first, last)

    return paging.csv_answer("ledger", columns, rows)
