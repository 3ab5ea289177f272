"""The plain case, made short: one component by tiers of the calendar year within one year.

Most households of a utility are charged so, with every reading. The figures are those of
``price.charge``; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from server.billing.rules.tariff.blocks import plain_bounds
from server.billing.rules.tariff.model import (
    ROUNDING_MODES,
    ZERO,
    Charge,
    Component,
    Line,
    Metered,
    Rounding,
    Usage,
    Version,
)
from server.billing.rules.tariff.money import step

_NEXT = timedelta(days=1)
_Block = tuple[Decimal | None, Decimal]
"""The end of a tier and its price."""


class Plan:
    """A selection with one plain component, its boundaries by household worked out once."""

    def __init__(self, component: Metered, is_counted: bool, rounding: Rounding) -> None:
        """Keep what every charge needs."""
        self.component = component
        self.code, self.kind, self.register = component.code, component.kind, component.registers[0]
        self.is_counted = is_counted
        self.places, self.mode = step(rounding.exponent), ROUNDING_MODES[rounding.mode]
        self._blocks: dict[int | None, tuple[_Block, ...]] = {}

    def blocks(self, household: int | None) -> tuple[_Block, ...]:
        """The tiers for a household."""
        found = self._blocks.get(household)
        if found is None:
            ends = plain_bounds(self.component, household)
            prices = [tier.price or ZERO for tier in self.component.tiers]
            found = self._blocks[household] = tuple(zip(ends, prices, strict=True))
        return found


def plan(
    components: Sequence[Component], counted: frozenset[str], rounding: Rounding
) -> Plan | None:
    """The plan of these components, or None when they are not the plain case."""
    if len(components) != 1 or not rounding.lines_first:
        return None
    (only,) = components
    if not isinstance(only, Metered) or not _is_plain(only):
        return None
    return Plan(only, only.code in counted, rounding)


def _is_plain(component: Metered) -> bool:
    return (
        component.is_yearly
        and component.block_kind == "telescopic"
        and component.season is None
        and component.new_account == "full"
        and len(component.registers) == 1
        and all(tier.price is not None for tier in component.tiers)
    )


def charge(found: Plan, version: Version, usage: Usage) -> Charge | None:
    """The charge of a usage, or None when it is not the plain case."""
    if len(usage.parts) != 1:
        return None
    part = usage.parts[0]
    after, year = usage.after, usage.until.year
    if part.register != found.register or part.quantity <= 0:
        return None
    if after.year != year and (after + _NEXT).year != year:
        return None
    return _fill(found, version, usage, part.quantity, year)


def _fill(found: Plan, version: Version, usage: Usage, quantity: Decimal, year: int) -> Charge:
    """Fill the tiers from where the year had come to."""
    low = usage.year_to_date.get(year, ZERO)
    high = low + quantity
    counted = year if found.is_counted else None
    code, kind, register, number = found.code, found.kind, found.register, version.id
    days = (usage.until - usage.after).days
    places, mode = found.places, found.mode
    lines = []
    total = ZERO
    for end, price in found.blocks(usage.household):
        if end is None or low < end:
            is_last = end is None or high <= end
            part = high - low if is_last else end - low  # type: ignore[operator]
            amount = (part * price).quantize(places, mode)
            lines.append(
                Line(code, kind, register, counted, part, price, amount, low, number, days)
            )
            total += amount
            if is_last:
                break
            low = end  # type: ignore[assignment]
    return Charge(tuple(lines), total, version.tariff.currency)
