"""Bills, bill runs, an account's turns and the ledger over the JSON API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from flask import Response, current_app, stream_with_context
from flask_smorest import Blueprint
from sqlalchemy import select

from config.settings import Settings
from server import audit
from server.accounts.models import Account
from server.billing.models import AccountingPeriod, Bill
from server.billing.service import export, periods, runs
from server.billing.service.corrections import Corrected
from server.books import accounts as turns
from server.books import documents, schemas, turning
from server.books.proof import differences
from server.books.setting import billing_rules, correction_limit
from server.db import Session, snapshot, transaction
from server.dues import service as dues
from server.errors import NotFound
from server.identity.bearer import bearer_required, current_actor
from server.operator import current
from server.rounds.models import Route
from server.rounds.scope import scope_of

bills = Blueprint("bills", __name__, url_prefix="/api/v1", description="Bills and bill runs.")
ledger = Blueprint("ledger", __name__, url_prefix="/api/v1/ledger", description="The ledger.")

BLUEPRINTS = (bills, ledger)


def _settings() -> Settings:
    return cast("Settings", current_app.extensions["fieldbell"])


# --- bills ------------------------------------------------------------------------------------


@bills.route("/bills/<bill_no>", methods=["GET"])
@bearer_required
@bills.response(200, schemas.BillOut)
def get_bill(bill_no: str) -> dict[str, Any]:
    """A bill with every line explained."""
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "bills", "view")
        found = documents.of_number(session, seen, bill_no)
        return documents.plain(found, current(session).currency)


@bills.route("/accounts/<account_no>/bills", methods=["GET"])
@bearer_required
@bills.arguments(schemas.BillsQuery, location="query")
@bills.response(200, schemas.BillsOut)
def list_bills(query: dict[str, Any], account_no: str) -> dict[str, Any]:
    """The bills of an account, newest first."""
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "bills", "view")
        statement = documents.listed(seen).where(Account.account_no == account_no)
        if query["before"] is not None:
            before = select(Bill.id).where(Bill.bill_no == query["before"]).scalar_subquery()
            statement = statement.where(Bill.id < before)
        limit = query["limit"]
        rows = session.execute(statement.order_by(Bill.id.desc()).limit(limit + 1)).all()
    listed = [row[0] for row in rows[:limit]]
    more = len(rows) > limit
    return {"bills": listed, "next": listed[-1].bill_no if more else None}


@bills.route("/bills/<bill_no>/cancel", methods=["POST"])
@bearer_required
@bills.arguments(schemas.CancelIn)
@bills.response(200, schemas.CorrectedOut)
def cancel_bill(document: dict[str, Any], bill_no: str) -> dict[str, Any]:
    """Cancel a bill, and those that filled tiers of the same year after it."""
    with transaction() as session:
        done = dues.cancel_bill(
            session,
            current_actor(),
            _visible(session, bill_no, "cancel"),
            document["reason"],
            again=document["again"],
            limit=correction_limit(_settings()),
            rules=billing_rules(_settings()),
        )
        return _corrected(session, done)


@bills.route("/bills/<bill_no>/credit", methods=["POST"])
@bearer_required
@bills.arguments(schemas.CreditIn)
@bills.response(200, schemas.CorrectedOut)
def credit_bill(document: dict[str, Any], bill_no: str) -> dict[str, Any]:
    """Give a part of a bill back by a credit note."""
    with transaction() as session:
        done = dues.credit_bill(
            session,
            current_actor(),
            _visible(session, bill_no, "cancel"),
            document["amount"],
            document["reason"],
            limit=correction_limit(_settings()),
        )
        return _corrected(session, done)


def _visible(session: Session, bill_no: str, action: str) -> int:
    seen = scope_of(session, current_actor(), "bills", action)
    return documents.of_number(session, seen, bill_no).bill.id


def _corrected(session: Session, done: Corrected) -> dict[str, Any]:
    ids = {*done.cancelled, *done.notes}
    rows = session.execute(select(Bill.id, Bill.bill_no).where(Bill.id.in_(ids)))
    numbers = {bill_id: bill_no for bill_id, bill_no in rows}
    return {
        "waits": done.waits,
        "cancelled": [numbers[i] for i in done.cancelled],
        "notes": [numbers[i] for i in done.notes],
        "issued": [bill.bill_no for bill in done.issued],
    }


# --- runs -------------------------------------------------------------------------------------


@bills.route("/bill-runs", methods=["POST"])
@bearer_required
@bills.arguments(schemas.RunIn)
@bills.response(202, schemas.RunOut)
def begin_run(document: dict[str, Any]) -> runs.Progress:
    """Begin a bill run, or go on with the one that is under way; the worker bills."""
    with transaction() as session:
        route_id = _route(session, document["route"])
        run_id = runs.begin(
            session,
            current_actor(),
            document["period"],
            route_id,
            estimate_missing=document["estimate"],
        )
        return runs.progress(session, [run_id])[0]


@bills.route("/bill-runs/<int:run_id>", methods=["GET"])
@bearer_required
@bills.response(200, schemas.RunOut)
def get_run(run_id: int) -> runs.Progress:
    """How far a bill run is."""
    current_actor().require("bills", "view")
    with snapshot() as session:
        found = runs.progress(session, [run_id])
    if not found:
        raise NotFound("bill_run.unknown", f"There is no bill run {run_id}.")
    return found[0]


def _route(session: Session, book_no: str | None) -> int | None:
    if book_no is None:
        return None
    route_id = session.scalar(select(Route.id).where(Route.book_no == book_no))
    if route_id is None:
        raise NotFound("bill_run.route", f"There is no route {book_no}.")
    return route_id


# --- turns of an account ----------------------------------------------------------------------


@bills.route("/accounts/<account_no>/turns", methods=["POST"])
@bearer_required
@bills.arguments(schemas.TurnIn)
@bills.response(200, schemas.TurnedOut)
def turn_account(document: dict[str, Any], account_no: str) -> dict[str, Any]:
    """Close an account, hand it over, suspend or resume it, or give it another class."""
    dials: dict[str, dict[str, Any]] = {}
    for dial in document["dials"]:
        dials.setdefault(dial["point_no"], {})[dial["register"]] = dial["value"]
    with transaction() as session:
        seen = scope_of(session, current_actor(), "accounts", "edit")
        turn = turning.turn_of(document, dials, billing_rules(_settings()))
        account_id = turning.account_of(session, account_no, seen)
        done = turning.carry_out(session, current_actor(), account_id, turn, document, seen)
        return _turned(session, done)


def _turned(session: Session, done: turns.Turned) -> dict[str, Any]:
    new = None if done.new_account_id is None else session.get(Account, done.new_account_id)
    return {
        "bills": [bill.bill_no for bill in done.bills],
        "balance": done.balance,
        "new_account_no": None if new is None else new.account_no,
    }


# --- ledger -----------------------------------------------------------------------------------


@ledger.route("/export", methods=["GET"])
@bearer_required
@ledger.arguments(schemas.ExportQuery, location="query")
@ledger.response(200, content_type="text/csv")
def export_ledger(query: dict[str, Any]) -> Response:
    """The ledger as CSV: sums by period and account of the chart, or every line."""
    actor = current_actor()
    actor.require("ledger", "export")
    first, last = query["period"], query["to"] or query["period"]
    export.periods_between(first, last)
    with transaction() as session:
        audit.record(session, actor, "ledger.exported", "ledger", first, after={"to": last})
    make, columns = _export_of(lines=query["lines"])

    def rows() -> Iterator[Sequence[Any]]:
        with snapshot() as session:
            yield from make(session, first, last)

    return Response(stream_with_context(_csv(columns, rows())), mimetype="text/csv")


def _export_of(*, lines: bool) -> tuple[Any, Sequence[str]]:
    return (export.lines, export.LINE_COLUMNS) if lines else (export.sums, export.SUM_COLUMNS)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > 16_000:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


@ledger.route("/periods", methods=["GET"])
@bearer_required
@ledger.response(200, schemas.PeriodsOut)
def list_periods() -> dict[str, Any]:
    """The accounting periods that have a state."""
    current_actor().require("ledger", "view")
    with snapshot() as session:
        rows = session.scalars(select(AccountingPeriod).order_by(AccountingPeriod.period.desc()))
        return {"periods": list(rows)}


@ledger.route("/periods/<period>", methods=["PUT"])
@bearer_required
@ledger.arguments(schemas.PeriodIn)
@ledger.response(200, schemas.PeriodOut)
def put_period(document: dict[str, Any], period: str) -> dict[str, Any]:
    """Close a period when the books agree, or open a closed one again."""
    with transaction() as session:
        if document["status"] == "closed":
            periods.close(session, current_actor(), period, differences)
        else:
            periods.reopen(session, current_actor(), period, document["reason"])
        row = session.scalars(
            select(AccountingPeriod).where(AccountingPeriod.period == period)
        ).one()
        return {"period": row.period, "status": row.status, "closed_at": row.closed_at}
