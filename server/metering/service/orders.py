"""Opening the read orders of a period for whole routes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from server import clock, feed
from server.accounts.models import Account, Installation, Register, ServicePoint
from server.db import Session, insert_rows, take_ids
from server.errors import Invalid
from server.metering.models import Reading, ReadOrder
from server.metering.rules.checks import plain
from server.metering.rules.expectation import PastUse, days_between, expect
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service.context import load_history_of_routes
from server.metering.service.record import DEFAULT_LIMITS
from server.rounds.models import RouteStop

_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def open_orders(
    session: Session,
    route_ids: Collection[int],
    period: str,
    due: date,
    reason: str = "01",
    limits: LimitBook = DEFAULT_LIMITS,
) -> int:
    """Open an order for every service point of the routes that has none; return how many.

    Inactive points are read too. Each order carries, for each register, the previous reading
    and what is expected until the due date. The number of statements does not grow with the
    points.

    Raises:
        Invalid: ``order.period`` for a period that is not ``YYYY-MM``.
    """
    if not _PERIOD.fullmatch(period):
        raise Invalid("order.period", f"A period is YYYY-MM, not {period!r}.")
    routes = sorted(set(route_ids))
    stops = _stops(session, routes, period, reason)
    if not stops:
        return 0
    previous = _previous(session, routes)
    oldest = min((p.read_at for points in previous.values() for p in points), default=clock.now())
    history = load_history_of_routes(session, routes, oldest)
    now = clock.now()
    ids = take_ids(session, {ReadOrder: len(stops)})[ReadOrder]
    rows: list[dict[str, Any]] = []
    for order_id, (point_id, route_id, account_class) in zip(ids, stops, strict=True):
        rules = limits.of(account_class)
        expectations = _expectations(point_id, previous.get(point_id, ()), history, due, rules)
        rows.append(
            {
                "id": order_id,
                "created_at": now,
                "service_point_id": point_id,
                "route_id": route_id,
                "period": period,
                "reason": reason,
                "due": due,
                "status": "open",
                "expectations": expectations,
            }
        )
    insert_rows(session, ReadOrder, rows)
    feed.touch_many(
        session, "read_order", ((f"route:{row['route_id']}", row["id"]) for row in rows)
    )
    for route_id in {row["route_id"] for row in rows}:
        feed.touch(session, f"route:{route_id}", "route", route_id)
    return len(rows)


def _stops(
    session: Session, routes: Collection[int], period: str, reason: str
) -> list[tuple[int, int, str]]:
    """(point, route, account class) of the stops that have no such order yet, in walking order."""
    ordered = select(ReadOrder.id).where(
        ReadOrder.service_point_id == ServicePoint.id,
        ReadOrder.period == period,
        ReadOrder.reason == reason,
        ReadOrder.status != "cancelled",
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


class _Previous:
    """The latest confirmed reading of a register that hangs at a point today."""

    __slots__ = ("kind", "read_at", "value")

    def __init__(self, kind: str, value: Decimal, read_at: datetime) -> None:
        self.kind, self.value, self.read_at = kind, value, read_at


def _previous(session: Session, routes: Collection[int]) -> dict[int, list[_Previous]]:
    """The latest confirmed readings of what hangs at the routes' points today."""
    earlier = aliased(Reading)
    latest = (
        select(func.max(earlier.read_at))
        .where(earlier.register_id == Register.id, earlier.status == "confirmed")
        .correlate(Register)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Installation.service_point_id, Register.kind, Reading.value, Reading.read_at)
        .select_from(Installation)
        .join(Register, Register.meter_id == Installation.meter_id)
        .join(
            RouteStop,
            and_(
                RouteStop.kind == "service_point",
                RouteStop.subject_id == Installation.service_point_id,
            ),
        )
        .join(
            Reading,
            and_(
                Reading.register_id == Register.id,
                Reading.status == "confirmed",
                Reading.read_at == latest,
            ),
        )
        .where(RouteStop.route_id.in_(routes), Installation.removed_at.is_(None))
    )
    found: dict[int, list[_Previous]] = defaultdict(list)
    for point_id, kind, value, read_at in rows:
        if value is not None:
            found[point_id].append(_Previous(kind, value, read_at))
    return found


def _expectations(
    point_id: int,
    previous: Iterable[_Previous],
    history: dict[tuple[int, str], list[PastUse]],
    due: date,
    limits: CheckLimits,
) -> dict[str, dict[str, str]]:
    """What an order says about each register: previous, expected, low, high, days."""
    noon = datetime.combine(due, time(12), ZoneInfo(limits.time_zone))
    found: dict[str, dict[str, str]] = {}
    for last in previous:
        found[last.kind] = {"previous": plain(last.value)}
        expectation = expect(
            history.get((point_id, last.kind), ()),
            last.read_at,
            noon,
            bands=limits.bands,
            slack=limits.slack,
        )
        if expectation is not None and noon > last.read_at:
            found[last.kind] |= {
                "expected": plain(expectation.expected),
                "low": plain(expectation.low),
                "high": plain(expectation.high),
                "days": plain(days_between(last.read_at, noon).quantize(Decimal("0.1"))),
            }
    return found
