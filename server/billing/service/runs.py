"""Bill runs: the readings of a period become bills, in chunks that are each one transaction.

A run is cut into chunks of accounts when it begins. Whoever works on it claims an open chunk, bills
its accounts and marks it done in the same transaction: a process that is killed leaves its chunk
open, several processes share a run, and no account is billed twice or left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, bindparam, func, select, update

from server import audit, clock
from server.accounts.models import ServicePoint
from server.billing.models import BillRun, BillRunChunk
from server.billing.rules.classes import BillingRules
from server.billing.service.bills import DEFAULT_RULES, IssuedBill, Order, bill_points
from server.billing.service.estimates import SPECIAL_REASON, MissingReading, estimate
from server.db import Session, among, insert_rows, many_ids, run
from server.errors import Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import ReadOrder
from server.operator import current
from server.rounds.models import Route, RouteStop

CHUNK = 1000
"""Accounts in a chunk: long enough to be fast, short enough not to hold others up."""

ALL = "all"
_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: accounts of how many, what was issued, and who waits for a reading."""

    run_id: int
    period: str
    scope: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    accounts: int
    done: int
    bills: int
    total: Decimal
    estimates: int
    waiting: int

    @property
    def share(self) -> float:
        """The part that is done, 0 to 1."""
        return self.done / self.accounts if self.accounts else 1.0


def begin(
    session: Session,
    actor: Actor,
    period: str,
    route_id: int | None = None,
    *,
    estimate_missing: bool = False,
    chunk: int = CHUNK,
) -> int:
    """Begin a run and return its id; the one that is under way for the same period and scope goes on.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        Invalid: ``bill_run.period``.
        NotFound: ``bill_run.route`` for an unknown route.
    """
    actor.require("bills", "issue")
    if not _PERIOD.fullmatch(period):
        raise Invalid("bill_run.period", f"A period is YYYY-MM, not {period!r}.")
    if route_id is not None and session.get(Route, route_id) is None:
        raise NotFound("bill_run.route", f"There is no route {route_id}.")
    scope = ALL if route_id is None else f"route:{route_id}"
    row = {
        "created_at": clock.now(),
        "period": period,
        "scope": scope,
        "estimate": estimate_missing,
        "status": "running",
        "started_by_id": actor.staff_id,
    }
    insert_rows(session, BillRun, [row], on_conflict=())
    run_id = session.scalars(
        select(BillRun.id)
        .where(BillRun.period == period, BillRun.scope == scope, BillRun.status == "running")
        .with_for_update()
    ).one()
    if session.scalar(select(func.count()).where(BillRunChunk.run_id == run_id)) == 0:
        _cut(session, run_id, route_id, chunk)
        told = {"period": period, "scope": scope, "estimate": estimate_missing}
        audit.record(session, actor, "bill_run.begin", "bill_run", run_id, after=told)
    return run_id


