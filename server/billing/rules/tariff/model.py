"""What a tariff is made of, what is priced with it, and the bill lines that come out.

All of it is immutable. Quantities have up to six decimal places, prices up to six; days are
written as the day *after* which a span begins and the day *until* which it lasts, because the
day of a reading belongs to the earlier bill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import NamedTuple

KINDS = ("energy", "fixed", "minimum", "tax", "surcharge", "discount")
BASES = ("period", "days", "calendar_year")
BLOCK_KINDS = ("telescopic", "slab")
PER = ("day", "month", "period")
PART_MONTHS = ("calendar_days", "thirtieths", "month_ends")
CHANGES = ("split", "value_at_start", "value_at_end")
NEW_ACCOUNT = ("full", "twelfths")
ROUNDING_MODES = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "down": ROUND_DOWN,
}
ROUNDING_ORDERS = ("lines_then_sum", "sum_then_round")
TIME_OF_USE = ("sharp", "peak", "flat", "valley")
REGISTER_KINDS = ("total", *TIME_OF_USE, "reactive")
SUM = "sum"
"""In a component: the time-of-use registers taken together."""

ZERO = Decimal(0)
SIXTH = Decimal("0.000001")
"""The finest step of quantities and prices."""
FOURTH_PLACE = 4
"""The decimal places that a line keeps when only the sum is rounded."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How amounts become money: order, mode and the currency's decimal places."""

    order: str = "lines_then_sum"
    mode: str = "half_up"
    exponent: int = 2

    @property
    def lines_first(self) -> bool:
        """Whether each line is rounded to money, so that the total is just their sum."""
        return self.order == "lines_then_sum"


@dataclass(frozen=True, slots=True)
class Season:
    """A part of every year, from a (month, day) to a (month, day), both included.

    A season whose end comes before its start goes over the new year.
    """

    name: str
    first: tuple[int, int]
    last: tuple[int, int]

    def covers(self, day: date) -> bool:
        """Tell whether a day lies in the season."""
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


@dataclass(frozen=True, slots=True)
class Tier:
    """A block of quantity up to and including ``up_to`` (None: without end).

    It has one price, or a price for each register, or a flat amount for the whole block.
    """

    up_to: Decimal | None
    price: Decimal | None = None
    prices: tuple[tuple[str, Decimal], ...] = ()
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the boundaries grow by for households of ``persons`` or more.

    ``add`` once, and ``add_each`` for every person from that number on.
    """

    persons: int
    add: Decimal = ZERO
    add_each: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Metered:
    """A price for each unit of a register, by tiers."""

    code: str
    kind: str
    registers: tuple[str, ...]
    tiers: tuple[Tier, ...]
    basis: str = "period"
    block_kind: str = "telescopic"
    normal_days: Decimal = Decimal(1)
    boundary_places: int = 6
    allowances: tuple[Allowance, ...] = ()
    new_account: str = "full"
    season: str | None = None
    classes: frozenset[str] = frozenset()
    name: str = ""
    ends: tuple[Decimal | None, ...] = field(init=False, compare=False, repr=False)
    has_flat: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Work out once what every charge asks for."""
        object.__setattr__(self, "ends", tuple(tier.up_to for tier in self.tiers))
        flat = any(tier.amount is not None for tier in self.tiers)
        object.__setattr__(self, "has_flat", flat)

    @property
    def register_kind(self) -> str:
        """The register its lines name; ``sum`` for several taken together."""
        return self.registers[0] if len(self.registers) == 1 else SUM

    @property
    def is_yearly(self) -> bool:
        """Whether its tiers are filled by the use since 1 January."""
        return self.basis == "calendar_year"


@dataclass(frozen=True, slots=True)
class Timed:
    """A price for each day, month or period."""

    code: str
    kind: str
    price: Decimal
    per: str
    part_months: str = "calendar_days"
    season: str | None = None
    classes: frozenset[str] = frozenset()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of the amounts of other components: of their sum, or of each line."""

    code: str
    kind: str
    rate: Decimal
    of: tuple[str, ...]
    each_line: bool = False
    classes: frozenset[str] = frozenset()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Minimum:
    """What other components must reach together in a day, month or period."""

    code: str
    amount: Decimal
    of: tuple[str, ...]
    per: str = "period"
    part_months: str = "calendar_days"
    classes: frozenset[str] = frozenset()
    kind: str = "minimum"
    name: str = ""


Component = Metered | Timed | Percent | Minimum


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff version ready to price with."""

    currency: str
    components: tuple[Component, ...]
    rounding: Rounding = field(default_factory=Rounding)
    seasons: tuple[Season, ...] = ()
    change: str = "split"
    source: str = field(default="", compare=False)
    selections: dict[str | None, object] = field(default_factory=dict, compare=False, repr=False)
    """What ``select.of`` has worked out, by class of account."""


@dataclass(frozen=True, slots=True)
class Version:
    """A tariff version with its days (both included; no end: still valid)."""

    id: int | None
    valid_from: date
    valid_to: date | None
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Part:
    """What a register counted after a day until a day."""

    register: str
    after: date
    until: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """What is to be charged: the days ``after`` … ``until`` and what was used in them.

    ``year_to_date`` is what each calendar year had used before, ``household`` the persons who
    live there, ``since`` the day the account was opened.
    """

    after: date
    until: date
    parts: tuple[Part, ...]
    year_to_date: Mapping[int, Decimal] = field(default_factory=dict)
    account_class: str | None = None
    household: int | None = None
    since: date | None = None

    @property
    def days(self) -> int:
        """How many days the period has; none when two readings are of one day."""
        return (self.until - self.after).days


class Line(NamedTuple):
    """One line of a bill: quantity × price = amount, rounded as the tariff says.

    ``year`` is the calendar year whose use the quantity counts for (None: it does not count),
    ``before`` what its tiers had been filled with, ``version`` the id of the tariff version,
    ``days`` how many days the line is for.
    """

    component: str
    kind: str
    register_kind: str | None
    year: int | None
    quantity: Decimal
    price: Decimal
    amount: Decimal
    before: Decimal
    version: int | None
    days: int


@dataclass(frozen=True, slots=True)
class Charge:
    """The lines of a bill and their sum, which is what is owed."""

    lines: tuple[Line, ...]
    total: Decimal
    currency: str
