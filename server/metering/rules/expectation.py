"""What a period should use, and how far from it a reading may be.

The same period of last year by its day-average; where that is not known, the mean of the last
three actual periods. Quantities are in units of supply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

YEAR = timedelta(days=365)
_DAY = Decimal(86_400)
_STEP = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class PastUse:
    """A use of the past: from, to, quantity, and whether both its readings were actual."""

    from_at: datetime
    to_at: datetime
    quantity: Decimal
    actual: bool = True


@dataclass(frozen=True, slots=True)
class Band:
    """How far a use may be from what was expected, for expected quantities of ``start`` and more.

    ``warn`` makes the rep look again, ``hold`` keeps the reading for the office. Each is a pair
    (share above, share below).
    """

    start: Decimal
    warn: tuple[Decimal, Decimal]
    hold: tuple[Decimal, Decimal]


BANDS = (
    Band(Decimal(0), (Decimal("0.70"), Decimal("0.40")), (Decimal("0.70"), Decimal("0.40"))),
    Band(Decimal(100), (Decimal("0.60"), Decimal("0.30")), (Decimal("0.65"), Decimal("0.35"))),
    Band(Decimal(1000), (Decimal("0.50"), Decimal("0.20")), (Decimal("0.50"), Decimal("0.20"))),
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a period should use, the limits for a second look, and the limits for a hold."""

    expected: Decimal
    low: Decimal
    high: Decimal
    hold_low: Decimal
    hold_high: Decimal


def days_between(start: datetime, end: datetime) -> Decimal:
    """The days from one instant to another, with their fraction, exact to the second."""
    return Decimal(int((end - start).total_seconds())) / _DAY


def expect(
    history: Sequence[PastUse],
    start: datetime,
    end: datetime,
    *,
    bands: Sequence[Band] = BANDS,
    slack: Decimal = Decimal(0),
    coverage: Decimal = Decimal("0.8"),
) -> Expectation | None:
    """What the time from ``start`` to ``end`` should use, or None when nothing is known.

    Args:
        history: past uses of the same register kind at the same point, in any order.
        start: the previous reading.
        end: the reading to judge.
        bands: the shares that the limits lie above and below.
        slack: limits are never nearer to the expected quantity than this.
        coverage: the share of last year's period that must be known for it to be used.
    """
    daily = _last_year(history, start - YEAR, end - YEAR, coverage)
    if daily is None:
        daily = _recent(history, start)
    if daily is None:
        return None
    return around((daily * days_between(start, end)).quantize(_STEP), bands=bands, slack=slack)


def around(
    expected: Decimal, *, bands: Sequence[Band] = BANDS, slack: Decimal = Decimal(0)
) -> Expectation:
    """The limits that belong to an expected quantity."""
    band = bands[0]
    for candidate in bands:
        if expected >= candidate.start:
            band = candidate
    low, high = _limits(expected, band.warn, slack)
    hold_low, hold_high = _limits(expected, band.hold, slack)
    return Expectation(expected, low, high, hold_low, hold_high)


def _limits(
    expected: Decimal, shares: tuple[Decimal, Decimal], slack: Decimal
) -> tuple[Decimal, Decimal]:
    above, below = shares
    low = expected - max(expected * below, slack)
    high = expected + max(expected * above, slack)
    return max(low, Decimal(0)).quantize(_STEP), high.quantize(_STEP)


def _last_year(
    history: Sequence[PastUse], start: datetime, end: datetime, coverage: Decimal
) -> Decimal | None:
    """The day-average of the known part of a time, when enough of it is known."""
    known = quantity = Decimal(0)
    for use in history:
        overlap = days_between(max(use.from_at, start), min(use.to_at, end))
        length = days_between(use.from_at, use.to_at)
        if overlap > 0 and length > 0:
            known += overlap
            quantity += use.quantity * overlap / length
    if known <= 0 or known < coverage * days_between(start, end):
        return None
    return quantity / known


def _recent(history: Sequence[PastUse], before: datetime, count: int = 3) -> Decimal | None:
    """The day-average of the last actual periods that ended before an instant."""
    actual = [use for use in history if use.actual and use.to_at <= before]
    latest = sorted(actual, key=lambda use: use.to_at)[-count:]
    days = sum((days_between(use.from_at, use.to_at) for use in latest), Decimal(0))
    if days <= 0:
        return None
    return sum((use.quantity for use in latest), Decimal(0)) / days
