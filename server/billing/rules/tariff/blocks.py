"""Tiers: which part of a quantity lies in which block, and what the boundaries are just now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from server.billing.rules.tariff.model import SIXTH, ZERO, Metered, Tier, Usage
from server.billing.rules.tariff.money import share, step

Bounds = tuple[Decimal | None, ...]
"""The upper end of each tier; None for the last."""


class Slice(NamedTuple):
    """A part of a quantity in one tier, and what the tiers had been filled with before it."""

    tier: Tier
    quantity: Decimal
    before: Decimal


def plain_bounds(component: Metered, household: int | None) -> Bounds:
    """The boundaries as written, grown by the allowance of a household."""
    if not component.allowances or not (more := allowance(component, household)):
        return component.ends
    return tuple(None if end is None else end + more for end in component.ends)


def allowance(component: Metered, household: int | None) -> Decimal:
    """What the boundaries grow by: the entry with the most persons that fits is the one."""
    fitting = [a for a in component.allowances if household is not None and household >= a.persons]
    if not fitting or household is None:
        return ZERO
    best = max(fitting, key=lambda each: each.persons)
    return best.add + best.add_each * (household - best.persons + 1)


def bounds_of(component: Metered, usage: Usage, after: date, until: date) -> Bounds:
    """The boundaries for a span of a usage: by year, or in proportion to its days."""
    plain = plain_bounds(component, usage.household)
    if component.is_yearly:
        return _year_bounds(component, plain, usage, until.year)
    start, days = (after - usage.after).days, (until - usage.after).days
    if component.basis == "period":
        if days - start == usage.days:
            return plain
        return tuple(b if b is None else _between(b, start, days, usage.days) for b in plain)
    if usage.days == 0:
        days = start + 1
    unit = step(component.boundary_places)
    return tuple(
        b if b is None else _scaled(b, days, component, unit) - _scaled(b, start, component, unit)
        for b in plain
    )


def _year_bounds(component: Metered, plain: Bounds, usage: Usage, year: int) -> Bounds:
    """The boundaries of a year; a new account has a twelfth of them for each month it exists."""
    since = usage.since
    if component.new_account == "full" or since is None or since.year != year:
        return plain
    unit = step(component.boundary_places)
    left = 13 - since.month
    return tuple(b if b is None else (b * left / 12).quantize(unit, ROUND_HALF_UP) for b in plain)


def _between(bound: Decimal, start: int, end: int, of_days: int) -> Decimal:
    return share(bound, end, of_days) - share(bound, start, of_days)


def _scaled(bound: Decimal, days: int, component: Metered, unit: Decimal) -> Decimal:
    """``boundary × days / normal days``."""
    return (bound * days / component.normal_days).quantize(unit, ROUND_HALF_UP)


def telescopic(
    tiers: Sequence[Tier], bounds: Bounds, before: Decimal, quantity: Decimal
) -> list[Slice]:
    """The part of a quantity in each tier that it touches, in the order they are filled.

    A negative quantity takes back from the tiers that had been filled, the highest first. A use
    of nothing gives one slice of nothing in the tier it would have had.
    """
    low, high = min(before, before + quantity), max(before, before + quantity)
    is_credit = quantity < 0
    slices: list[Slice] = []
    floor: Decimal | None = None
    for tier, bound in zip(tiers, bounds, strict=True):
        start = low if floor is None else max(low, floor)
        end = high if bound is None else min(high, bound)
        if end > start:
            slices.append(
                Slice(tier, start - end, end) if is_credit else Slice(tier, end - start, start)
            )
        floor = bound
    if not slices:
        tier, _, _ = slab(tiers, bounds, before)[0]
        return [Slice(tier, quantity, before)]
    return slices[::-1] if is_credit else slices


def slab(tiers: Sequence[Tier], bounds: Bounds, quantity: Decimal) -> list[Slice]:
    """The whole quantity in the tier that it reaches; a boundary belongs to the tier below it."""
    for tier, bound in zip(tiers, bounds, strict=True):
        if bound is None or quantity <= bound:
            return [Slice(tier, quantity, ZERO)]
    raise AssertionError("the last tier has no end")


def apportion(
    slices: Sequence[Slice], quantities: Sequence[tuple[str, Decimal]]
) -> list[tuple[Slice, str, Decimal]]:
    """Split the quantity of each tier between registers in proportion to what they counted.

    Both ways the parts add up: to the tier's quantity and to the register's.
    """
    total = sum((quantity for _, quantity in quantities), ZERO)
    if not total:
        return [(slices[0], register, quantity) for register, quantity in quantities]
    unit = _unit_of(quantities)
    done = dict.fromkeys((register for register, _ in quantities), ZERO)
    found = []
    filled = ZERO
    for each in slices:
        filled += each.quantity
        rest, of = filled, total
        for register, quantity in quantities:
            until = quantity if rest == of else _part(rest, quantity, of, unit)
            found.append((each, register, until - done[register]))
            done[register] = until
            rest, of = rest - until, of - quantity
    return [(each, register, quantity) for each, register, quantity in found if quantity]


def _part(quantity: Decimal, of_this: Decimal, of_all: Decimal, unit: Decimal) -> Decimal:
    if not of_all:
        return quantity
    return (quantity * of_this / of_all / unit).quantize(Decimal(1), ROUND_HALF_UP) * unit


def _unit_of(quantities: Sequence[tuple[str, Decimal]]) -> Decimal:
    """Whole quantities are split into whole parts."""
    if all(quantity == quantity.to_integral_value() for _, quantity in quantities):
        return Decimal(1)
    return SIXTH
