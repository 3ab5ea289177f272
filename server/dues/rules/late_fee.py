"""The late fee of a debt: simple, on principal only, by the day, from the day after the due date.

The principal is looked at in slices: what was paid on one day is a slice that is late until that
day, what is still open a slice that is late until today. Each slice pays its days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Carryover = Literal["split", "whole"]
CARRYOVERS: tuple[Carryover, ...] = ("split", "whole")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rates:
    """Parts of the principal for each day: in the year of the due date, and in later years."""

    current: Decimal
    carried: Decimal


@dataclass(frozen=True, slots=True)
class LateFeeRules:
    """Rates by account class and how a debt that crosses the year end is treated.

    ``carryover`` ``split``: days up to 31 December cost the current rate, later ones the carried
    rate; ``whole``: a debt that crosses the year end costs the carried rate on all its days.
    A fee above zero is at least ``minimum``; it is rounded half up to ``places`` decimals.
    """

    default: Rates = Rates(Decimal("0.002"), Decimal("0.003"))
    by_class: Mapping[str, Rates] = field(
        default_factory=lambda: {"residential": Rates(Decimal("0.001"), Decimal("0.001"))}
    )
    carryover: Carryover = "split"
    minimum: Decimal = Decimal("1.00")
    places: int = 2

    def of(self, account_class: str) -> Rates:
        """The rates of a class."""
        return self.by_class.get(account_class, self.default)


@dataclass(frozen=True, slots=True)
class Span:
    """A slice of principal with the days it was late at one rate."""

    principal: Decimal
    start: date
    end: date
    days: int
    rate: Decimal

    @property
    def amount(self) -> Decimal:
        """What the span costs, not rounded."""
        return self.principal * self.days * self.rate


@dataclass(frozen=True, slots=True)
class Fee:
    """A late fee with the spans it was computed from; ``amount`` is rounded."""

    amount: Decimal
    spans: tuple[Span, ...] = ()


NO_FEE = Fee(ZERO)


def late_fee(
    total: Decimal,
    due: date,
    through: date,
    paid: Iterable[tuple[date, Decimal]],
    account_class: str,
    rules: LateFeeRules,
) -> Fee:
    """The fee of a debt up to a day, that day included.

    Args:
        total: the principal at the beginning.
        paid: (day, amount) of what settled principal; amounts of one day are added up, so that a
            payment that was taken back leaves no trace.
    """
    if through <= due or total <= 0:
        return NO_FEE
    by_day: dict[date, Decimal] = {}
    for day, amount in paid:
        by_day[day] = by_day.get(day, ZERO) + amount
    slices = [(amount, min(day, through)) for day, amount in sorted(by_day.items()) if amount]
    rest = total - sum((amount for amount, _ in slices), ZERO)
    rates = rules.of(account_class)
    spans = [
        span
        for principal, end in (*slices, (rest, through))
        if principal > 0 and end > due
        for span in _spans(principal, due, end, rates, rules.carryover)
    ]
    exact = sum((span.amount for span in spans), ZERO)
    if exact <= 0:
        return NO_FEE
    rounded = exact.quantize(Decimal(1).scaleb(-rules.places), ROUND_HALF_UP)
    return Fee(max(rounded, rules.minimum), tuple(spans))


def _spans(
    principal: Decimal, due: date, end: date, rates: Rates, carryover: Carryover
) -> list[Span]:
    """The days of a slice after the due date, cut at the year end when the rates differ there."""
    year_end = date(due.year, 12, 31)
    if end <= year_end:
        return [Span(principal, due, end, (end - due).days, rates.current)]
    if carryover == "whole":
        return [Span(principal, due, end, (end - due).days, rates.carried)]
    first = Span(principal, due, year_end, (year_end - due).days, rates.current)
    second = Span(principal, year_end, end, (end - year_end).days, rates.carried)
    return [first, second] if first.days else [second]
