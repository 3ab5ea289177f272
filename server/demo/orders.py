"""The demo's read orders: what is to be read now, with what the dials should show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server import clock, feed
from server.accounts.models import Installation, Register
from server.db import Session, insert_rows, take_ids
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.rules.expectation import PastUse, days_between, expect
from server.metering.rules.limits import CheckLimits
from server.rounds.models import Route, RouteStop

PERIODIC, CONTROL = "01", "10"
HISTORY = timedelta(days=430)


@dataclass(frozen=True)
class LastRead:
    """The newest confirmed reading of a dial that hangs at a point."""

    kind: str
    value: Decimal
    read_at: datetime


def open_orders(session: Session, reason: str, period: str, due: date) -> int:
    """Open an order for every stop of every route and tell the handhelds; how many there are."""
    stops = session.execute(
        select(RouteStop.route_id, RouteStop.subject_id)
        .where(RouteStop.kind == "service_point")
        .order_by(RouteStop.route_id, RouteStop.sequence)
    ).all()
    points = [point for _, point in stops]
    last, history, now = _last_reads(session, points), _history(session, points), clock.now()
    ids = take_ids(session, {ReadOrder: len(stops)})[ReadOrder]
    rows = [
        {
            "id": number,
            "created_at": now,
            "service_point_id": point,
            "route_id": route,
            "period": period,
            "reason": reason,
            "due": due,
            "status": "open",
            "expectations": _expectations(last[point], history[point], now),
        }
        for number, (route, point) in zip(ids, stops, strict=True)
    ]
    insert_rows(session, ReadOrder, rows)
    feed.touch_many(session, "read_order", ((f"route:{r['route_id']}", r["id"]) for r in rows))
    for route in session.execute(select(Route.id)).scalars():
        feed.touch(session, f"route:{route}", "route", route)
    return len(rows)


def open_next(session: Session, today: date) -> int:
    """When nothing is open any more: the orders of the month, or control reads if they are done.

    Returns how many orders were opened.
    """
    waiting = select(func.count()).where(ReadOrder.status == "open")
    if session.execute(waiting.select_from(ReadOrder)).scalar_one():
        return 0
    period = f"{today:%Y-%m}"
    read = session.execute(
        select(ReadOrder.id).where(ReadOrder.period == period, ReadOrder.reason == PERIODIC)
    ).first()
    return open_orders(session, CONTROL if read else PERIODIC, period, today)


def _expectations(
    dials: Sequence[LastRead], history: dict[str, list[PastUse]], now: datetime
) -> dict[str, dict[str, str]]:
    """For each dial what the use since its last reading should be."""
    limits = CheckLimits()
    found = {}
    for dial in dials:
        entry = {"previous": f"{dial.value.normalize():f}"}
        expectation = expect(
            history.get(dial.kind, []),
            dial.read_at,
            now,
            bands=limits.bands,
            slack=limits.slack,
        )
        if expectation is not None:
            entry |= {
                "expected": str(expectation.expected),
                "low": str(expectation.low),
                "high": str(expectation.high),
                "days": str(days_between(dial.read_at, now).quantize(Decimal("0.01"))),
            }
        found[dial.kind] = entry
    return found


def _last_reads(session: Session, points: Sequence[int]) -> dict[int, list[LastRead]]:
    """The newest confirmed reading of every dial in service at the points."""
    newest = (
        select(Reading.register_id, func.max(Reading.read_at).label("read_at"))
        .where(Reading.status == "confirmed", Reading.service_point_id.in_(points))
        .group_by(Reading.register_id)
        .subquery()
    )
    rows: Any = session.execute(
        select(Installation.service_point_id, Register.kind, Reading.value, Reading.read_at)
        .join(Register, Register.meter_id == Installation.meter_id)
        .join(newest, newest.c.register_id == Register.id)
        .join(
            Reading,
            (Reading.register_id == Register.id) & (Reading.read_at == newest.c.read_at),
        )
        .where(
            Installation.removed_at.is_(None),
            Installation.service_point_id.in_(points),
            Reading.status == "confirmed",
        )
    )
    found: dict[int, list[LastRead]] = defaultdict(list)
    for point, kind, value, read_at in rows:
        found[point].append(LastRead(kind, value, read_at))
    return found


def _history(session: Session, points: Sequence[int]) -> dict[int, dict[str, list[PastUse]]]:
    """What was used at the points in the last year and a bit, by register kind."""
    rows = session.execute(
        select(
            Consumption.service_point_id,
            Consumption.register_kind,
            Consumption.from_at,
            Consumption.to_at,
            Consumption.quantity,
        ).where(
            Consumption.service_point_id.in_(points),
            Consumption.status != "superseded",
            Consumption.to_at >= clock.now() - HISTORY,
        )
    )
    found: dict[int, dict[str, list[PastUse]]] = defaultdict(lambda: defaultdict(list))
    for point, kind, start, end, quantity in rows:
        found[point][kind].append(PastUse(start, end, quantity))
    return found
