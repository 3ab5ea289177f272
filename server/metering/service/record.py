"""Recording captures: judge a batch as a set, store it, settle what it uses.

However many captures a batch has, the number of statements stays the same: everything needed is
read first (``context``), every capture is judged in memory in the order of its read time, and
the rows are written at the end (``Batch``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from server import clock
from server.db import Session, take_ids
from server.geo import fast_distance_e7
from server.metering.models import Consumption, Reading
from server.metering.rules.checks import judge
from server.metering.rules.expectation import Expectation, around, days_between, expect
from server.metering.rules.findings import (
    ACTUAL_QUALITIES,
    ESTIMATE_QUALITIES,
    Capture,
    DialReading,
    Earlier,
    Judgement,
    Later,
    LocationSignals,
)
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.rules.messages import MESSAGES
from server.metering.service import context as known
from server.metering.service.batch import Batch, Stored
from server.metering.service.captures import BILLING_REASONS, Judged, NewReading
from server.metering.service.statements import LONG_AGO
from server.metering.service.timeline import Mark
from server.metering.service.undo import Undo, undo
from server.operator import current

DEFAULT_LIMITS = LimitBook()


def record(
    session: Session, readings: Sequence[NewReading], limits: LimitBook = DEFAULT_LIMITS
) -> list[Judged]:
    """Judge and store captures; the verdicts come in the order of the captures.

    ``applied``   confirmed, its use is found, the order is done.
    ``held``      stored, waits in the review queue with the code of the first check that held.
    ``conflict``  the order has a confirmed reading already; stored and held for review.

    Nothing about a capture raises: what cannot be settled is held. Readings that arrive late
    take their place by read time and the unbilled use after them is found anew.

    Raises:
        Conflict: ``metering.raced`` when another transaction billed a use that this batch
            splits; the whole batch can be tried again.
    """
    if not readings:
        return []
    return _Recording(session, readings, limits).run()


class _Recording:
    """One run of :func:`record`: what is known, what is judged, what will be written."""

    def __init__(self, session: Session, readings: Sequence[NewReading], limits: LimitBook) -> None:
        self.session = session
        self.readings = readings
        self.limits = limits
        self.now = clock.now()
        self.zone = current(session).zone
        point_ids = known.ids(r.service_point_id for r in readings)
        point_ids |= known.ids(target.service_point_id for target in undo(session, readings).rows)
        self.points = known.load_points(session, point_ids)
        # Only now, behind the lock: what is to be taken back may have been released and billed
        # while this waited.
        self.undo: Undo = undo(session, readings)
        order_ids = known.ids(r.order_id for r in readings)
        order_ids |= known.ids(target.order_id for target in self.undo.rows)
        self.plant = known.load_plant(session, self.points)
        self.orders = known.load_orders(session, order_ids, self.points)
        self.orders_of: dict[int, list[known.Order]] = defaultdict(list)
        for order_id in sorted(self.orders):
            self.orders_of[self.orders[order_id].service_point_id].append(self.orders[order_id])
        earliest = min([r.read_at for r in readings] + self.undo.times)
        start = max(earliest, LONG_AGO)
        registers = self._registers()
        self.timelines = known.load_timelines(session, registers, start)
        self.history = known.load_history(session, self._points_without_order(), start)
        staff = {r.staff_id for r in readings if r.source == "device" and r.staff_id is not None}
        self.last_places = known.load_last_places(session, staff, start)
        estimated = any(r.quality in ESTIMATE_QUALITIES for r in readings)
        self.estimates = known.load_estimates(session, registers) if estimated else {}
        dials = sum(len(r.registers) for r in readings)
        ids = take_ids(session, {Reading: dials, Consumption: 2 * dials + len(self.undo.rows)})
        self.batch = Batch(self.now, ids[Reading], ids[Consumption], self.points)

    def run(self) -> list[Judged]:
        """Judge every capture in the order of its read time and write the batch."""
        self._take_back()
        verdicts: dict[int, Judged] = {}
        for index in sorted(range(len(self.readings)), key=lambda i: self.readings[i].read_at):
            verdicts[index] = self._one(index, self.readings[index])
        used = self.batch.settle(self.timelines)
        self.batch.write(self.session)
        return [_with_consumption(verdicts[index], used) for index in range(len(self.readings))]

    # --- what is known about one capture --------------------------------------------------

    def _registers(self) -> set[int]:
        return {
            register_id
            for plants in self.plant.values()
            for plant in plants
            for register_id, _ in plant.registers.values()
        }

    def _points_without_order(self) -> set[int]:
        """Points that need their history because no order says what to expect."""
        found = set()
        for reading in self.readings:
            order, _ = self._order_of(reading)
            told = order is not None and any(
                "expected" in register for register in order.expectations.values()
            )
            if not told and reading.service_point_id in self.points:
                found.add(reading.service_point_id)
        return found

    def _plant_at(self, reading: NewReading) -> tuple[known.Plant | None, str | None]:
        """The installation a capture belongs to, or the code of what is wrong."""
        if reading.service_point_id not in self.points:
            return None, "reading.unknown_point"
        for plant in self.plant.get(reading.service_point_id, ()):
            if plant.serial == reading.meter_serial and plant.in_force(reading.read_at):
                return plant, None
        return None, "reading.not_installed"

    def _order_of(self, reading: NewReading) -> tuple[known.Order | None, str | None]:
        """The order a capture fulfils; a periodic reading without one takes the oldest waiting."""
        order = self.orders.get(reading.order_id or 0)
        if order is not None and order.status != "cancelled":
            right = order.service_point_id == reading.service_point_id
            return (order, None) if right else (None, "reading.order")
        if reading.reason != "01":
            return None, None
        waiting = (
            order
            for order in self.orders_of.get(reading.service_point_id or 0, ())
            if order.reason == "01" and order.status in ("open", "held", "skipped")
        )
        return next(waiting, None), None

    # --- judging --------------------------------------------------------------------------

    def _one(self, index: int, reading: NewReading) -> Judged:
        plant, problem = self._plant_at(reading)
        order, order_problem = self._order_of(reading)
        point = self.points.get(reading.service_point_id or 0)
        problem = self.undo.problems.get(index) or problem or order_problem
        problem = problem or _given_away(reading, point, order)
        limits = self.limits.of(point.account_class if point else None)
        capture = self._capture(reading, plant, order, problem, point, limits)
        if index in self.undo.requests:
            figures = self.undo.figures(index, reading, capture.multiplier)
            capture = replace(capture, problem_figures=figures)
        judgement = judge(capture, limits)
        stored = self._store(index, reading, plant, order, point, judgement)
        if index in self.undo.withdrawn:
            return _verdict(stored, reading, "applied", "reading.superseded", judgement)
        hold = judgement.hold
        if hold is None:
            self._confirm(stored, reading, plant, order, judgement)
            warning = judgement.warning
            return _verdict(
                stored, reading, "applied", warning.code if warning else None, judgement
            )
        self._hold(stored, reading, plant, order, judgement, hold.code)
        verdict = "conflict" if hold.code == "reading.duplicate" else "held"
        return _verdict(stored, reading, verdict, hold.code, judgement)

    def _capture(
        self,
        reading: NewReading,
        plant: known.Plant | None,
        order: known.Order | None,
        problem: str | None,
        point: known.Point | None,
        limits: CheckLimits,
    ) -> Capture:
        dials = tuple(
            DialReading(entry.kind, entry.value, entry.second_entry)
            if plant is None
            else self._dial(reading, index, plant, order, limits)
            for index, entry in enumerate(reading.registers)
        )
        kinds = {entry.kind for entry in reading.registers}
        required = [] if plant is None else [k for k in plant.registers if k != "reactive"]
        estimates = 0
        if plant is not None and reading.quality in ESTIMATE_QUALITIES:
            estimates = max(self.estimates.get(i, 0) for i, _ in plant.registers.values())
        return Capture(
            read_at=reading.read_at,
            received_at=self.now,
            dials=dials,
            quality=reading.quality,
            problem=problem,
            multiplier=plant.multiplier if plant else Decimal(1),
            missing_kinds=tuple(k for k in required if k not in kinds),
            point_active=point is None or point.active,
            estimates_before=estimates,
            zone=self.zone,
            signals=self._signals(reading, point),
        )

    def _dial(
        self,
        reading: NewReading,
        index: int,
        plant: known.Plant,
        order: known.Order | None,
        limits: CheckLimits,
    ) -> DialReading:
        entry = reading.registers[index]
        register_id, dial = plant.registers.get(entry.kind, (None, None))
        if register_id is None:
            return DialReading(entry.kind, entry.value, entry.second_entry)
        line = self.timelines[register_id]
        before, after = line.before(reading.read_at), line.after(reading.read_at)
        since = before.read_at if before else None
        order_id = order.id if order else None
        fulfilled = order is not None and order.status == "done"
        standing = line.confirmed_for(order_id) if order_id is not None else None
        return DialReading(
            kind=entry.kind,
            value=entry.value,
            second_entry=entry.second_entry,
            dial=dial,
            previous=Earlier(before.value, before.read_at, before.actual) if before else None,
            next=Later(after.value, after.read_at, after.billed) if after else None,
            expectation=self._expectation(reading, entry.kind, before, order, limits),
            taken=fulfilled or standing is not None,
            standing=standing.value if standing else None,
            same_time=line.at(reading.read_at) is not None,
            unconfirmed_before=line.held_since(since, reading.read_at, order_id),
        )

    def _expectation(
        self,
        reading: NewReading,
        kind: str,
        before: Mark | None,
        order: known.Order | None,
        limits: CheckLimits,
    ) -> Expectation | None:
        """What the use since the previous reading should be: by the order, else by the history."""
        if before is None or before.read_at >= reading.read_at:
            return None
        if order is not None and "expected" in order.expectations.get(kind, {}):
            days = days_between(before.read_at, reading.read_at)
            return expectation_of(order.expectations[kind], days, limits)
        past = self.history.get((reading.service_point_id or 0, kind), ())
        return expect(past, before.read_at, reading.read_at, bands=limits.bands, slack=limits.slack)

    def _signals(self, reading: NewReading, point: known.Point | None) -> LocationSignals | None:
        """Place and pace of a device's capture; other sources have none."""
        place = reading.place
        if reading.source != "device" or place is None:
            return None
        distance = None
        if place.lat_e7 is not None and point is not None and point.lat_e7 is not None:
            distance = fast_distance_e7(
                place.lat_e7, place.lon_e7 or 0, point.lat_e7, point.lon_e7 or 0
            )
        pause, speed = self._pace(reading)
        absent = place.absent if place.lat_e7 is None else None
        return LocationSignals(
            absent=absent or ("no_fix" if place.lat_e7 is None else None),
            accuracy_m=place.accuracy_m,
            distance_m=distance,
            mock=place.mock,
            since_last_s=pause,
            speed_kmh=speed,
            clock_skew_s=place.clock_skew_s,
        )

    def _pace(self, reading: NewReading) -> tuple[float | None, float | None]:
        """Seconds since the rep's last capture and the speed in between."""
        place, staff_id = reading.place, reading.staff_id
        if place is None or staff_id is None:
            return None, None
        last = self.last_places.get(staff_id)
        self.last_places[staff_id] = (reading.read_at, place.lat_e7, place.lon_e7)
        if last is None:
            return None, None
        at, lat, lon = last
        pause = (reading.read_at - at).total_seconds()
        if lat is None or lon is None or place.lat_e7 is None or place.lon_e7 is None:
            return pause, None
        if pause <= 0:
            return pause, None
        metres = fast_distance_e7(lat, lon, place.lat_e7, place.lon_e7)
        return pause, metres / pause * 3.6

    # --- what follows from the verdict ----------------------------------------------------

    def _store(
        self,
        index: int,
        reading: NewReading,
        plant: known.Plant | None,
        order: known.Order | None,
        point: known.Point | None,
        judgement: Judgement,
    ) -> Stored:
        status = "held" if judgement.hold else "confirmed"
        if index in self.undo.withdrawn:
            status = "superseded"
        stored = self.batch.store(
            reading,
            status=status,
            plant=plant,
            order_id=order.id if order else None,
            point=point,
            judgement=judgement,
            supersedes=reading.replaces or self.undo.replaces.get(index, {}),
        )
        kinds = (entry.kind for entry in reading.registers)
        self.undo.stored(index, dict(zip(kinds, stored.reading_ids, strict=True)))
        return stored

    def _confirm(
        self,
        stored: Stored,
        reading: NewReading,
        plant: known.Plant | None,
        order: known.Order | None,
        judgement: Judgement,
    ) -> None:
        if plant is None:
            raise AssertionError("a capture without a meter is always held")
        for entry, reading_id in zip(reading.registers, stored.reading_ids, strict=True):
            register_id, dial = plant.registers[entry.kind]
            mark = Mark(
                reading.read_at,
                reading_id,
                entry.value,
                actual=reading.quality in ACTUAL_QUALITIES,
                order_id=order.id if order else None,
            )
            line = self.timelines[register_id]
            line.add(mark)
            self.batch.place(register_id, dial, plant, mark, judgement.uses.get(entry.kind))
            after = line.after(mark.read_at)
            if after is not None:
                self.batch.place(register_id, dial, plant, after)
        if order is not None:
            self._order_becomes(order, "done")

    def _hold(
        self,
        stored: Stored,
        reading: NewReading,
        plant: known.Plant | None,
        order: known.Order | None,
        judgement: Judgement,
        code: str,
    ) -> None:
        self.batch.review(stored, reading, judgement)
        if plant is not None and code != "reading.duplicate":
            self._mark_held(stored, reading, plant)
        if order is not None and order.status in ("open", "skipped"):
            self._order_becomes(order, "held")

    def _mark_held(self, stored: Stored, reading: NewReading, plant: known.Plant) -> None:
        for entry, reading_id in zip(reading.registers, stored.reading_ids, strict=True):
            if entry.kind in plant.registers:
                register_id, _ = plant.registers[entry.kind]
                mark = Mark(
                    reading.read_at,
                    reading_id,
                    entry.value,
                    confirmed=False,
                    order_id=stored.order_id,
                )
                self.timelines[register_id].add(mark)

    def _order_becomes(self, order: known.Order, status: str) -> None:
        if order.status != status:
            order.status = status
            self.batch.order_becomes(order)

    # --- taking back ----------------------------------------------------------------------

    def _take_back(self) -> None:
        """Take superseded readings out of their time lines before anything is judged."""
        dials = known.dials(self.plant) if self.undo.rows else {}
        for target in self.undo.rows:
            order = self.orders.get(target.order_id or 0)
            if order is not None and order.status in ("done", "held"):
                self._order_becomes(order, "open")
            self.batch.take_back(target)
            if target.register_id is None:
                continue
            line = self.timelines[target.register_id]
            mark = line.remove(target.reading_id)
            after = line.after(target.read_at)
            owner = dials.get(target.register_id)
            if mark is not None and mark.confirmed and after is not None and owner is not None:
                self.batch.place(target.register_id, *owner, after)


