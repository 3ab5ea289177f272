"""Taking over readings from an earlier system, and the initial readings of meters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from server import clock
from server.db import Session, insert_rows, take_ids
from server.metering.models import Consumption, Reading
from server.metering.rules.checks import ACTUAL_QUALITIES
from server.metering.service import context as known
from server.metering.service.batch import use_between

_SLICE = 2000


@dataclass(frozen=True, slots=True)
class PastReading:
    """A reading that was confirmed elsewhere."""

    service_point_id: int
    meter_serial: str
    kind: str
    value: Decimal
    read_at: datetime
    reason: str = "01"
    quality: str = "regular"


@dataclass(frozen=True, slots=True)
class Refused:
    """A past reading that was left out, by its index, and why."""

    index: int
    code: str


def take_over(
    session: Session, readings: Sequence[PastReading], *, settled: bool = True
) -> list[Refused]:
    """Store past readings as confirmed, with the uses between them; return what was left out.

    A reading that is there already is left out silently, so that an import can be run again.
    Only readings after the last one of their register are taken: history is taken over before
    work starts. A reading of reason 21 (installation) starts a use and ends none.

    Args:
        settled: the uses were billed by the earlier system and never will be by this one.
    """
    refused: list[Refused] = []
    for start in range(0, len(readings), _SLICE):
        part = list(enumerate(readings[start : start + _SLICE], start=start))
        refused += _take(session, part, settled=settled)
    return refused


def _take(
    session: Session, readings: list[tuple[int, PastReading]], *, settled: bool
) -> list[Refused]:
    points = known.load_points(session, known.ids(r.service_point_id for _, r in readings))
    plants = known.load_plant(session, points)
    registers = {
        register_id
        for hung in plants.values()
        for plant in hung
        for register_id, _ in plant.registers.values()
    }
    first = min(reading.read_at for _, reading in readings)
    lines = known.load_timelines(session, registers, first)
    ids = take_ids(session, {Reading: len(readings), Consumption: len(readings)})
    numbers, use_numbers = iter(ids[Reading]), iter(ids[Consumption])
    refused: list[Refused] = []
    rows: dict[type, list[dict[str, Any]]] = defaultdict(list)
    now = clock.now()
    for index, reading in sorted(readings, key=lambda item: item[1].read_at):
        plant = _plant(plants.get(reading.service_point_id, ()), reading)
        if plant is None:
            refused.append(Refused(index, "reading.not_installed"))
            continue
        register_id, dial = plant.registers[reading.kind]
        line = lines[register_id]
        if line.at(reading.read_at) is not None:
            continue
        code = _refusal(line, reading, plant)
        if code is not None:
            refused.append(Refused(index, code))
            continue
        before = line.before(reading.read_at)
        mark = known.Mark(
            reading.read_at,
            next(numbers),
            reading.value,
            actual=reading.quality in ACTUAL_QUALITIES,
        )
        line.add(mark)
        rows[Reading].append(_reading_row(mark, reading, plant, register_id, now))
        if before is not None and reading.reason != "21":
            use = use_between(before, mark, dial, plant.multiplier)
            rows[Consumption].append(
                {
                    "id": next(use_numbers),
                    "created_at": now,
                    "service_point_id": reading.service_point_id,
                    "account_id": points[reading.service_point_id].account_id,
                    "register_kind": reading.kind,
                    "reading_id": mark.reading_id,
                    "previous_reading_id": before.reading_id,
                    "from_at": before.read_at,
                    "to_at": mark.read_at,
                    "quantity": use.quantity,
                    "method": str(use.method),
                    "status": "settled" if settled else "active",
                }
            )
    insert_rows(session, Reading, rows[Reading])
    insert_rows(session, Consumption, rows[Consumption])
    return refused


def _plant(plants: Sequence[known.Plant], reading: PastReading) -> known.Plant | None:
    """The installation of the meter; its final reading is taken at the instant it ends."""
    for plant in plants:
        ends = plant.removed_at == reading.read_at and reading.reason == "22"
        named = plant.serial == reading.meter_serial and reading.kind in plant.registers
        if named and (plant.in_force(reading.read_at) or ends):
            return plant
    return None


def _refusal(line: known.Timeline, reading: PastReading, plant: known.Plant) -> str | None:
    _, dial = plant.registers[reading.kind]
    if not dial.shows(reading.value):
        return "reading.digits"
    if line.after(reading.read_at) is not None:
        return "reading.before_previous"
    return None


def _reading_row(
    mark: known.Mark,
    reading: PastReading,
    plant: known.Plant,
    register_id: int,
    now: datetime,
) -> dict[str, Any]:
    return {
        "id": mark.reading_id,
        "created_at": now,
        "service_point_id": reading.service_point_id,
        "installation_id": plant.installation_id,
        "register_id": register_id,
        "register_kind": reading.kind,
        "meter_serial": reading.meter_serial,
        "value": reading.value,
        "read_at": reading.read_at,
        "quality": reading.quality,
        "reason": reading.reason,
        "source": "import",
        "status": "confirmed",
        "confirmed_at": now,
    }
