"""Readings by the office or told by a customer: the same rules, without a handheld."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from server.accounts.models import Installation, Meter, ServicePoint
from server.billing.rules.classes import BillingRules
from server.capture.items import SAME_ID, Verdict
from server.capture.settle import settle_readings
from server.db import Session
from server.identity.actor import Actor
from server.metering.models import Reading, ReadOrder
from server.metering.service import DialEntry, Judged, NewReading
from server.rounds.scope import scope_of

QUALITY = {"office": "regular", "customer": "customer"}


@dataclass(frozen=True)
class OfficeReading:
    """A reading keyed at a desk; ``uuid`` makes sending it again harmless.

    Without a serial number the meter installed at the time of reading is meant.
    """

    point_no: str
    registers: tuple[DialEntry, ...]
    read_at: datetime
    source: str = "office"
    reason: str = "01"
    meter_serial: str | None = None
    note: str | None = None
    uuid: UUID | None = None


@dataclass(frozen=True)
class OfficeVerdict:
    """What became of one reading; ``replayed`` when its uuid was here before."""

    verdict: Verdict
    reading_ids: tuple[int, ...]
    replayed: bool = False


UNKNOWN_POINT = Verdict(
    "rejected",
    "reading.unknown_point",
    "There is no such service point, or it is not yours to read.",
    "point_no",
)
OTHER_CONTENT = OfficeVerdict(replace(SAME_ID, field="uuid"), ())


def record_office_readings(
    session: Session, actor: Actor, readings: Sequence[OfficeReading], rules: BillingRules
) -> list[OfficeVerdict]:
    """Judge and settle readings keyed at a desk; verdicts come in the order given.

    Raises:
        Forbidden: ``identity.forbidden`` without the right to capture readings.
        IntegrityError: when the same uuid is being recorded at this moment; try again.
    """
    points = _points(session, actor, {r.point_no for r in readings})
    verdicts = _replayed(session, readings, points)
    fresh: dict[int, NewReading] = {}
    serials = _serials(session, points.values())
    orders = _orders(session, points.values())
    doubles = _doubles(readings)
    for position, reading in enumerate(readings):
        if position in verdicts or position in doubles:
            continue
        point_id = points.get(reading.point_no)
        if point_id is None:
            verdicts[position] = OfficeVerdict(UNKNOWN_POINT, ())
        else:
            fresh[position] = _new(reading, actor, point_id, serials, orders)
    judged = settle_readings(session, list(fresh.values()), rules)
    for position, verdict in zip(fresh, judged, strict=True):
        verdicts[position] = OfficeVerdict(_verdict(verdict), verdict.reading_ids)
    for position, first in doubles.items():
        same = readings[position] == readings[first]
        again = replace(verdicts[first], replayed=True)
        verdicts.setdefault(position, again if same else OTHER_CONTENT)
    return [verdicts[position] for position in range(len(readings))]


def _verdict(judged: Judged) -> Verdict:
    return Verdict(judged.verdict, judged.code, judged.message, judged.field)


def _new(
    reading: OfficeReading,
    actor: Actor,
    point_id: int,
    serials: dict[int, list[tuple[datetime, datetime | None, str]]],
    orders: dict[int, int],
) -> NewReading:
    return NewReading(
        service_point_id=point_id,
        meter_serial=reading.meter_serial or _serial_at(serials.get(point_id, []), reading.read_at),
        registers=reading.registers,
        read_at=reading.read_at,
        source=reading.source,
        order_id=orders.get(point_id) if reading.reason == "01" else None,
        reason=reading.reason,
        quality=QUALITY[reading.source],
        capture_uuid=reading.uuid,
        staff_id=actor.staff_id,
        note=reading.note,
    )


def _points(session: Session, actor: Actor, numbers: set[str]) -> dict[str, int]:
    scope = scope_of(session, actor, "readings", "capture")
    rows = session.execute(
        select(ServicePoint.point_no, ServicePoint.id).where(
            ServicePoint.point_no.in_(numbers), scope.points()
        )
    )
    return {row.point_no: row.id for row in rows}


def _doubles(readings: Sequence[OfficeReading]) -> dict[int, int]:
    """Positions whose uuid stood earlier in the same call, with the position where it stood."""
    first: dict[UUID, int] = {}
    doubles = {}
    for position, reading in enumerate(readings):
        if reading.uuid is not None and first.setdefault(reading.uuid, position) != position:
            doubles[position] = first[reading.uuid]
    return doubles


def _replayed(
    session: Session, readings: Sequence[OfficeReading], points: Mapping[str, int]
) -> dict[int, OfficeVerdict]:
    """Verdicts of readings whose uuid was recorded before, by position."""
    uuids = {r.uuid for r in readings if r.uuid is not None}
    if not uuids:
        return {}
    known: dict[UUID, list[Reading]] = {}
    stored = select(Reading).where(Reading.capture_uuid.in_(uuids)).order_by(Reading.id)
    for row in session.execute(stored).scalars():
        if row.capture_uuid is None:
            continue
        # What was judged anew has later rows too; the first ones say what was told.
        rows = known.setdefault(row.capture_uuid, [])
        if row.register_kind not in {first.register_kind for first in rows}:
            rows.append(row)
    return {
        position: _again(reading, points.get(reading.point_no), known[reading.uuid])
        for position, reading in enumerate(readings)
        if reading.uuid in known
    }


def _again(reading: OfficeReading, point_id: int | None, rows: list[Reading]) -> OfficeVerdict:
    """The verdict that was given before; what says something else under the same uuid is none."""
    told = {(entry.kind, entry.value) for entry in reading.registers}
    same = len(rows) == len(told) and all(
        row.service_point_id == point_id
        and row.read_at == reading.read_at
        and (row.value is None or (row.register_kind, row.value) in told)
        for row in rows
    )
    if not same:
        return OTHER_CONTENT
    code = next((row.code for row in rows if row.code), None)
    word = "conflict" if code == "reading.duplicate" else "held" if code else "applied"
    ids = tuple(sorted(row.id for row in rows))
    return OfficeVerdict(Verdict(word, code), ids, replayed=True)


def _serials(
    session: Session, point_ids: Iterable[int]
) -> dict[int, list[tuple[datetime, datetime | None, str]]]:
    rows = session.execute(
        select(
            Installation.service_point_id,
            Installation.installed_at,
            Installation.removed_at,
            Meter.serial,
        )
        .join(Meter, Meter.id == Installation.meter_id)
        .where(Installation.service_point_id.in_(list(point_ids)))
        .order_by(Installation.installed_at)
    )
    found: dict[int, list[tuple[datetime, datetime | None, str]]] = {}
    for point_id, installed, removed, serial in rows:
        found.setdefault(point_id, []).append((installed, removed, serial))
    return found


def _serial_at(installations: list[tuple[datetime, datetime | None, str]], at: datetime) -> str:
    """The serial number of the meter installed at a time; empty when there was none."""
    for installed, removed, serial in reversed(installations):
        if installed <= at and (removed is None or at < removed):
            return serial
    return ""


def _orders(session: Session, point_ids: Iterable[int]) -> dict[int, int]:
    """The open order of each point; the newest period counts."""
    rows = session.execute(
        select(ReadOrder.service_point_id, ReadOrder.id)
        .where(
            ReadOrder.service_point_id.in_(list(point_ids)),
            ReadOrder.status.in_(("open", "skipped")),
            ReadOrder.reason == "01",
        )
        .order_by(ReadOrder.period)
    )
    return {row.service_point_id: row.id for row in rows}
