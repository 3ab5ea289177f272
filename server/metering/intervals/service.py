"""Taking hourly values: each once, a repeated one changes nothing, another one is a correction.

Terminals send again what was not acknowledged, so a batch may hold what is known already, in part or
whole, and in any order. The number of statements does not grow with the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from server import clock
from server.accounts.models import Installation, Meter, Register, ServicePoint
from server.db import Session, among, among_texts, bulk_upsert, insert_rows, take_ids, update_rows
from server.errors import DomainError, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.intervals.models import IntervalCorrection, IntervalReading, IntervalSource
from server.metering.intervals.rules import on_the_hour
from server.metering.rules.consumption import Dial
from server.rounds.scope import Scope

AHEAD = timedelta(minutes=10)
_I = IntervalReading


@dataclass(frozen=True, slots=True)
class NewValue:
    """What a register of a meter showed on the hour ``at``, in dial units."""

    meter_serial: str
    at: datetime
    value: Decimal
    register: str = "total"


@dataclass(slots=True)
class Taken:
    """What became of one value: stored, same, corrected, or refused with a code."""

    became: str = "refused"
    problem: DomainError | None = None


@dataclass(frozen=True, slots=True)
class _Dialled:
    """A register at a point for the time its meter hung there."""

    point_id: int
    installation_id: int
    installed_at: datetime
    removed_at: datetime | None
    dial: Dial


@dataclass(slots=True)
class _Value:
    """The value an hour has now; ``id`` is None until it is written."""

    id: int | None
    value: Decimal
    row: dict[str, Any] = field(default_factory=dict)


_Known = dict[tuple[int, str, datetime], _Value]


@dataclass(slots=True)
class _Batch:
    """What is written at the end: new values, other values than before (with what was before)."""

    now: datetime
    staff_id: int | None
    source: str
    new: list[_Value] = field(default_factory=list)
    corrected: list[tuple[_Value, Decimal, Decimal]] = field(default_factory=list)
    hours: dict[int, list[datetime]] = field(default_factory=lambda: defaultdict(list))


def take(
    session: Session, actor: Actor, seen: Scope, values: Sequence[NewValue], source: str
) -> list[Taken]:
    """Record hourly values; the outcomes come in their order, and a bad one stops no other.

    Codes of refusals: ``interval.unknown_meter`` (or not yours to see), ``interval.not_installed``,
    ``interval.register``, ``interval.not_on_the_hour``, ``interval.future``, ``interval.digits``.
    """
    outcomes = [Taken() for _ in values]
    dials = _dials(session, seen, {one.meter_serial for one in values})
    batch = _Batch(clock.now(), actor.staff_id, source)
    placed: list[tuple[Taken, NewValue, _Dialled]] = []
    for outcome, one in zip(outcomes, values, strict=True):
        try:
            placed.append((outcome, one, _place(one, dials, batch.now)))
        except DomainError as problem:
            outcome.problem = problem
    _lock(session, {place.point_id for _, _, place in placed})
    known = _stored(session, placed)
    for outcome, one, place in placed:
        outcome.became = _settle(batch, known, one, place)
    _write(session, batch)
    return outcomes


# --- what is known ------------------------------------------------------------------------


def _dials(session: Session, seen: Scope, serials: Collection[str]) -> Mapping[str, list[_Dialled]]:
    """The registers of visible meters, wherever they have hung."""
    rows = session.execute(
        select(
            Meter.serial,
            Installation.service_point_id,
            Installation.id,
            Installation.installed_at,
            Installation.removed_at,
            Register.kind,
            Register.integer_digits,
            Register.decimals,
        )
        .join(Installation, Installation.meter_id == Meter.id)
        .join(Register, Register.meter_id == Meter.id)
        .join(ServicePoint, ServicePoint.id == Installation.service_point_id)
        .where(among_texts(Meter.serial, serials), seen.points())
    )
    found: dict[str, list[_Dialled]] = defaultdict(list)
    for serial, point, installation, begin, end, kind, digits, decimals in rows:
        dial = Dial(kind, digits, decimals)
        found[serial].append(_Dialled(point, installation, begin, end, dial))
    return found


def _place(one: NewValue, dials: Mapping[str, list[_Dialled]], now: datetime) -> _Dialled:
    """Where the meter hung then, with the register; raises what `take` lists."""
    if not on_the_hour(one.at):
        raise Invalid("interval.not_on_the_hour", "The time must be a full hour.")
    if one.at > now + AHEAD:
        raise Invalid("interval.future", "The time lies in the future.")
    anywhere = dials.get(one.meter_serial)
    if not anywhere:
        raise NotFound(
            "interval.unknown_meter", "There is no such meter, or it is not yours to see."
        )
    there = [
        place
        for place in anywhere
        if place.installed_at <= one.at and (place.removed_at is None or one.at <= place.removed_at)
    ]
    if not there:
        raise Invalid("interval.not_installed", "This meter hung nowhere at that time.")
    for place in there:
        if place.dial.kind == one.register:
            if not place.dial.shows(one.value):
                raise Invalid("interval.digits", "The dial cannot show this value.")
            return place
    raise Invalid("interval.register", "The meter has no such register.")


def _lock(session: Session, point_ids: Collection[int]) -> None:
    """Let one batch at a time decide about the hours of a point."""
    session.execute(
        select(ServicePoint.id)
        .where(among(ServicePoint.id, point_ids))
        .order_by(ServicePoint.id)
        .with_for_update(key_share=True)
    )


def _stored(session: Session, placed: Sequence[tuple[Taken, NewValue, _Dialled]]) -> _Known:
    """The values that these hours have already."""
    if not placed:
        return {}
    hours = [one.at for _, one, _ in placed]
    rows = session.execute(
        select(_I.service_point_id, _I.register_kind, _I.read_at, _I.id, _I.value).where(
            among(_I.service_point_id, {place.point_id for _, _, place in placed}),
            _I.register_kind.in_(sorted({one.register for _, one, _ in placed})),
            _I.read_at.between(min(hours), max(hours)),
        )
    )
    return {(point, kind, at): _Value(number, value) for point, kind, at, number, value in rows}


# --- what is decided and written ----------------------------------------------------------


def _settle(batch: _Batch, known: _Known, one: NewValue, place: _Dialled) -> str:
    """Decide about one value against what its hour has, earlier ones of the batch included."""
    key = (place.point_id, one.register, one.at)
    has = known.get(key)
    if has is not None and has.value == one.value:
        return "same"
    batch.hours[place.point_id].append(one.at)
    if has is not None:
        batch.corrected.append((has, has.value, one.value))
        has.value = one.value
        return "corrected"
    row = {
        "created_at": batch.now,
        "service_point_id": place.point_id,
        "installation_id": place.installation_id,
        "register_kind": one.register,
        "read_at": one.at,
        "source": batch.source,
        "staff_id": batch.staff_id,
    }
    known[key] = _Value(None, one.value, row)
    batch.new.append(known[key])
    return "stored"


def _write(session: Session, batch: _Batch) -> None:
    """New values, then corrections with their history, then how far each point has come."""
    changed = {id(one): one for one, _, _ in batch.corrected if one.id is not None}
    ids = take_ids(session, {_I: len(batch.new)})[_I] if batch.new else []
    for number, one in zip(ids, batch.new, strict=True):
        one.id = number
    rows = [{"id": one.id, **one.row, "value": one.value} for one in batch.new]
    insert_rows(session, _I, rows)
    update_rows(session, _I, ("id",), [{"id": o.id, "value": o.value} for o in changed.values()])
    said = {"created_at": batch.now, "source": batch.source, "staff_id": batch.staff_id}
    history = [
        {**said, "interval_reading_id": one.id, "value_before": before, "value_after": after}
        for one, before, after in batch.corrected
    ]
    insert_rows(session, IntervalCorrection, history)
    _note_sources(session, batch)


def _note_sources(session: Session, batch: _Batch) -> None:
    """Widen the time each point has values for."""
    rows = session.execute(
        select(IntervalSource).where(among(IntervalSource.service_point_id, batch.hours))
    ).scalars()
    before = {row.service_point_id: row for row in rows}
    news = []
    for point_id, hours in sorted(batch.hours.items()):
        old = before.get(point_id)
        ends = [*hours, *((old.first_at, old.last_at) if old is not None else ())]
        news.append(
            {
                "service_point_id": point_id,
                "first_at": min(ends),
                "last_at": max(ends),
                "changed_at": batch.now,
            }
        )
    bulk_upsert(session, IntervalSource, news, ("service_point_id",))
