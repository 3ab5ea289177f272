"""What every household of the demo has when it is loaded: dial, history, oddities; pure.

Everything follows from the shipped data and the day of the load, so that two loads on one day
give the same company.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal

from server.demo.households import Curve, Home, Month, MonthUse, month_after, shifted

DIGITS = 5
MODULUS = 100_000
MOST_MONTHS = 24
FIRST_READING = time(8, 20)
BETWEEN_READINGS = timedelta(minutes=3)

EXCHANGED = 14
"""The household whose meter was exchanged some days ago: both dials are on the next bill."""
INACTIVE = 77
"""The household whose point is inactive although its dial turns."""
MISPLACED = 52
"""The household whose position is two kilometres off."""
ROLLING_OVER = 33
"""The household whose dial passes zero in this period."""
MISREAD = 61
"""The household that sent in a reading of its own that cannot be right."""

NEW_METER_STARTS_AT = 12
EXCHANGED_BEFORE = timedelta(days=9)


@dataclass(frozen=True)
class PlannedReading:
    """A dial at a moment (aware); ``reason`` and ``meter`` tell exchanges apart."""

    read_at: datetime
    value: int
    reason: str = "01"
    meter: int = 0


@dataclass(frozen=True)
class TrueDial:
    """What really stands on a meter now: the dial at a moment and what it gains a day."""

    value: Decimal
    as_of: datetime
    per_day: Decimal


@dataclass(frozen=True)
class PlannedHome:
    """A home with its readings, oldest first, and its true dial."""

    home: Home
    readings: tuple[PlannedReading, ...]
    dial: TrueDial
    serials: tuple[str, ...]
    opening_balance: Decimal
    settled: int = field(default=0)

    @property
    def history(self) -> tuple[PlannedReading, ...]:
        """The readings whose use was billed before this system."""
        return self.readings[: self.settled]


def plan(
    homes: Sequence[Home], consumption: Mapping[int, Mapping[Month, MonthUse]], today: datetime
) -> list[PlannedHome]:
    """Plan every home for a load at ``today``, an aware local moment."""
    return [_plan_home(home, consumption[home.household], today) for home in homes]


def reading_day(today: datetime) -> int:
    """The day of the month on which the routes are read: today's, so that a month lies between."""
    return min(today.day, 28)


def _plan_home(home: Home, uses: Mapping[Month, MonthUse], today: datetime) -> PlannedHome:
    last = month_after((today.year, today.month), -1)
    curve = Curve(shifted(uses, last), last)
    moments = _moments(home, curve.first, last, today)
    start = _dial_start(home, curve, moments)
    readings = [PlannedReading(m, int(start + curve.at(m)) % MODULUS) for m in moments]
    at, settled = moments[-1], len(readings)
    value = start + curve.at(at)
    per_day = max((curve.at(today) - curve.at(at)) / _days(at, today), Decimal("0.5"))
    dial = TrueDial(value % MODULUS, at, per_day.quantize(Decimal("0.001")))
    if home.household == EXCHANGED:
        dial, exchange = _exchange(dial, today)
        readings += exchange
    return PlannedHome(home, tuple(readings), dial, _serials(home), _opening(home), settled)


def _moments(home: Home, first: Month, last: Month, today: datetime) -> list[datetime]:
    """When the home was read: once a month up to last month, each stop some minutes on."""
    start = max(month_after(first), month_after(last, -MOST_MONTHS))
    minute = timedelta(hours=FIRST_READING.hour, minutes=FIRST_READING.minute)
    minute += BETWEEN_READINGS * home.sequence
    moments, month = [], start
    while month <= last:
        day = datetime(month[0], month[1], reading_day(today), tzinfo=today.tzinfo)
        moments.append(day + minute)
        month = month_after(month)
    return moments


def _dial_start(home: Home, curve: Curve, moments: Sequence[datetime]) -> int:
    """What the dial showed when the record began: any age, none passes zero but the one that is to."""
    if home.household == ROLLING_OVER:
        return int(MODULUS - 8 - curve.at(moments[-1]))
    return 1000 + home.household * 7919 % 45_000


def _exchange(dial: TrueDial, today: datetime) -> tuple[TrueDial, list[PlannedReading]]:
    """The old meter's final reading, the new meter's first, and the new dial."""
    at = max(today - EXCHANGED_BEFORE, dial.as_of + timedelta(days=1))
    final = int(dial.value + dial.per_day * _days(dial.as_of, at)) % MODULUS
    new = TrueDial(Decimal(NEW_METER_STARTS_AT), at, dial.per_day)
    readings = [
        PlannedReading(at, final, reason="22"),
        PlannedReading(at, NEW_METER_STARTS_AT, reason="21", meter=1),
    ]
    return new, readings


def _serials(home: Home) -> tuple[str, ...]:
    """The serial numbers of the home's meters, the old one first."""
    first = f"DDS{20_140_000 + home.household:08d}"
    if home.household == EXCHANGED:
        return first, f"DDZ{26_000_000 + home.household:08d}"
    return (first,)


def _opening(home: Home) -> Decimal:
    """The balance brought over: most have paid to the yuan, some in advance, a few owe a little."""
    if home.household % 4 == 1:
        return Decimal(1500 + home.household * 13 % 1500)
    if home.household % 9 == 0:
        return Decimal(-(home.household % 40)) - Decimal("12.30")
    return Decimal(home.household * 7 % 30)


def _days(start: datetime, end: datetime) -> Decimal:
    return Decimal(int((end - start).total_seconds())) / 86_400
