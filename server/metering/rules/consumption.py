"""What was used between two readings of one dial: difference or rollover.

An exchange of the meter needs no rule of its own: the old meter's final reading ends one use,
the new meter's initial reading starts the next, and the period is their sum.

Readings are in dial units; quantities are in units of supply (kWh, m³): dial units times the
multiplier of the installation. Digits and multiplier are those of the installation in force
when the dial was read, never of today's master data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

TIME_OF_USE_KINDS = ("sharp", "peak", "flat", "valley")


class Method(StrEnum):
    """How a quantity came about."""

    DIFFERENCE = "difference"
    ROLLOVER = "rollover"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Dial:
    """A register as it is built: whole digits and decimal places."""

    kind: str
    integer_digits: int
    decimals: int = 0

    @property
    def modulus(self) -> Decimal:
        """Where the dial passes through zero: 10 to the number of whole digits."""
        return Decimal(10) ** self.integer_digits

    @property
    def unit(self) -> Decimal:
        """The smallest step the dial shows."""
        return Decimal(1).scaleb(-self.decimals)

    def shows(self, value: Decimal) -> bool:
        """Tell whether the dial can show this value at all."""
        if not value.is_finite() or not 0 <= value < self.modulus:
            return False
        return value == value.quantize(self.unit)


@dataclass(frozen=True, slots=True)
class RolloverGate:
    """How large a use may be to be believed as a dial that passed zero, in units of supply."""

    factor: Decimal = Decimal(3)
    floor: Decimal = Decimal(500)

    def believes(self, quantity: Decimal, expected: Decimal | None) -> bool:
        """Tell whether ``quantity`` is at most ``max(factor × expected, floor)``."""
        limit = self.floor if expected is None else max(self.factor * expected, self.floor)
        return quantity <= limit


@dataclass(frozen=True, slots=True)
class Use:
    """A quantity used, in units of supply, and how it was found."""

    quantity: Decimal
    method: Method


def between(
    previous: Decimal,
    current: Decimal,
    dial: Dial,
    multiplier: Decimal,
    *,
    previous_actual: bool = True,
    expected: Decimal | None = None,
    gate: RolloverGate = RolloverGate(),
) -> Use | None:
    """The use between two readings of one dial, or None when the dial seems to have gone back.

    A lower reading counts as a rollover only after an actual reading and only when the use it
    means passes the gate; otherwise an estimate was too high, or the dial was misread, runs
    backwards or belongs to another meter, and a person has to look.

    Args:
        previous: the earlier reading, in dial units.
        current: the later reading, in dial units.
        dial: the register in force.
        multiplier: units of supply per dial unit of the installation in force.
        previous_actual: whether the earlier reading was read and not estimated.
        expected: what the period should have used, in units of supply.
        gate: how large a rollover is believed.
    """
    step = current - previous
    if step >= 0:
        return Use(step * multiplier, Method.DIFFERENCE)
    quantity = (step + dial.modulus) * multiplier
    if previous_actual and gate.believes(quantity, expected):
        return Use(quantity, Method.ROLLOVER)
    return None


def true_up(previous: Decimal, current: Decimal, multiplier: Decimal) -> Use:
    """The use after an estimate; negative (a credit) when the estimate was too high."""
    return Use((current - previous) * multiplier, Method.DIFFERENCE)


def rolled_over(previous: Decimal, current: Decimal, dial: Dial, multiplier: Decimal) -> Use:
    """The use of a rollover that a person has confirmed, without a gate."""
    step = current - previous
    if step >= 0:
        return Use(step * multiplier, Method.DIFFERENCE)
    return Use((step + dial.modulus) * multiplier, Method.ROLLOVER)


def parts_disagree(
    uses: Mapping[str, Use], dials: Iterable[Dial], multiplier: Decimal
) -> tuple[Decimal, Decimal] | None:
    """The (difference, tolerance) when time-of-use registers do not add up to the total.

    Every register shows whole steps, so the sums may differ by one step for each register. None
    when they agree or when there is no total or no time-of-use register to compare.
    """
    parts = [kind for kind in TIME_OF_USE_KINDS if kind in uses]
    if not parts or "total" not in uses:
        return None
    steps = [dial.unit for dial in dials if dial.kind == "total" or dial.kind in parts]
    tolerance = len(steps) * max(steps, default=Decimal(1)) * multiplier
    total = sum((uses[kind].quantity for kind in parts), Decimal(0))
    difference = abs(uses["total"].quantity - total)
    return (difference, tolerance) if difference > tolerance else None
