"""Exchanging the meter of a point: both meters' shares are billed.

On one instant the old meter gets its final reading and the new one its initial reading (often
not zero). The use up to the final reading ends on the old meter; the next use starts at the
initial reading of the new one; the bill of the period adds both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select

from server import audit, clock, feed
from server.accounts.models import Installation, Meter, Register
from server.db import Session, take_ids
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import Consumption, Reading
from server.metering.rules.consumption import Dial, Method, Use, between, rolled_over, true_up
from server.metering.rules.findings import ACTUAL_QUALITIES, Judgement, plain
from server.metering.rules.limits import LimitBook
from server.metering.service import context as known
from server.metering.service.batch import Batch
from server.metering.service.captures import EXCHANGE_REASONS, DialEntry, Judged, NewReading
from server.metering.service.record import DEFAULT_LIMITS
from server.metering.service.rejudge import rejudge_held
from server.metering.service.timeline import Mark, Timeline

INSTALLATION, REMOVAL = EXCHANGE_REASONS


@dataclass(frozen=True, slots=True)
class NewRegister:
    """A register of the new meter with what it showed when it was hung."""

    kind: str
    initial: Decimal
    integer_digits: int = 5
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What an exchange has made."""

    installation_id: int
    final_reading_ids: tuple[int, ...]
    initial_reading_ids: tuple[int, ...]
    consumption_ids: tuple[int, ...]
    rejudged: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """Who told of an exchange and how: the office, or a rep's capture."""

    source: str = "office"
    capture_uuid: UUID | None = None


BY_THE_OFFICE = Told()


def exchange_meter(
    session: Session,
    actor: Actor,
    service_point_id: int,
    *,
    finals: Mapping[str, Decimal],
    serial: str,
    registers: Sequence[NewRegister],
    at: datetime,
    multiplier: Decimal = Decimal(1),
    rollover: bool = False,
    old_serial: str | None = None,
    told: Told = BY_THE_OFFICE,
    limits: LimitBook = DEFAULT_LIMITS,
) -> Exchanged:
    """Take the meter of a point down and hang another.

    What was read of the point after that time and is held is judged again: the verdicts are in
    ``rejudged``, to be billed by the caller.

    Args:
        finals: what the old meter's registers showed, by kind; all of them.
        serial: the new meter; it is entered when the system does not know it yet.
        registers: the new meter's registers with their initial readings.
        at: when it happened.
        multiplier: units of supply per dial unit of the new installation.
        rollover: a person has seen that an old dial passed zero.
        old_serial: the meter that was taken down, as it was found there.

    Raises:
        NotFound: ``exchange.unknown_point``.
        Invalid: ``exchange.finals`` or ``exchange.registers`` when registers are missing or
            differ; ``reading.digits`` when a dial cannot show its value; ``exchange.future``.
        Conflict: ``exchange.no_meter`` when no meter hung there, ``exchange.other_meter`` when it
            was another than ``old_serial``; ``exchange.meter_in_use`` when
            the new one hangs elsewhere; ``exchange.read_after`` when the old one has a
            confirmed reading after that time; ``reading.below_previous``.
    """
    if at > clock.now():
        raise Invalid("exchange.future", "The exchange lies in the future.")
    points = known.load_points(session, {service_point_id})
    if service_point_id not in points:
        raise NotFound("exchange.unknown_point", f"There is no service point {service_point_id}.")
    old = _old_plant(session, service_point_id, at, old_serial)
    _refuse_wrong_registers(old, finals, registers)
    removal = _removal(session, old, finals, at, rollover=rollover)
    new = _hang(session, old, service_point_id, serial, registers, at, multiplier)
    initials = {register.kind: register.initial for register in registers}
    point = points[service_point_id]
    made = _store(session, actor, point, removal, new, initials, told)
    _tell(session, actor, point, old, serial, at)
    return replace(made, rejudged=tuple(rejudge_held(session, actor, old, new, limits)))


@dataclass(frozen=True, slots=True)
class _Removal:
    """The old meter's end: its final readings, their uses, and the time lines they end."""

    plant: known.Plant
    finals: Mapping[str, Decimal]
    uses: Mapping[str, Use]
    timelines: dict[int, Timeline]


def _store(
    session: Session,
    actor: Actor,
    point: known.Point,
    removal: _Removal,
    new: known.Plant,
    initials: Mapping[str, Decimal],
    told: Told,
) -> Exchanged:
    """Write the final and initial readings and the use that ends on the old meter."""
    old, finals, at = removal.plant, removal.finals, new.installed_at
    ids = take_ids(session, {Reading: len(finals) + len(initials), Consumption: len(finals)})
    batch = Batch(clock.now(), ids[Reading], ids[Consumption], {point.id: point})
    final_ids, initial_ids = (
        batch.store(
            _capture(actor, told, point.id, plant.serial, values, at, reason),
            status="confirmed",
            plant=plant,
            order_id=None,
            point=point,
            judgement=Judgement((), {}),
            supersedes={},
        ).reading_ids
        for plant, values, reason in ((old, finals, REMOVAL), (new, initials, INSTALLATION))
    )
    for kind, reading_id in zip(finals, final_ids, strict=True):
        register_id, dial = old.registers[kind]
        mark = Mark(at, reading_id, finals[kind])
        removal.timelines[register_id].add(mark)
        batch.place(register_id, dial, old, mark, removal.uses.get(kind))
    used = batch.settle(removal.timelines)
    batch.write(session)
    return Exchanged(new.installation_id, final_ids, initial_ids, tuple(used.values()))


