"""The readings of a register in the order they were read, whatever the order they arrived in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(slots=True, order=True)
class Mark:
    """A reading on the time line of its register."""

    read_at: datetime
    reading_id: int
    value: Decimal = field(compare=False)
    confirmed: bool = field(compare=False, default=True)
    actual: bool = field(compare=False, default=True)
    order_id: int | None = field(compare=False, default=None)
    consumption_id: int | None = field(compare=False, default=None)
    billed: bool = field(compare=False, default=False)


class Timeline:
    """The readings of one register in the order they were read, whenever they arrived."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._confirmed: list[Mark] = []
        self._held: list[Mark] = []
        for mark in marks:
            self.add(mark)

    def add(self, mark: Mark) -> None:
        """Put a reading in its place."""
        insort(self._confirmed if mark.confirmed else self._held, mark)

    def remove(self, reading_id: int) -> Mark | None:
        """Take a reading out and return it."""
        for marks in (self._confirmed, self._held):
            for mark in marks:
                if mark.reading_id == reading_id:
                    marks.remove(mark)
                    return mark
        return None

    def before(self, at: datetime) -> Mark | None:
        """The latest confirmed reading before an instant."""
        index = bisect_left(self._confirmed, at, key=_read_at)
        return self._confirmed[index - 1] if index else None

    def after(self, at: datetime) -> Mark | None:
        """The earliest confirmed reading after an instant."""
        index = bisect_right(self._confirmed, at, key=_read_at)
        return self._confirmed[index] if index < len(self._confirmed) else None

    def at(self, at: datetime) -> Mark | None:
        """The confirmed reading of exactly this instant."""
        index = bisect_left(self._confirmed, at, key=_read_at)
        found = self._confirmed[index] if index < len(self._confirmed) else None
        return found if found is not None and found.read_at == at else None

    def held_since(self, start: datetime | None, end: datetime, order_id: int | None) -> bool:
        """Tell whether a reading of another order is held between two instants."""
        return any(
            (start is None or mark.read_at > start)
            and mark.read_at < end
            and (order_id is None or mark.order_id != order_id)
            for mark in self._held
        )

    def confirmed_for(self, order_id: int) -> Mark | None:
        """The confirmed reading of this register that fulfils an order."""
        return next((mark for mark in self._confirmed if mark.order_id == order_id), None)


def _read_at(mark: Mark) -> datetime:
    return mark.read_at
