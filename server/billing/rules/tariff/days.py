"""Days of a period: its tariff versions, seasons and calendar years, and how long months are."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from server.billing.rules.tariff.model import SIXTH, ZERO, Season, Usage, Version
from server.billing.rules.tariff.money import share
from server.errors import Invalid

Span = tuple[date, date]
"""The day after which a span begins, the day until which it lasts."""

_DAY = timedelta(days=1)
_LEAP_DAY = (2, 29)


def valid_on(versions: Sequence[Version], day: date) -> Version | None:
    """The version that is valid on a day."""
    found = None
    for version in versions:
        is_valid = version.valid_from <= day and (
            version.valid_to is None or day <= version.valid_to
        )
        if is_valid and (found is None or version.valid_from > found.valid_from):
            found = version
    return found


def version_spans(
    versions: Sequence[Version], after: date, until: date
) -> list[tuple[Version, date, date]]:
    """Which version holds for which days of a period.

    A new version splits the period by days, holds for all of it (``value_at_end``), or does not
    hold for it yet (``value_at_start``), as it says itself. Days before the first version, and
    days that no version names, belong to the version beside them.

    Raises:
        Invalid: ``tariff.not_valid`` when no version is valid on the last day.
    """
    last = valid_on(versions, until)
    if last is None:
        raise Invalid("tariff.not_valid", f"No tariff version is valid on {until}.")
    first_day = min(after + _DAY, until)
    if last.valid_from <= first_day:
        return [(last, after, until)]
    changes = sorted(
        (v for v in versions if first_day < v.valid_from <= until), key=lambda v: v.valid_from
    )
    spans: list[tuple[Version, date]] = []
    opening = valid_on(versions, first_day)
    if opening is not None:
        spans.append((opening, after))
    for version in changes:
        if not spans or version.tariff.change == "value_at_end":
            spans = [(version, after)]
        elif version.tariff.change == "split":
            spans.append((version, version.valid_from - _DAY))
    ends = [start for _, start in spans[1:]] + [until]
    return [(version, start, end) for (version, start), end in zip(spans, ends, strict=True)]


def year_spans(after: date, until: date) -> list[tuple[date, date, int]]:
    """A span by calendar years."""
    first = min(after + _DAY, until)
    if first.year == until.year:
        return [(after, until, until.year)]
    ends = [date(year, 12, 31) for year in range(first.year, until.year)]
    return [
        (start, end, end.year) for start, end in zip([after, *ends], [*ends, until], strict=True)
    ]


def season_spans(season: Season, after: date, until: date) -> list[Span]:
    """The parts of a span that lie in a season."""
    if after == until:
        return [(after, until)] if season.covers(until) else []
    spans = []
    for year in range(after.year - 1, until.year + 1):
        first = _day_of(year, season.first)
        over_new_year = season.last < season.first
        last = _last_day(year + over_new_year, season.last)
        start, end = max(after, first - _DAY), min(until, last)
        if start < end:
            spans.append((start, end))
    return spans


def _day_of(year: int, at: tuple[int, int]) -> date:
    """A day of a year; 29 February is 1 March where there is none."""
    if at == _LEAP_DAY and monthrange(year, 2)[1] == 28:
        return date(year, 3, 1)
    return date(year, *at)


def _last_day(year: int, at: tuple[int, int]) -> date:
    """The last day of a season; 29 February is 28 February where there is none."""
    return date(year, at[0], min(at[1], monthrange(year, at[0])[1]))


def months(after: date, until: date, part_months: str) -> Decimal:
    """How many months a span has.

    ``calendar_days``: each day is one part of its month's days; ``thirtieths``: each day is 1/30
    month; ``month_ends``: a month counts where its last day lies.
    """
    if part_months == "thirtieths":
        return Decimal((until - after).days) / 30
    counted = ZERO
    for days, length, has_end in _month_parts(after, until):
        counted += has_end if part_months == "month_ends" else Decimal(days) / length
    return counted


def _month_parts(after: date, until: date) -> Iterator[tuple[int, int, bool]]:
    """(days, days of the month, has its last day) of each month that a span touches."""
    first = after + _DAY
    while first <= until:
        length = monthrange(first.year, first.month)[1]
        last = first.replace(day=length)
        yield (min(last, until) - first).days + 1, length, last <= until
        first = last + _DAY


def quantity_between(
    usage: Usage, registers: Sequence[str], after: date, until: date, unit: Decimal
) -> Decimal:
    """What registers counted together in a span of a usage.

    A use is spread evenly over its days; shares of a whole quantity are multiples of ``unit``,
    and the shares of all spans add up. A use of no days (two readings of one day) counts on its
    day, the first day of a usage included.
    """
    counted = _quantity_until(usage, registers, until, unit)
    if after == usage.after:
        return counted
    return counted - _quantity_until(usage, registers, after, unit)


def _quantity_until(usage: Usage, registers: Sequence[str], day: date, unit: Decimal) -> Decimal:
    total = ZERO
    for part in usage.parts:
        if part.register not in registers:
            continue
        if day >= part.until:
            total += part.quantity
        elif day > part.after:
            is_whole = part.quantity == part.quantity.to_integral_value()
            days, of_days = (day - part.after).days, (part.until - part.after).days
            total += share(part.quantity, days, of_days, unit if is_whole else SIXTH)
    return total


def split_by_year(
    start: date, end: date, quantity: Decimal, unit: Decimal = Decimal(1)
) -> list[tuple[int, Decimal]]:
    """The share of each calendar year of what was used after ``start`` until ``end``, by days.

    Shares are rounded half-up to ``unit`` and always add up.
    """
    if start.year >= end.year:
        return [(end.year, quantity)]
    days = (end - start).days
    until = [
        (span[2], share(quantity, (span[1] - start).days, days, unit))
        for span in year_spans(start, end)
    ]
    before = [ZERO, *(amount for _, amount in until)]
    return [
        (year, amount - earlier) for (year, amount), earlier in zip(until, before, strict=False)
    ]
