"""The rows a batch of captures becomes, collected in memory and written with few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import update

from server import feed, review
from server.db import Session, insert_rows, update_rows
from server.errors import Conflict
from server.identity.actor import SYSTEM
from server.identity.queries import teams_of
from server.metering.models import Consumption, Reading, ReadingCheck, ReadOrder
from server.metering.rules.consumption import Dial, Use, rolled_over, true_up
from server.metering.rules.findings import Finding, Judgement
from server.metering.service.captures import NewReading
from server.metering.service.context import Order, Plant, Point, Target
from server.metering.service.timeline import Mark, Timeline

_BIGGEST_VALUE = Decimal(10) ** 12
_SMALLEST_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one capture."""

    reading_ids: tuple[int, ...]
    order_id: int | None
    point: Point | None
    plant: Plant | None


@dataclass(frozen=True, slots=True)
class _Pending:
    """A use to be found once every reading of the batch has its place."""

    register_id: int
    dial: Dial
    plant: Plant
    mark: Mark
    use: Use | None


def use_between(before: Mark, after: Mark, dial: Dial, multiplier: Decimal) -> Use:
    """The use between two confirmed readings, whatever it takes: they have been judged before."""
    if after.value < before.value and not before.actual:
        return true_up(before.value, after.value, multiplier)
    return rolled_over(before.value, after.value, dial, multiplier)


class Batch:
    """Collects the rows of one :func:`record` or of one decision and writes them."""

    def __init__(
        self,
        now: datetime,
        reading_ids: Sequence[int],
        consumption_ids: Sequence[int],
        points: Mapping[int, Point],
    ) -> None:
        self.now = now
        self.points = points
        self._reading_ids = iter(reading_ids)
        self._consumption_ids = iter(consumption_ids)
        self._readings: list[dict[str, Any]] = []
        self._checks: list[dict[str, Any]] = []
        self._consumptions: list[dict[str, Any]] = []
        self._pending: dict[int, _Pending] = {}
        self._superseded_uses: set[int] = set()
        self._taken_back: list[Target] = []
        self._orders: dict[int, Order] = {}
        self._items: list[review.NewItem] = []

    def store(
        self,
        reading: NewReading,
        *,
        status: str,
        plant: Plant | None,
        order_id: int | None,
        point: Point | None,
        judgement: Judgement,
        supersedes: Mapping[str, int],
    ) -> Stored:
        """Add the reading rows of a capture and what its checks found."""
        ids = {entry.kind: next(self._reading_ids) for entry in reading.registers}
        hold, place = judgement.hold, reading.place
        for entry in reading.registers:
            register = plant.registers.get(entry.kind) if plant else None
            verified = entry.second_entry is not None and entry.second_entry == entry.value
            self._readings.append(
                {
                    "id": ids[entry.kind],
                    "created_at": self.now,
                    "order_id": order_id,
                    "service_point_id": point.id if point else None,
                    "installation_id": plant.installation_id if plant else None,
                    "register_id": register[0] if register else None,
                    "register_kind": entry.kind[:16],
                    "meter_serial": reading.meter_serial[:40],
                    "value": _storable(entry.value),
                    "read_at": reading.read_at,
                    "quality": "verified"
                    if verified and reading.quality == "regular"
                    else reading.quality,
                    "reason": reading.reason[:2],
                    "source": reading.source,
                    "status": status,
                    "code": hold.code if hold else None,
                    "capture_uuid": reading.capture_uuid,
                    "staff_id": reading.staff_id,
                    "trouble": reading.trouble[:24] if reading.trouble else None,
                    "note": reading.note[:500] if reading.note else None,
                    "lat_e7": place.lat_e7 if place else None,
                    "lon_e7": place.lon_e7 if place else None,
                    "accuracy_m": _whole(place.accuracy_m) if place else None,
                    "supersedes_id": supersedes.get(entry.kind),
                    "confirmed_at": self.now if status == "confirmed" else None,
                }
            )
        first = next(iter(ids.values()))
        for finding in judgement.findings:
            self._add_check(ids.get(finding.kind or "", first), finding)
        return Stored(tuple(ids.values()), order_id, point, plant)

    def _add_check(self, reading_id: int, finding: Finding) -> None:
        self._checks.append(
            {
                "created_at": self.now,
                "reading_id": reading_id,
                "rule": finding.rule,
                "severity": str(finding.severity),
                "code": finding.code,
                "detail": finding.detail,
            }
        )

    def place(
        self, register_id: int, dial: Dial, plant: Plant, mark: Mark, use: Use | None = None
    ) -> None:
        """Have the use up to a confirmed reading found at the end; ``use`` when it is known."""
        if mark.consumption_id is not None:
            self._superseded_uses.add(mark.consumption_id)
        self._pending[mark.reading_id] = _Pending(register_id, dial, plant, mark, use)

    def take_back(self, target: Target) -> None:
        """Supersede a stored reading and its unbilled use."""
        self._taken_back.append(target)
        if target.consumption_id is not None:
            self._superseded_uses.add(target.consumption_id)

    def order_becomes(self, order: Order) -> None:
        """Note that an order has changed its status."""
        self._orders[order.id] = order

    def review(self, stored: Stored, reading: NewReading, judgement: Judgement) -> None:
        """Put a held capture into the review queue."""
        hold, point, place = judgement.hold, stored.point, reading.place
        if hold is None:
            return
        self._items.append(
            review.NewItem(
                key=f"reading:{stored.reading_ids[0]}",
                kind="reading",
                reason=hold.code,
                subject_type="reading",
                subject_id=stored.reading_ids[0],
                detail={
                    "service_point_id": str(reading.service_point_id),
                    "meter_serial": reading.meter_serial[:40],
                    "values": {entry.kind: str(entry.value) for entry in reading.registers},
                    "read_at": reading.read_at.isoformat(),
                    "staff_id": reading.staff_id,
                    "order_id": stored.order_id,
                    "codes": [finding.code for finding in judgement.findings],
                    "figures": hold.detail,
                },
                org_unit_id=point.org_unit_id if point else None,
                route_id=point.route_id if point else None,
                lat_e7=place.lat_e7 if place else None,
                lon_e7=place.lon_e7 if place else None,
            )
        )

    def settle(self, timelines: Mapping[int, Timeline]) -> dict[int, int]:
        """Find every pending use and return the consumption of each reading."""
        used: dict[int, int] = {}
        for reading_id, pending in self._pending.items():
            before = timelines[pending.register_id].before(pending.mark.read_at)
            if before is None:
                continue
            use = pending.use or use_between(
                before, pending.mark, pending.dial, pending.plant.multiplier
            )
            used[reading_id] = self._add_consumption(pending, before, use)
        return used

    def _add_consumption(self, pending: _Pending, before: Mark, use: Use) -> int:
        consumption_id = next(self._consumption_ids)
        point = self.points[pending.plant.service_point_id]
        self._consumptions.append(
            {
                "id": consumption_id,
                "created_at": self.now,
                "service_point_id": point.id,
                "account_id": point.account_id,
                "register_kind": pending.dial.kind,
                "reading_id": pending.mark.reading_id,
                "previous_reading_id": before.reading_id,
                "from_at": before.read_at,
                "to_at": pending.mark.read_at,
                "quantity": use.quantity,
                "method": str(use.method),
                "status": "active",
            }
        )
        return consumption_id

    def write(self, session: Session) -> None:
        """Write everything that was collected.

        Raises:
            Conflict: ``metering.raced`` when a use to be found anew has been billed meanwhile.
        """
        self._write_taken_back(session)
        supersede_uses(session, self._superseded_uses)
        insert_rows(session, Reading, self._readings)
        insert_rows(session, ReadingCheck, self._checks)
        insert_rows(session, Consumption, self._consumptions)
        update_rows(
            session,
            ReadOrder,
            ("id",),
            [{"id": order.id, "status": order.status} for order in self._orders.values()],
        )
        review.raise_items(session, _with_teams(session, self._items))
        feed.touch_many(
            session,
            "read_order",
            (
                (f"route:{order.route_id}", order.id)
                for order in self._orders.values()
                if order.route_id is not None
            ),
        )

    def _write_taken_back(self, session: Session) -> None:
        ids = [target.reading_id for target in self._taken_back]
        if not ids:
            return
        session.execute(update(Reading).where(Reading.id.in_(ids)).values(status="superseded"))
        held = [target.reading_id for target in self._taken_back if target.status == "held"]
        if held:
            why = "taken back by the rep"
            review.close_for(session, SYSTEM, "reading", held, "corrected", why)


