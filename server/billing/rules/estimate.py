"""What a dial is believed to show when nobody read it."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal


def estimated_value(
    previous: Decimal, expected: Decimal, multiplier: Decimal, unit: Decimal, modulus: Decimal
) -> Decimal:
    """The previous reading and what was expected to be used since, as the dial would show it.

    Rounded down to a step of the dial, so that an estimate rather charges too little.

    Args:
        previous: the reading before, in dial units.
        expected: what is used since, in units of supply; below zero counts as nothing.
        multiplier: units of supply per dial unit.
        unit: the smallest step of the dial.
        modulus: where the dial passes zero.
    """
    steps = (max(expected, Decimal(0)) / multiplier / unit).to_integral_value(ROUND_FLOOR)
    return (previous + steps * unit) % modulus
