"""Hours, gaps and uses of interval readings; pure. Values are dial units, quantities units of supply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from server.metering.rules.consumption import Dial, between

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Hours without a value: the first and last of them, and how many."""

    first: datetime
    last: datetime

    @property
    def hours(self) -> int:
        """How many hours are missing."""
        return int((self.last - self.first) / HOUR) + 1


@dataclass(frozen=True, slots=True)
class Shown:
    """What the dial showed on the hour."""

    at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """What was used from one value to the next; None when the dial seems to have gone back."""

    from_at: datetime
    to_at: datetime
    quantity: Decimal | None


def on_the_hour(at: datetime) -> bool:
    """Whether an instant is a full hour of UTC, as it is in every zone of whole hours."""
    return at.minute == 0 and at.second == 0 and at.microsecond == 0


def gaps(
    hours: Iterable[datetime], since: datetime | None = None, until: datetime | None = None
) -> list[Gap]:
    """The missing hours between ascending full hours, and those towards both ends where given.

    Args:
        since: the first hour that should be there.
        until: the last hour that should be there.
    """
    known: list[datetime] = list(hours)
    if since is not None:
        known.insert(0, since - HOUR)
    if until is not None:
        known.append(until + HOUR)
    return [
        Gap(earlier + HOUR, later - HOUR)
        for earlier, later in pairwise(known)
        if later - earlier > HOUR
    ]


def spans(values: Sequence[Shown], dial: Dial, multiplier: Decimal) -> list[Span]:
    """The use between each value and the next; over a gap it is one span of several hours."""
    return [
        Span(a.at, b.at, use_of(a.value, b.value, dial, multiplier)) for a, b in pairwise(values)
    ]


def use_of(earlier: Decimal, later: Decimal, dial: Dial, multiplier: Decimal) -> Decimal | None:
    """The use between two values of one dial, passing zero where that is likely; else None."""
    use = between(earlier, later, dial, multiplier)
    return use.quantity if use is not None else None