def _given_away(
    reading: NewReading, point: known.Point | None, order: known.Order | None
) -> str | None:
    """The code for a rep who read a route that is not his any more; a second reading says more."""
    if reading.source != "device" or point is None or point.route_id is None:
        return None
    if order is not None and order.status == "done":
        return None
    return None if point.reader_id == reading.staff_id else "reading.not_your_route"


def expectation_of(stored: Mapping[str, str], days: Decimal, limits: CheckLimits) -> Expectation:
    """The expectation an order carries, for the days that really passed.

    The order's own limits hold as long as the period is about as long as planned; for another
    length the expected quantity is scaled by days and the limits follow from it.
    """
    expected = Decimal(stored["expected"])
    planned = Decimal(stored.get("days", days))
    if abs(days - planned) > max(Decimal(3), planned * Decimal("0.15")) and planned > 0:
        scaled = (expected * days / planned).quantize(Decimal("0.1"))
        return around(scaled, bands=limits.bands, slack=limits.slack)
    usual = around(expected, bands=limits.bands, slack=limits.slack)
    low = Decimal(stored.get("low", usual.low))
    high = Decimal(stored.get("high", usual.high))
    return Expectation(expected, low, high, min(low, usual.hold_low), max(high, usual.hold_high))


def _verdict(
    stored: Stored, reading: NewReading, verdict: str, code: str | None, judgement: Judgement
) -> Judged:
    finding = judgement.hold or judgement.warning
    kind = finding.kind if finding else None
    point = stored.point
    bills = verdict == "applied" and code != "reading.superseded" and point is not None
    return Judged(
        verdict=verdict,
        code=code,
        message=MESSAGES.get(code) if code else None,
        field=f"registers.{kind}" if kind else None,
        reading_ids=stored.reading_ids,
        order_id=stored.order_id,
        service_point_id=reading.service_point_id,
        account_id=point.account_id if point else None,
        bill_now=bills
        and point is not None
        and point.read_and_bill
        and reading.reason in BILLING_REASONS,
        findings=judgement.findings,
    )


def _with_consumption(judged: Judged, used: Mapping[int, int]) -> Judged:
    ids = tuple(used[i] for i in judged.reading_ids if i in used)
    return replace(judged, consumption_ids=ids) if ids else judged
