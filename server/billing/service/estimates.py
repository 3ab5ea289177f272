"""Estimates for readings that did not come: marked as such, and not too many in a row.

Only the system estimates here, by what the read order expected. After as many estimates as the
class allows, a special read order is opened instead, and the account waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from server import clock, feed
from server.billing.rules.estimate import estimated_value
from server.db import Session, insert_rows, take_ids
from server.metering.models import ReadOrder
from server.metering.rules.expectation import days_between, expect
from server.metering.rules.limits import LimitBook
from server.metering.service import DialEntry, NewReading, record
from server.metering.service import context as known
from server.metering.service.captures import BILLING_REASONS
from server.operator import current

SPECIAL_REASON = BILLING_REASONS[1]
SPECIAL_DAYS = 7
"""Days a rep has for a special read order."""

LIMITS = LimitBook()


@dataclass(frozen=True, slots=True)
class MissingReading:
    """A read order of the period that nobody has fulfilled, and when it should have been."""

    order_id: int
    point_id: int
    due: date
    period: str
    route_id: int | None
    expectations: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class Estimated:
    """The points that were estimated, and those whose next reading must be a real one."""

    points: list[int] = field(default_factory=list)
    special: list[int] = field(default_factory=list)


def estimate(session: Session, missing: Sequence[MissingReading]) -> Estimated:
    """Estimate missing readings as a set; what cannot be estimated gets a special read order."""
    done = Estimated()
    if not missing:
        return done
    world = _Known(session, missing)
    found = [(each, world.reading(each)) for each in missing]
    for judged in record(session, [made for _, made in found if made is not None], LIMITS):
        if judged.verdict == "applied" and judged.service_point_id is not None:
            done.points.append(judged.service_point_id)
    unread = [each for each, made in found if made is None]
    _order_reading(session, unread)
    done.special = [each.point_id for each in unread]
    return done


class _Known:
    """What has to be known to estimate a set of points, read once."""

    def __init__(self, session: Session, missing: Sequence[MissingReading]) -> None:
        points = {each.point_id for each in missing}
        self.zone = current(session).zone
        self.now = clock.now()
        self.points = known.load_points(session, points)
        self.plant = known.load_plant(session, points)
        registers = {
            register_id
            for plants in self.plant.values()
            for plant in plants
            for register_id, _ in plant.registers.values()
        }
        self.lines = known.load_timelines(session, registers, self.now)
        self.in_row = known.load_estimates(session, registers)
        self.history = known.load_history(session, points, self.now)

    def reading(self, missing: MissingReading) -> NewReading | None:
        """The estimate for an order; None when it has to be read."""
        noon = datetime.combine(missing.due, time(12), self.zone)
        at = min(noon, self.now)
        plants = self.plant.get(missing.point_id, ())
        plant = next((plant for plant in plants if plant.in_force(at)), None)
        point = self.points.get(missing.point_id)
        if plant is None or point is None:
            return None
        most = LIMITS.of(point.account_class).max_estimates_in_row
        if any(self.in_row.get(i, 0) >= most for i, _ in plant.registers.values()):
            return None
        values = {kind: self._value(missing, plant, kind, at) for kind in plant.registers}
        entries = tuple(DialEntry(k, v) for k, v in values.items() if v is not None)
        if not entries or len(entries) < len(values):
            return None
        return NewReading(
            service_point_id=missing.point_id,
            meter_serial=plant.serial,
            registers=entries,
            read_at=at,
            source="system",
            order_id=missing.order_id,
            quality="system_estimate",
        )

    def _value(
        self, missing: MissingReading, plant: known.Plant, kind: str, at: datetime
    ) -> Decimal | None:
        register_id, dial = plant.registers[kind]
        before = self.lines[register_id].before(at)
        if before is None:
            return None
        days = days_between(before.read_at, at)
        told = missing.expectations.get(kind, {})
        if "expected" in told and Decimal(told.get("days", "0")) > 0:
            expected = Decimal(told["expected"]) * days / Decimal(told["days"])
        else:
            past = expect(self.history.get((missing.point_id, kind), ()), before.read_at, at)
            if past is None:
                return None
            expected = past.expected
        return estimated_value(before.value, expected, plant.multiplier, dial.unit, dial.modulus)


def _order_reading(session: Session, missing: Sequence[MissingReading]) -> None:
    """Open special read orders; the expectations are those of the order that was missed."""
    today = clock.now().astimezone(current(session).zone).date()
    ids = take_ids(session, {ReadOrder: len(missing)}).get(ReadOrder, [])
    rows: list[dict[str, Any]] = [
        {
            "id": order_id,
            "created_at": clock.now(),
            "service_point_id": each.point_id,
            "route_id": each.route_id,
            "period": each.period,
            "reason": SPECIAL_REASON,
            "due": today + timedelta(days=SPECIAL_DAYS),
            "status": "open",
            "expectations": each.expectations,
        }
        for order_id, each in zip(ids, missing, strict=True)
    ]
    insert_rows(session, ReadOrder, rows)
    documents = ((f"route:{row['route_id']}", row["id"]) for row in rows if row["route_id"])
    feed.touch_many(session, "read_order", documents)