def _with_teams(session: Session, items: Sequence[review.NewItem]) -> Sequence[review.NewItem]:
    """Show what is about no known point to the team of whoever captured it."""
    lost = {item.detail["staff_id"] for item in items if item.org_unit_id is None}
    teams = teams_of(session, lost)
    if not teams:
        return items
    return [
        item
        if item.org_unit_id is not None
        else replace(item, org_unit_id=teams.get(item.detail["staff_id"]))
        for item in items
    ]


def supersede_uses(session: Session, ids: set[int]) -> None:
    """Supersede uses that are on no bill, all of them or none.

    Raises:
        Conflict: ``metering.raced`` when one of them has been billed meanwhile.
    """
    if not ids:
        return
    done = session.execute(
        update(Consumption)
        .where(
            Consumption.id.in_(sorted(ids)),
            Consumption.status == "active",
            Consumption.bill_id.is_(None),
        )
        .values(status="superseded")
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != len(ids):  # type: ignore[attr-defined]
        raise Conflict("metering.raced", "A use to be found anew has just been billed.")


def _storable(value: Decimal) -> Decimal | None:
    """The value if the column can hold it; what was keyed stands in the review item anyway."""
    if not value.is_finite() or abs(value) >= _BIGGEST_VALUE:
        return None
    return value if value == value.quantize(_SMALLEST_STEP) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else min(round(value), 2**31 - 1)