def _old_plant(session: Session, point_id: int, at: datetime, serial: str | None) -> known.Plant:
    """The meter that hung there then, and hangs there still."""
    plants = known.load_plant(session, {point_id}).get(point_id, ())
    hung = next((p for p in plants if p.installed_at < at and p.in_force(at)), None)
    if hung is not None and serial is not None and hung.serial != serial:
        raise Conflict("exchange.other_meter", f"{hung.serial} hung there then, not {serial}.")
    if hung is None or hung.removed_at is not None:
        raise Conflict("exchange.no_meter", "No meter hung at the point at that time.")
    return hung


def _refuse_wrong_registers(
    old: known.Plant, finals: Mapping[str, Decimal], registers: Sequence[NewRegister]
) -> None:
    if set(finals) != set(old.registers):
        raise Invalid(
            "exchange.finals",
            "Every register of the old meter needs its final reading.",
            {"registers": sorted(old.registers)},
        )
    kinds = [register.kind for register in registers]
    if not kinds or len(set(kinds)) < len(kinds):
        raise Invalid("exchange.registers", "The new meter needs each register once.")
    shown = [(old.registers[kind][1], value) for kind, value in finals.items()]
    shown += [(Dial(r.kind, r.integer_digits, r.decimals), r.initial) for r in registers]
    for dial, value in shown:
        if not dial.shows(value):
            raise Invalid(
                "reading.digits",
                "The dial cannot show this value.",
                {"register": dial.kind, "value": str(value)},
            )


def _removal(
    session: Session,
    old: known.Plant,
    finals: Mapping[str, Decimal],
    at: datetime,
    *,
    rollover: bool,
) -> _Removal:
    """What the old meter used up to its final reading, register by register."""
    registers = {register_id for register_id, _ in old.registers.values()}
    timelines = known.load_timelines(session, registers, at)
    uses: dict[str, Use] = {}
    for kind, value in finals.items():
        register_id, dial = old.registers[kind]
        line = timelines[register_id]
        if line.at(at) is not None or line.after(at) is not None:
            raise Conflict(
                "exchange.read_after", "The old meter has a confirmed reading after that time."
            )
        before = line.before(at)
        if before is not None:
            quantity = _final_use(before, value, dial, old.multiplier, rollover=rollover)
            uses[kind] = Use(quantity, Method.EXCHANGE)
    return _Removal(old, finals, uses, timelines)


def _final_use(
    before: Mark, value: Decimal, dial: Dial, multiplier: Decimal, *, rollover: bool
) -> Decimal:
    if not before.actual and value < before.value:
        return true_up(before.value, value, multiplier).quantity
    if rollover:
        return rolled_over(before.value, value, dial, multiplier).quantity
    use = between(before.value, value, dial, multiplier)
    if use is None:
        raise Conflict(
            "reading.below_previous",
            "The final reading is below the previous one.",
            {"previous": plain(before.value), "value": plain(value)},
        )
    return use.quantity


def _hang(
    session: Session,
    old: known.Plant,
    point_id: int,
    serial: str,
    registers: Sequence[NewRegister],
    at: datetime,
    multiplier: Decimal,
) -> known.Plant:
    """End the old installation and start the new one."""
    meter, dials = _meter(session, serial, registers)
    ended = session.get_one(Installation, old.installation_id)
    ended.removed_at = at
    session.get_one(Meter, ended.meter_id).status = "removed"
    session.flush()
    started = Installation(
        meter_id=meter.id, service_point_id=point_id, multiplier=multiplier, installed_at=at
    )
    meter.status = "in_service"
    session.add(started)
    session.flush()
    return known.Plant(started.id, point_id, serial, multiplier, at, None, dials)


def _meter(
    session: Session, serial: str, registers: Sequence[NewRegister]
) -> tuple[Meter, dict[str, tuple[int, Dial]]]:
    """The new meter with its registers, entered when it is not known yet."""
    meter = session.scalar(select(Meter).where(Meter.serial == serial).with_for_update())
    if meter is None:
        meter = Meter(serial=serial)
        session.add(meter)
        session.flush()
        session.add_all(
            Register(
                meter_id=meter.id,
                kind=register.kind,
                integer_digits=register.integer_digits,
                decimals=register.decimals,
            )
            for register in registers
        )
        session.flush()
    hangs = select(Installation.id).where(
        Installation.meter_id == meter.id, Installation.removed_at.is_(None)
    )
    if session.scalar(hangs) is not None:
        raise Conflict("exchange.meter_in_use", f"Meter {serial} hangs somewhere already.")
    rows = session.scalars(select(Register).where(Register.meter_id == meter.id)).all()
    dials = {row.kind: (row.id, Dial(row.kind, row.integer_digits, row.decimals)) for row in rows}
    if set(dials) != {register.kind for register in registers}:
        raise Invalid(
            "exchange.registers",
            f"Meter {serial} has other registers.",
            {"registers": sorted(dials)},
        )
    return meter, dials


def _capture(
    actor: Actor,
    told: Told,
    point_id: int,
    serial: str,
    values: Mapping[str, Decimal],
    at: datetime,
    reason: str,
) -> NewReading:
    return NewReading(
        service_point_id=point_id,
        meter_serial=serial,
        registers=tuple(DialEntry(kind, value) for kind, value in values.items()),
        read_at=at,
        source=told.source,
        reason=reason,
        quality=ACTUAL_QUALITIES[0],
        capture_uuid=told.capture_uuid,
        staff_id=actor.staff_id,
    )


def _tell(
    session: Session,
    actor: Actor,
    point: known.Point,
    old: known.Plant,
    serial: str,
    at: datetime,
) -> None:
    if point.route_id is not None:
        feed.touch(session, f"route:{point.route_id}", "service_point", point.id)
    audit.record(
        session,
        actor,
        "meter.exchange",
        "service_point",
        point.id,
        before={"meter": old.serial},
        after={"meter": serial, "at": at.isoformat()},
    )
