"""Confirmed readings of the past: put in their place by read time, and the use between them.

Readings that an import brings are confirmed as they are: the earlier system has judged and,
unless it is said otherwise, billed them. A confirmed reading is never changed; a reading that
lies before a use that this system has billed is refused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update

from server.accounts.models import Installation, Meter, Register, ServicePoint
from server.db import Session, insert_rows, take_ids
from server.imports.store import count
from server.imports.subject import Chunk, Row
from server.metering.models import Consumption, Reading
from server.metering.rules.consumption import Dial, Use, between, rolled_over, true_up
from server.metering.rules.findings import ACTUAL_QUALITIES

_STEP = Decimal("0.000001")


@dataclass(frozen=True)
class Hanging:
    """A meter at a point for a time, with its dials by kind: (register id, dial)."""

    id: int
    point_id: int
    account_id: int
    serial: str
    multiplier: Decimal
    installed_at: datetime
    removed_at: datetime | None
    dials: Mapping[str, tuple[int, Dial]]

    def covers(self, at: datetime) -> bool:
        """Tell whether the meter hung here at an instant, its removal included."""
        return self.installed_at <= at and (self.removed_at is None or at <= self.removed_at)


@dataclass(frozen=True)
class Past:
    """A reading to bring in; ``row`` and ``column`` are where it came from."""

    row: Row
    column: str
    hanging: Hanging
    kind: str
    value: Decimal
    read_at: datetime
    reason: str
    quality: str
    billed: bool


@dataclass(frozen=True)
class StoredUse:
    """The use that ends at a reading as it stands in the database."""

    id: int
    billed: bool
    settled: bool

    @classmethod
    def of(cls, number: int | None, bill_id: int | None, status: str | None) -> StoredUse | None:
        """The use, or None where no use ends at the reading."""
        return None if number is None else cls(number, bill_id is not None, status == "settled")


@dataclass(order=True)
class Mark:
    """A reading on the time line of its dial; ``id`` is 0 until it is stored."""

    read_at: datetime
    value: Decimal = field(compare=False)
    quality: str = field(compare=False)
    id: int = field(compare=False, default=0)
    use: StoredUse | None = field(compare=False, default=None)
    past: Past | None = field(compare=False, default=None)


def hangings(session: Session, point_ids: Sequence[int]) -> dict[int, list[Hanging]]:
    """Every installation of the points by point, the earliest first."""
    rows = session.execute(
        select(
            Installation.id,
            Installation.service_point_id,
            ServicePoint.account_id,
            Meter.serial,
            Installation.multiplier,
            Installation.installed_at,
            Installation.removed_at,
            Register.id,
            Register.kind,
            Register.integer_digits,
            Register.decimals,
        )
        .join(Meter, Meter.id == Installation.meter_id)
        .join(Register, Register.meter_id == Meter.id)
        .join(ServicePoint, ServicePoint.id == Installation.service_point_id)
        .where(Installation.service_point_id.in_(sorted(point_ids)))
        .order_by(Installation.installed_at, Installation.id)
    )
    dials: dict[int, dict[str, tuple[int, Dial]]] = defaultdict(dict)
    heads: dict[int, tuple[int, int, int, str, Decimal, datetime, datetime | None]] = {}
    for row in rows:
        heads[row[0]] = (row[0], row[1], row[2], row[3], row[4], row[5], row[6])
        dials[row[0]][row[8]] = (row[7], Dial(row[8], row[9], row[10]))
    found: dict[int, list[Hanging]] = defaultdict(list)
    for number, head in heads.items():
        found[head[1]].append(Hanging(*head, dials[number]))
    return found


def bring_in(session: Session, chunk: Chunk, readings: Sequence[Past]) -> None:
    """Store readings of the past and the use between neighbours; bad ones are refused."""
    registers = {r.hanging.dials[r.kind][0] for r in readings}
    lines = _time_lines(session, registers)
    placed: dict[int, list[Mark]] = defaultdict(list)
    unchanged: set[int] = set()
    for past in sorted(readings, key=lambda p: p.read_at):
        register_id, dial = past.hanging.dials[past.kind]
        verdict = _place(chunk, lines[register_id], past, dial)
        if verdict is None:
            unchanged.add(past.row.line)
        elif verdict:
            placed[register_id].append(verdict[0])
    new = [mark for marks in placed.values() for mark in marks]
    _store(session, chunk, new)
    _store_uses(session, chunk, lines, placed)
    added = {mark.past.row.line for mark in new if mark.past}
    count(chunk, len(added), 0, len(unchanged - added))


def _time_lines(session: Session, registers: set[int]) -> dict[int, list[Mark]]:
    rows = session.execute(
        select(
            Reading.register_id,
            Reading.id,
            Reading.read_at,
            Reading.value,
            Reading.quality,
            Consumption.id,
            Consumption.bill_id,
            Consumption.status,
        )
        .outerjoin(
            Consumption,
            (Consumption.reading_id == Reading.id) & (Consumption.status != "superseded"),
        )
        .where(Reading.register_id.in_(sorted(registers)), Reading.status == "confirmed")
        .order_by(Reading.read_at)
    )
    lines: dict[int, list[Mark]] = defaultdict(list)
    for register_id, number, read_at, value, quality, use_id, bill_id, status in rows:
        if register_id is None or value is None:  # Confirmed readings have both.
            continue
        lines[register_id].append(
            Mark(read_at, value, quality, number, StoredUse.of(use_id, bill_id, status))
        )
    return lines


def _place(chunk: Chunk, line: list[Mark], past: Past, dial: Dial) -> list[Mark] | None:
    """Put a reading on its time line: its mark, an empty list when refused, None when known."""
    if not dial.shows(past.value):
        reason = f"cannot be shown by {dial.integer_digits} digits and {dial.decimals} places"
        chunk.refuse(past.row, past.column, "import.digits", reason)
        return []
    index = bisect_left(line, past.read_at, key=lambda mark: mark.read_at)
    after = line[index] if index < len(line) else None
    if after is not None and after.read_at == past.read_at:
        if after.value == past.value:
            return None
        reason = f"differs from the confirmed reading {after.value:f} of that moment"
        chunk.refuse(past.row, past.column, "import.reading_differs", reason)
        return []
    if after is not None and after.use is not None and after.use.billed:
        reason = "lies before a reading that has been billed here"
        chunk.refuse(past.row, past.column, "import.before_billed", reason)
        return []
    mark = Mark(past.read_at, past.value, past.quality, past=past)
    before = line[index - 1] if index else None
    if before is not None and _use(before, mark, dial, past.hanging, line[:index]) is None:
        reason = f"is below {before.value:f} of {before.read_at:%Y-%m-%d} and no rollover"
        chunk.refuse(past.row, past.column, "import.below_previous", reason)
        return []
    if after is not None and _use(mark, after, dial, past.hanging, [*line[:index], mark]) is None:
        reason = f"is above {after.value:f} of {after.read_at:%Y-%m-%d} and no rollover"
        chunk.refuse(past.row, past.column, "import.above_next", reason)
        return []
    line.insert(index, mark)
    return [mark]


def _use(
    before: Mark, after: Mark, dial: Dial, hanging: Hanging, line: Sequence[Mark]
) -> Use | None:
    """The use between neighbours; a dial may pass zero when the use is like those before."""
    actual = before.quality in ACTUAL_QUALITIES
    use = between(
        before.value,
        after.value,
        dial,
        hanging.multiplier,
        previous_actual=actual,
        expected=_expected(line, after.read_at, dial, hanging.multiplier),
    )
    if use is None and not actual:
        return true_up(before.value, after.value, hanging.multiplier)
    return use


def _expected(
    line: Sequence[Mark], until: datetime, dial: Dial, multiplier: Decimal
) -> Decimal | None:
    """What should have been used since the last of the line, by the two readings before it."""
    if len(line) < 2:
        return None
    first, last = line[-2], line[-1]
    seconds = Decimal((last.read_at - first.read_at).total_seconds())
    passed = Decimal((until - last.read_at).total_seconds())
    used = (last.value - first.value) % dial.modulus * multiplier
    return used * passed / seconds


def _store(session: Session, chunk: Chunk, marks: Sequence[Mark]) -> None:
    ids = take_ids(session, {Reading: len(marks)}).get(Reading, [])
    rows = []
    for number, mark in zip(ids, marks, strict=True):
        mark.id = number
        if (past := mark.past) is not None:
            rows.append(_reading_row(chunk, number, past))
    insert_rows(session, Reading, rows)


def _reading_row(chunk: Chunk, number: int, past: Past) -> dict[str, Any]:
    return {
        "id": number,
        "created_at": chunk.now,
        "service_point_id": past.hanging.point_id,
        "installation_id": past.hanging.id,
        "register_id": past.hanging.dials[past.kind][0],
        "register_kind": past.kind,
        "meter_serial": past.hanging.serial,
        "value": past.value,
        "read_at": past.read_at,
        "quality": past.quality,
        "reason": past.reason,
        "source": "import",
        "status": "confirmed",
        "confirmed_at": chunk.now,
    }


def _store_uses(
    session: Session,
    chunk: Chunk,
    lines: Mapping[int, list[Mark]],
    placed: Mapping[int, list[Mark]],
) -> None:
    """Write the uses that new readings end or split; a split use is superseded."""
    rows, superseded = [], []
    for register_id, marks in placed.items():
        line = lines[register_id]
        new = {mark.id for mark in marks}
        for index in range(1, len(line)):
            before, after = line[index - 1], line[index]
            if after.id not in new and before.id not in new:
                continue
            past = after.past or before.past
            if past is None:
                continue
            if after.use is not None:
                superseded.append(after.use.id)
            rows.append(_use_row(chunk, line, index, past))
    if superseded:
        session.execute(
            update(Consumption).where(Consumption.id.in_(superseded)).values(status="superseded")
        )
    insert_rows(session, Consumption, rows)


def _use_row(chunk: Chunk, line: Sequence[Mark], index: int, past: Past) -> dict[str, Any]:
    before, after = line[index - 1], line[index]
    dial = past.hanging.dials[past.kind][1]
    use = _use(before, after, dial, past.hanging, line[:index])
    if use is None:  # The gate was open when the reading was placed; later marks moved it.
        use = rolled_over(before.value, after.value, dial, past.hanging.multiplier)
    settled = after.past.billed if after.past else after.use is None or after.use.settled
    return {
        "created_at": chunk.now,
        "service_point_id": past.hanging.point_id,
        "account_id": past.hanging.account_id,
        "register_kind": past.kind,
        "reading_id": after.id,
        "previous_reading_id": before.id,
        "from_at": before.read_at,
        "to_at": after.read_at,
        "quantity": use.quantity.quantize(_STEP),
        "method": str(use.method),
        "status": "settled" if settled else "active",
    }
