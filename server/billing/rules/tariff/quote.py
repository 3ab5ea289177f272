"""A question to a tariff, as people write it, and its answer: the engine as a calculator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from server.billing.rules.tariff.model import REGISTER_KINDS, SIXTH, Charge, Part, Usage, Version
from server.billing.rules.tariff.price import charge, registers_of
from server.errors import Invalid


@dataclass(frozen=True, slots=True)
class Question:
    """What a use of some days would cost; numbers and years are texts."""

    first: date
    last: date
    registers: Mapping[str, str]
    years: Mapping[str, str] = field(default_factory=dict)
    account_class: str | None = None
    household: int | None = None
    since: date | None = None

    def usage(self) -> Usage:
        """The question as a usage.

        Raises:
            Invalid: ``quote.period``, ``quote.register``, ``quote.year`` or ``quote.number``.
        """
        after = self.first - timedelta(days=1)
        if self.last < self.first:
            raise Invalid("quote.period", "The last day lies before the first.")
        for register in self.registers:
            if register not in REGISTER_KINDS:
                names = ", ".join(REGISTER_KINDS)
                raise Invalid("quote.register", f"{register!r} is none of {names}.")
        parts = tuple(
            Part(register, after, self.last, number(raw))
            for register, raw in self.registers.items()
        )
        years = {_year(year): number(raw) for year, raw in self.years.items()}
        return Usage(after, self.last, parts, years, self.account_class, self.household, self.since)


def quote(versions: Sequence[Version], question: Question) -> Charge:
    """What the versions of a tariff make of a use.

    Raises:
        Invalid: ``quote.class`` when the tariff has nothing for the class, ``quote.register``
            when it charges for none of the registers, or what ``charge`` raises.
    """
    usage = question.usage()
    wanted = registers_of(versions, usage.after, usage.until, usage.account_class)
    if wanted is None:
        raise Invalid("quote.class", f"The tariff has no price for {usage.account_class}.")
    if not wanted & {part.register for part in usage.parts}:
        names = ", ".join(each for each in REGISTER_KINDS if each in wanted)
        raise Invalid(
            "quote.register", f"The tariff charges for: {names}. Say what they have counted."
        )
    return charge(versions, usage)


def number(raw: str) -> Decimal:
    """A number as people write it.

    Raises:
        Invalid: ``quote.number``.
    """
    try:
        value = Decimal(raw.strip())
        if value.is_finite() and abs(value) < 10**12 and value == value.quantize(SIXTH):
            return value
    except InvalidOperation:
        pass
    raise Invalid("quote.number", f"{raw!r} is not a number with at most six decimal places.")


def _year(text: str) -> int:
    if len(text) == 4 and text.isascii() and text.isdecimal():
        return int(text)
    raise Invalid("quote.year", f"{text!r} is not a year.")


def plain(value: Decimal) -> str:
    """A number without the zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