def _cut(session: Session, run_id: int, route_id: int | None, size: int) -> None:
    """Cut the accounts of the scope into chunks."""
    accounts = (
        select(ServicePoint.account_id)
        .join(RouteStop, _STOPS)
        .join(Route, Route.id == RouteStop.route_id)
        .where(_scope(route_id))
        .distinct()
        .subquery()
    )
    place = func.row_number().over(order_by=accounts.c.account_id) - 1
    numbered = select(accounts.c.account_id, (place // size).label("number")).subquery()
    account = numbered.c.account_id
    rows = session.execute(
        select(numbered.c.number, func.min(account), func.max(account), func.count())
        .group_by(numbered.c.number)
        .order_by(numbered.c.number)
    )
    chunks = [
        {
            "created_at": clock.now(),
            "run_id": run_id,
            "number": int(number),
            "first_account_id": first,
            "last_account_id": last,
            "accounts": count,
            "bills": 0,
            "total": Decimal(0),
            "estimates": 0,
            "waiting": 0,
        }
        for number, first, last, count in rows
    ]
    insert_rows(session, BillRunChunk, chunks)


_STOPS = and_(RouteStop.kind == "service_point", RouteStop.subject_id == ServicePoint.id)


def _scope(route_id: int | None) -> Any:
    """A route is billed whatever it is when it is named; all means those not billed on reading."""
    return Route.read_and_bill.is_(False) if route_id is None else Route.id == route_id


# --- working on a run -----------------------------------------------------------------------

_CLAIM = (
    select(
        BillRunChunk.id,
        BillRunChunk.first_account_id,
        BillRunChunk.last_account_id,
    )
    .where(BillRunChunk.run_id == bindparam("run_id"), BillRunChunk.done_at.is_(None))
    .order_by(BillRunChunk.number)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_POINTS = (
    select(ServicePoint.id, ServicePoint.account_id)
    .join(RouteStop, _STOPS)
    .join(Route, Route.id == RouteStop.route_id)
    .where(ServicePoint.account_id.between(bindparam("first"), bindparam("last")))
)
_POINTS_OF_ALL = _POINTS.where(_scope(None))
_POINTS_OF_ROUTE = _POINTS.where(Route.id == bindparam("route_id"))
_ORDERS = select(
    ReadOrder.id,
    ReadOrder.service_point_id,
    ReadOrder.due,
    ReadOrder.status,
    ReadOrder.reason,
    ReadOrder.route_id,
    ReadOrder.expectations,
).where(
    among(ReadOrder.service_point_id, many_ids("points")),
    ReadOrder.period == bindparam("period"),
    ReadOrder.reason.in_(("01", SPECIAL_REASON)),
    ReadOrder.status != "cancelled",
)


After = Callable[[Session, Sequence[IssuedBill]], object]
"""What follows in the same transaction: credit of the accounts settles their new bills."""


def _nothing(_session: Session, _issued: Sequence[IssuedBill]) -> None:
    """Nothing follows."""


def step(
    session: Session, run_id: int, rules: BillingRules = DEFAULT_RULES, after: After = _nothing
) -> bool:
    """Bill one chunk of a run; False when none is left, and then the run is done.

    Raises:
        NotFound: ``bill_run.unknown``.
    """
    found = session.get(BillRun, run_id)
    if found is None:
        raise NotFound("bill_run.unknown", f"There is no bill run {run_id}.")
    chunks = run(session, _CLAIM, {"run_id": run_id}) if found.status == "running" else []
    if not chunks:
        _finish(session, run_id)
        return False
    chunk_id, first, last = chunks[0]
    counted = _bill(session, found, first, last, rules, after)
    session.execute(
        update(BillRunChunk)
        .where(BillRunChunk.id == chunk_id)
        .values(done_at=clock.now(), **counted)
    )
    return True


def _bill(
    session: Session,
    found: BillRun,
    first: int,
    last: int,
    rules: BillingRules,
    after: After,
) -> dict[str, Any]:
    """Bill the accounts of a chunk that have all their readings."""
    owners = _points(session, found.scope, first, last)
    missing, waiting = _missing(session, found.period, owners)
    estimates = 0
    if found.estimate:
        today = clock.now().astimezone(current(session).zone).date()
        due = [each for each in missing if each.due <= today]
        done = set(estimate(session, due).points)
        missing = [each for each in missing if each.point_id not in done]
        estimates = len(done)
    late = {owners[each.point_id] for each in missing} | {owners[point] for point in waiting}
    ready = [point for point, account in owners.items() if account not in late]
    bills = bill_points(session, ready, rules, Order(period=found.period, run_id=found.id))
    after(session, bills)
    return {
        "bills": len(bills),
        "total": sum((bill.total for bill in bills), Decimal(0)),
        "estimates": estimates,
        "waiting": len(late),
    }


def _points(session: Session, scope: str, first: int, last: int) -> dict[int, int]:
    """The points of the scope by id, with their accounts."""
    wanted = {"first": first, "last": last}
    if scope == ALL:
        return dict(run(session, _POINTS_OF_ALL, wanted))
    route_id = int(scope.removeprefix("route:"))
    return dict(run(session, _POINTS_OF_ROUTE, {**wanted, "route_id": route_id}))


def _missing(
    session: Session, period: str, owners: dict[int, int]
) -> tuple[list[MissingReading], set[int]]:
    """The orders nobody has fulfilled, and the points whose reading is held or specially ordered."""
    orders: dict[int, list[Any]] = defaultdict(list)
    for row in run(session, _ORDERS, {"points": sorted(owners), "period": period}):
        orders[row[1]].append(row)
    missing, waiting = [], set()
    for point, rows in orders.items():
        special = [row for row in rows if row[4] == SPECIAL_REASON]
        if any(row[3] == "done" for row in special):
            continue
        if any(row[3] == "held" for row in rows) or any(row[3] == "open" for row in special):
            waiting.add(point)
            continue
        missing += [
            MissingReading(row[0], point, row[2], period, row[5], row[6])
            for row in rows
            if row[3] in ("open", "skipped")
        ]
    return missing, waiting


def _finish(session: Session, run_id: int) -> None:
    """Mark a run done when no chunk of it is open, not even in other hands."""
    left = select(BillRunChunk.id).where(
        BillRunChunk.run_id == run_id, BillRunChunk.done_at.is_(None)
    )
    session.execute(
        update(BillRun)
        .where(BillRun.id == run_id, BillRun.status == "running", ~left.exists())
        .values(status="done", finished_at=clock.now())
    )


def stop(session: Session, actor: Actor, run_id: int) -> None:
    """Stop a run: what is billed stays, the rest waits for another run.

    Raises:
        NotFound: ``bill_run.unknown``.
    """
    actor.require("bills", "issue")
    found = session.get(BillRun, run_id, with_for_update=True)
    if found is None:
        raise NotFound("bill_run.unknown", f"There is no bill run {run_id}.")
    if found.status == "running":
        found.status, found.finished_at = "stopped", clock.now()
        audit.record(session, actor, "bill_run.stop", "bill_run", run_id)


def under_way(session: Session) -> list[int]:
    """The runs that somebody has begun and nobody has finished, the oldest first."""
    return list(
        session.scalars(select(BillRun.id).where(BillRun.status == "running").order_by(BillRun.id))
    )


def progress(session: Session, run_ids: Sequence[int]) -> list[Progress]:
    """How far runs are, the newest first."""
    done = BillRunChunk.done_at.is_not(None)
    zero = Decimal(0)
    rows = session.execute(
        select(
            BillRun,
            func.coalesce(func.sum(BillRunChunk.accounts), 0),
            func.coalesce(func.sum(BillRunChunk.accounts).filter(done), 0),
            func.coalesce(func.sum(BillRunChunk.bills), 0),
            func.sum(BillRunChunk.total),
            func.coalesce(func.sum(BillRunChunk.estimates), 0),
            func.coalesce(func.sum(BillRunChunk.waiting), 0),
        )
        .outerjoin(BillRunChunk, BillRunChunk.run_id == BillRun.id)
        .where(among(BillRun.id, run_ids))
        .group_by(BillRun.id)
        .order_by(BillRun.id.desc())
    )
    return [
        Progress(
            found.id,
            found.period,
            found.scope,
            found.status,
            found.created_at,
            found.finished_at,
            int(accounts),
            int(finished),
            int(bills),
            total or zero,
            int(estimates),
            int(waiting),
        )
        for found, accounts, finished, bills, total, estimates, waiting in rows
    ]
