"""Opening the read orders of a period for whole routes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import and_, select

from server import clock, feed
from server.accounts.models import Account, ServicePoint
from server.db import Session, insert_rows, take_ids
from server.errors import Invalid
from server.metering.models import ReadOrder
from server.metering.rules.expectation import PastUse, days_between, expect
from server.metering.rules.findings import plain
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service import context as known
from server.metering.service.record import DEFAULT_LIMITS
from server.metering.service.timeline import Mark
from server.operator import current
from server.rounds.models import RouteStop

_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_SLICE = 2000

WAITING = ("open", "held")

Stop = tuple[int, int, str]
"""(service point, route, account class)"""


def open_orders(
    session: Session,
    route_ids: Collection[int],
    period: str,
    due: date,
    reason: str = "01",
    limits: LimitBook = DEFAULT_LIMITS,
) -> int:
    """Open an order for every service point of the routes that has none; return how many.

    A point is read once in a period for reason 01; for another reason (a control, a final
    reading) only an order that still waits stands in the way. Inactive points are read too. Each order carries, for each register, the previous reading
    and what is expected until the due date. Two thousand points take a fixed number of
    statements.

    Raises:
        Invalid: ``order.period`` for a period that is not ``YYYY-MM``.
    """
    if not _PERIOD.fullmatch(period):
        raise Invalid("order.period", f"A period is YYYY-MM, not {period!r}.")
    stops = _stops(session, sorted(set(route_ids)), period, reason)
    for start in range(0, len(stops), _SLICE):
        _open(session, stops[start : start + _SLICE], period, due, reason, limits)
    for route_id in {route_id for _, route_id, _ in stops}:
        feed.touch(session, f"route:{route_id}", "route", route_id)
    return len(stops)


def _stops(session: Session, routes: Collection[int], period: str, reason: str) -> list[Stop]:
    """The stops that have no such order yet, in walking order."""
    ordered = select(ReadOrder.id).where(
        ReadOrder.service_point_id == ServicePoint.id,
        ReadOrder.period == period,
        ReadOrder.reason == reason,
        ReadOrder.status != "cancelled" if reason == "01" else ReadOrder.status.in_(WAITING),
    )
    rows = session.execute(
        select(ServicePoint.id, RouteStop.route_id, Account.account_class)
        .select_from(ServicePoint)
        .join(
            RouteStop,
            and_(RouteStop.kind == "service_point", RouteStop.subject_id == ServicePoint.id),
        )
        .join(Account, Account.id == ServicePoint.account_id)
        .where(RouteStop.route_id.in_(routes), ~ordered.exists())
        .order_by(RouteStop.route_id, RouteStop.sequence)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _open(
    session: Session,
    stops: Sequence[Stop],
    period: str,
    due: date,
    reason: str,
    limits: LimitBook,
) -> None:
    previous = _previous(session, {point_id for point_id, _, _ in stops})
    oldest = min((m.read_at for marks in previous.values() for m in marks.values()), default=None)
    history = known.load_history(session, previous, oldest) if oldest else {}
    now = clock.now()
    noon = datetime.combine(due, time(12), current(session).zone)
    ids = take_ids(session, {ReadOrder: len(stops)})[ReadOrder]
    rows = [
        {
            "id": order_id,
            "created_at": now,
            "service_point_id": point_id,
            "route_id": route_id,
            "period": period,
            "reason": reason,
            "due": due,
            "status": "open",
            "expectations": _expectations(
                point_id, previous.get(point_id, {}), history, noon, limits.of(account_class)
            ),
        }
        for order_id, (point_id, route_id, account_class) in zip(ids, stops, strict=True)
    ]
    insert_rows(session, ReadOrder, rows)
    documents = ((f"route:{row['route_id']}", row["id"]) for row in rows)
    feed.touch_many(session, "read_order", documents)


def _previous(session: Session, point_ids: Collection[int]) -> dict[int, dict[str, Mark]]:
    """The latest confirmed readings of what hangs at the points today, by point and register."""
    now = clock.now()
    hanging = {
        point_id: plant
        for point_id, plants in known.load_plant(session, point_ids).items()
        for plant in plants
        if plant.in_force(now)
    }
    registers = {i for plant in hanging.values() for i, _ in plant.registers.values()}
    soon = now + timedelta(days=1)  # the clock of a handheld may be ahead of ours
    lines = known.load_timelines(session, registers, soon)
    found: dict[int, dict[str, Mark]] = {}
    for point_id, plant in hanging.items():
        latest = {kind: lines[i].before(soon) for kind, (i, _) in plant.registers.items()}
        found[point_id] = {kind: mark for kind, mark in latest.items() if mark is not None}
    return found


def _expectations(
    point_id: int,
    previous: Mapping[str, Mark],
    history: Mapping[tuple[int, str], Sequence[PastUse]],
    noon: datetime,
    limits: CheckLimits,
) -> dict[str, dict[str, str]]:
    """What an order says about each register: previous, expected, low, high, days."""
    found: dict[str, dict[str, str]] = {}
    for kind, last in previous.items():
        found[kind] = {"previous": plain(last.value)}
        expectation = expect(
            history.get((point_id, kind), ()),
            last.read_at,
            noon,
            bands=limits.bands,
            slack=limits.slack,
        )
        if expectation is not None and noon > last.read_at:
            found[kind] |= {
                "expected": plain(expectation.expected),
                "low": plain(expectation.low),
                "high": plain(expectation.high),
                "days": plain(days_between(last.read_at, noon).quantize(Decimal("0.1"))),
            }
    return found
