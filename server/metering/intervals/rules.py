"""Hours, gaps and uses of interval readings; pure. Values are dial units, quantities units of supply."""

from __future__ import annotations

from collections.abc import Iterable
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


def use_of(earlier: Decimal, later: Decimal, dial: Dial, multiplier: Decimal) -> Decimal | None:
    """The use between two values of one dial, passing zero where that is likely; else None."""
    use = between(earlier, later, dial, multiplier)
    return use.quantity if use is not None else None
