"""Rounding: of amounts to money by the policy of a tariff, of shares so that they add up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from server.billing.rules.tariff.model import (
    FOURTH_PLACE,
    ROUNDING_MODES,
    SIXTH,
    ZERO,
    Charge,
    Line,
    Rounding,
)


@cache
def step(places: int) -> Decimal:
    """The smallest amount with so many decimal places."""
    return Decimal(1).scaleb(-places)


def round_money(amount: Decimal, exponent: int, mode: str = "half_up") -> Decimal:
    """Round an amount to ``exponent`` decimal places; ``down`` is towards zero."""
    return amount.quantize(step(exponent), ROUNDING_MODES[mode])


def line_step(rounding: Rounding) -> Decimal:
    """The step of a line's amount: money, or four places when only the sum is rounded."""
    return step(rounding.exponent if rounding.lines_first else FOURTH_PLACE)


def round_line(amount: Decimal, rounding: Rounding) -> Decimal:
    """The amount of a line."""
    return amount.quantize(line_step(rounding), ROUNDING_MODES[rounding.mode])


def share(quantity: Decimal, days: int, of_days: int, unit: Decimal = SIXTH) -> Decimal:
    """The part of a quantity that falls on the first ``days`` of ``of_days``, in whole units.

    The shares of any two spans are the difference of two of these, so that they add up.
    """
    if days >= of_days:
        return quantity
    if days <= 0:
        return ZERO
    return (quantity * days / of_days / unit).quantize(Decimal(1), ROUND_HALF_UP) * unit


def sum_up(lines: Sequence[Line], rounding: Rounding, currency: str) -> Charge:
    """The charge of these lines; where only the sum is rounded, a line tells the difference."""
    amounts = sum((line.amount for line in lines), ZERO)
    if rounding.lines_first:
        return Charge(tuple(lines), amounts, currency)
    exact = sum((line.quantity * line.price for line in lines), ZERO)
    total = round_money(exact, rounding.exponent, rounding.mode)
    rest = total - amounts
    if rest:
        version, days = lines[-1].version, 0
        rest_line = Line(
            "rounding", "rounding", None, None, Decimal(1), rest, rest, ZERO, version, days
        )
        return Charge((*lines, rest_line), total, currency)
    return Charge(tuple(lines), total, currency)
