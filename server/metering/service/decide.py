"""A person's decision about a held reading: release, discard, or move it to the right meter.

Whoever decides is not the one who captured it. A release overrules the limits; it does not make
a dial show what it cannot, nor put a reading on a meter that was not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from server import audit, clock, review
from server.db import Session, announce, take_ids
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import Consumption, Reading
from server.metering.rules.findings import ACTUAL_QUALITIES, plain
from server.metering.rules.limits import LimitBook
from server.metering.service import context as known
from server.metering.service.batch import Batch
from server.metering.service.captures import BILLING_REASONS, DialEntry, Judged, NewReading
from server.metering.service.record import DEFAULT_LIMITS, record
from server.metering.service.timeline import Mark, Timeline


def release(
    session: Session, actor: Actor, reading_id: int, why: str, *, rollover: bool = False
) -> Judged:
    """Confirm a held capture (all its registers) on a second person's word.

    Args:
        rollover: the person has seen that the dial passed zero; without it a reading below an
            actual previous one cannot be released, because a use is never negative. Below an
            estimate it becomes a credit.

    Raises:
        NotFound: ``reading.unknown``.
        Invalid: ``reading.why`` without a reason.
        Forbidden: ``reading.same_person`` when the actor captured it himself.
        Conflict: ``reading.not_held``; ``reading.not_installed``, ``reading.register`` or
            ``reading.digits`` when the meter cannot have shown it; ``reading.duplicate`` when
            the order has a confirmed reading; ``reading.below_previous``, ``reading.above_next``
            when the dial would run backwards; ``reading.before_previous`` when a later reading
            has been billed; ``reading.same_time``.
    """
    rows = held_capture(session, actor, reading_id, why)
    return Release(session, actor, rows, why, rollover=rollover).run()


def discard(session: Session, actor: Actor, reading_id: int, why: str) -> None:
    """Refuse a held capture; its order is open again unless another reading has fulfilled it.

    Raises:
        NotFound, Invalid, Forbidden, Conflict: as :func:`release` for the first four codes.
    """
    rows = held_capture(session, actor, reading_id, why)
    now = clock.now()
    _decide(session, actor, rows, "discarded", why, now)
    order_ids = {row.order_id for row in rows if row.order_id is not None}
    orders = known.load_orders(session, order_ids, ())
    batch = Batch(now, (), (), {})
    waiting = _orders_with_held(session, order_ids)
    for order in orders.values():
        if order.status == "held" and order.id not in waiting:
            order.status = "open"
            batch.order_becomes(order)
    batch.write(session)
    _close(session, actor, rows, "discarded", why)


def move(
    session: Session,
    actor: Actor,
    reading_id: int,
    why: str,
    limits: LimitBook = DEFAULT_LIMITS,
) -> Judged:
    """Put a capture that was held for the wrong meter on the one that hung there when it was read.

    The old rows stay as they were written and are superseded; new ones, judged like any other
    capture, point to them.

    Raises:
        NotFound, Invalid, Forbidden, Conflict: as :func:`release` for the first four codes;
            ``reading.not_installed`` when no meter hung at the point at that time.
    """
    rows = held_capture(session, actor, reading_id, why)
    point_id = rows[0].service_point_id
    plants = known.load_plant(session, {point_id} if point_id is not None else ())
    plant = next((p for p in plants.get(point_id or 0, ()) if p.in_force(rows[0].read_at)), None)
    if plant is None:
        raise Conflict("reading.not_installed", "No meter hung at the point at that time.")
    now = clock.now()
    _decide(session, actor, rows, "superseded", why, now)
    _close(session, actor, rows, "corrected", why)
    judged = record(session, [_moved(rows, plant)], limits)[0]
    links = dict(zip((row.register_kind for row in rows), judged.reading_ids, strict=True))
    audit.record(
        session,
        actor,
        "reading.move",
        "reading",
        reading_id,
        before={"meter": rows[0].meter_serial},
        after={"meter": plant.serial, "readings": links, "verdict": judged.verdict},
    )
    return judged


def _moved(rows: Sequence[Reading], plant: known.Plant) -> NewReading:
    first = rows[0]
    entries = tuple(
        DialEntry(row.register_kind, row.value) for row in rows if row.value is not None
    )
    return NewReading(
        service_point_id=first.service_point_id,
        meter_serial=plant.serial,
        registers=entries,
        read_at=first.read_at,
        source="office",
        order_id=first.order_id,
        reason=first.reason,
        quality=first.quality,
        capture_uuid=first.capture_uuid,
        staff_id=first.staff_id,
        trouble=first.trouble,
        note=first.note,
        replaces={row.register_kind: row.id for row in rows},
    )


# --- what the decisions share -------------------------------------------------------------


def held_capture(session: Session, actor: Actor, reading_id: int, why: str) -> list[Reading]:
    """All registers of a held capture, locked, after the decider has been looked at.

    The point is locked before the reading, as recording does it, so that the two never wait for
    each other.

    Raises:
        NotFound, Invalid, Forbidden, Conflict: as :func:`release` for the first four codes.
    """
    if not why.strip():
        raise Invalid("reading.why", "A decision needs a reason.")
    first = session.get(Reading, reading_id)
    if first is None:
        raise NotFound("reading.unknown", f"There is no reading {reading_id}.")
    known.load_points(session, known.ids([first.service_point_id]))
    session.refresh(first, with_for_update=True)
    if first.status != "held":
        raise Conflict(
            "reading.not_held", f"The reading is {first.status}.", {"status": first.status}
        )
    if actor.staff_id is not None and actor.staff_id == first.staff_id:
        raise Forbidden("reading.same_person", "Nobody decides about his own reading.")
    if first.capture_uuid is None:
        return [first]
    return list(
        session.scalars(
            select(Reading)
            .where(Reading.capture_uuid == first.capture_uuid, Reading.status == "held")
            .order_by(Reading.id)
            .with_for_update()
        )
    )


def _decide(
    session: Session,
    actor: Actor,
    rows: Sequence[Reading],
    status: str,
    why: str,
    now: datetime,
) -> None:
    session.execute(
        update(Reading)
        .where(Reading.id.in_([row.id for row in rows]))
        .values(
            status=status,
            released_by_id=actor.staff_id,
            released_why=why.strip()[:255],
            confirmed_at=now if status == "confirmed" else None,
        )
        .execution_options(synchronize_session=False)
    )


def _close(session: Session, actor: Actor, rows: Sequence[Reading], status: str, why: str) -> None:
    # The map learns of a decision by its row of the trail: nothing else of it is new.
    announce(session, audit.AuditEvent)
    review.close_for(session, actor, "reading", [row.id for row in rows], status, why.strip()[:255])
    audit.record(
        session,
        actor,
        f"reading.{status}",
        "reading",
        rows[0].id,
        before={"status": "held", "code": rows[0].code},
        after={"why": why.strip(), "readings": [row.id for row in rows]},
    )


def _orders_with_held(session: Session, order_ids: set[int]) -> set[int]:
    """Orders that still have a held reading."""
    found = session.scalars(
        select(Reading.order_id).where(
            Reading.order_id.in_(sorted(order_ids)), Reading.status == "held"
        )
    )
    return {order_id for order_id in found if order_id is not None}


class Release:
    """One release: what is known about the capture, what it becomes."""

    def __init__(
        self,
        session: Session,
        actor: Actor,
        rows: Sequence[Reading],
        why: str,
        *,
        rollover: bool,
        instead_of: Sequence[known.Target] = (),
    ) -> None:
        self.session, self.actor, self.rows, self.why = session, actor, rows, why
        self.rollover, self.instead_of = rollover, instead_of
        self.now = clock.now()
        first = rows[0]
        self.read_at = first.read_at
        point_ids = {first.service_point_id} if first.service_point_id is not None else set()
        self.points = known.load_points(session, point_ids)
        plants = known.load_plant(session, self.points)
        self.dials = known.dials(plants)
        self.plant = self._plant(plants)
        order_ids = {row.order_id for row in rows if row.order_id is not None}
        self.orders = known.load_orders(session, order_ids, ())
        registers = {register_id for register_id, _ in self.plant.registers.values()}
        registers |= known.ids(target.register_id for target in instead_of)
        start = min([self.read_at, *(target.read_at for target in instead_of)])
        self.timelines = known.load_timelines(session, registers, start)
        ids = take_ids(session, {Consumption: 2 * len(rows) + len(instead_of)})
        self.batch = Batch(self.now, (), ids[Consumption], self.points)

    def run(self) -> Judged:
        """Confirm every register, settle what is used, close the review."""
        for target in self.instead_of:
            self._take_back(target)
        for row in self.rows:
            self._confirm(row)
        for order in self.orders.values():
            order.status = "done"
            self.batch.order_becomes(order)
        used = self.batch.settle(self.timelines)
        self.batch.write(self.session)
        _decide(self.session, self.actor, self.rows, "confirmed", self.why, self.now)
        _close(self.session, self.actor, self.rows, "released", self.why)
        return self._verdict(used)

    def _take_back(self, target: known.Target) -> None:
        """Take a confirmed reading out of its time line; the use after it is found anew."""
        self.batch.take_back(target)
        if target.register_id is None:
            return
        line = self.timelines[target.register_id]
        line.remove(target.reading_id)
        after = line.after(target.read_at)
        if after is not None:
            self.batch.place(target.register_id, *self.dials[target.register_id], after)

    def _plant(self, plants: dict[int, list[known.Plant]]) -> known.Plant:
        first = self.rows[0]
        for plant in plants.get(first.service_point_id or 0, ()):
            if plant.installation_id == first.installation_id:
                return plant
        raise Conflict(
            "reading.not_installed",
            "The reading belongs to no meter of this point; move it to the right one.",
        )

    def _confirm(self, row: Reading) -> None:
        register_id, dial = self.plant.registers.get(row.register_kind, (None, None))
        if register_id is None or dial is None:
            raise Conflict("reading.register", "The meter has no such register.")
        if row.value is None or not dial.shows(row.value):
            raise Conflict("reading.digits", "The dial cannot show this value.")
        line = self.timelines[register_id]
        line.remove(row.id)
        mark = Mark(
            row.read_at,
            row.id,
            row.value,
            actual=row.quality in ACTUAL_QUALITIES,
            order_id=row.order_id,
        )
        self._refuse_wrong_place(line, mark)
        line.add(mark)
        self.batch.place(register_id, dial, self.plant, mark)
        after = line.after(mark.read_at)
        if after is not None:
            self.batch.place(register_id, dial, self.plant, after)

    def _refuse_wrong_place(self, line: Timeline, mark: Mark) -> None:
        """Refuse what no release can overrule."""
        if line.at(mark.read_at) is not None:
            raise Conflict("reading.same_time", "There is a confirmed reading of this moment.")
        if mark.order_id is not None and (
            line.confirmed_for(mark.order_id) or self._fulfilled(mark.order_id)
        ):
            raise Conflict("reading.duplicate", "The order has a confirmed reading already.")
        before, after = line.before(mark.read_at), line.after(mark.read_at)
        backwards = before is not None and mark.value < before.value and before.actual
        if backwards and not self.rollover:
            raise Conflict(
                "reading.below_previous",
                "The reading is below the previous one: say that the dial passed zero,"
                " or discard it.",
                {"previous": plain(before.value) if before else None},
            )
        if after is None:
            return
        if after.billed:
            raise Conflict("reading.before_previous", "A later reading has been billed already.")
        if after.value < mark.value and not self.rollover:
            raise Conflict(
                "reading.above_next",
                "The reading is above the next one.",
                {"next": plain(after.value)},
            )

    def _fulfilled(self, order_id: int) -> bool:
        order = self.orders.get(order_id)
        replaced = any(target.order_id == order_id for target in self.instead_of)
        return order is not None and order.status == "done" and not replaced

    def _verdict(self, used: dict[int, int]) -> Judged:
        first = self.rows[0]
        point = self.points[self.plant.service_point_id]
        return Judged(
            verdict="applied",
            reading_ids=tuple(row.id for row in self.rows),
            consumption_ids=tuple(used[row.id] for row in self.rows if row.id in used),
            order_id=first.order_id,
            service_point_id=point.id,
            account_id=point.account_id,
            bill_now=point.read_and_bill and first.reason in BILLING_REASONS,
        )
