"""What a tariff makes of a quantity: priced tiers, line by line.

A tariff version is data (``docs/data-model.md``); ``parse`` reads it and lists every mistake,
``price`` makes the lines of a bill. Tiers are telescopic: each tier's price holds for the part
of the quantity that lies in it. On the basis ``calendar_year`` the tiers are filled by what the
account used since 1 January; on the basis ``period`` every bill starts in the first tier.

Lines are rounded half-up to the currency's exponent and the total is the sum of the rounded
lines: the rounding belongs to the version, so a stored bill can be computed again to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from server.errors import Invalid

BASES = ("calendar_year", "period")
REGISTER_KINDS = ("total", "sharp", "peak", "flat", "valley", "reactive")
MAX_PRICE_PLACES = 6


@dataclass(frozen=True, slots=True)
class Tier:
    """A block of quantity up to and including ``up_to`` (None: without end) at one price."""

    up_to: Decimal | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class Component:
    """One priced part of a tariff: the quantity of a register by tiers."""

    code: str
    register_kind: str
    basis: str
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff version ready to price with."""

    currency: str
    exponent: int
    components: tuple[Component, ...]

    @property
    def register_kinds(self) -> frozenset[str]:
        """The registers this tariff charges for."""
        return frozenset(component.register_kind for component in self.components)

    @property
    def counted(self) -> Component | None:
        """The component whose quantity counts as the year's use of the account.

        The one that fills the tiers of the calendar year, else the first on the total register.
        """
        yearly = [c for c in self.components if c.basis == "calendar_year"]
        plain = [c for c in self.components if c.register_kind == "total"]
        return next(iter(yearly + plain), None)


@dataclass(frozen=True, slots=True)
class YearUse:
    """A part of a use that lies in one calendar year, and what that year had before it."""

    year: int
    register_kind: str
    quantity: Decimal
    before: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: quantity × price = amount, with what the tiers were filled with."""

    component: str
    register_kind: str
    year: int
    quantity: Decimal
    price: Decimal
    amount: Decimal
    before: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """The lines of a bill and their sum."""

    lines: tuple[Line, ...]
    total: Decimal


def price(tariff: Tariff, uses: Sequence[YearUse]) -> Charge:
    """The charge for uses, one or more lines for each.

    A negative quantity (an estimate was too high) takes back from the tiers it had filled.
    Registers without a component are free.
    """
    lines = tuple(
        line
        for component in tariff.components
        for use in uses
        if use.register_kind == component.register_kind
        for line in _lines(component, use, tariff.exponent)
    )
    return Charge(lines, sum((line.amount for line in lines), Decimal(0)))


def round_money(amount: Decimal, exponent: int) -> Decimal:
    """Round half-up to ``exponent`` decimal places."""
    return amount.quantize(Decimal(1).scaleb(-exponent), rounding=ROUND_HALF_UP)


def _lines(component: Component, use: YearUse, exponent: int) -> Iterator[Line]:
    before = use.before if component.basis == "calendar_year" else Decimal(0)
    for quantity, tier_price, start in _slices(component.tiers, before, use.quantity):
        amount = round_money(quantity * tier_price, exponent)
        yield Line(component.code, use.register_kind, use.year, quantity, tier_price, amount, start)


def _slices(
    tiers: Sequence[Tier], before: Decimal, quantity: Decimal
) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(quantity, price, cumulative before) of each tier touched, in the order they are filled.

    A use of nothing gives one line of nothing at the price it would have had.
    """
    low, high = min(before, before + quantity), max(before, before + quantity)
    sign = 1 if quantity >= 0 else -1
    slices: list[tuple[Decimal, Decimal, Decimal]] = []
    floor: Decimal | None = None
    for tier in tiers:
        start = low if floor is None else max(low, floor)
        end = high if tier.up_to is None else min(high, tier.up_to)
        if end > start or (quantity == 0 and not slices and end == start == low):
            slices.append((sign * (end - start), tier.price, start if sign > 0 else end))
        floor = tier.up_to
    return slices if sign > 0 else slices[::-1]


def split_by_year(
    start: date, end: date, quantity: Decimal, unit: Decimal = Decimal(1)
) -> list[tuple[int, Decimal]]:
    """The share of each calendar year of what was used from ``start`` to ``end``, by days.

    The day of the previous reading belongs to the earlier bill: the period is the days after
    ``start`` up to and including ``end``. Shares are rounded half-up to ``unit``; the last year
    takes the rest, so that the shares always add up.
    """
    if start.year >= end.year:
        return [(end.year, quantity)]
    days = (end - start).days
    shares = []
    rest = quantity
    first = start + timedelta(days=1)
    for year in range(first.year, end.year):
        last_day = date(year, 12, 31)
        counted = (last_day - max(first, date(year, 1, 1))).days + 1
        share = (quantity * counted / days / unit).quantize(Decimal(1), ROUND_HALF_UP) * unit
        shares.append((year, share))
        rest -= share
    return [*shares, (end.year, rest)]


# --- reading a definition -----------------------------------------------------------------


def parse(definition: Mapping[str, Any]) -> Tariff:
    """Read a tariff version.

    Raises:
        Invalid: ``tariff.invalid`` with every mistake as {"where", "what"} in the details.
    """
    reader = _Reader()
    tariff = reader.tariff(definition)
    if reader.mistakes or tariff is None:
        raise Invalid(
            "tariff.invalid",
            "The tariff cannot be used: "
            + "; ".join(f"{m['where']}: {m['what']}" for m in reader.mistakes),
            {"mistakes": reader.mistakes},
        )
    return tariff


class _Reader:
    """Reads a definition and collects its mistakes."""

    def __init__(self) -> None:
        self.mistakes: list[dict[str, str]] = []

    def wrong(self, where: str, what: str) -> None:
        self.mistakes.append({"where": where, "what": what})

    def tariff(self, definition: Any) -> Tariff | None:
        if not isinstance(definition, Mapping):
            self.wrong("tariff", "must be a mapping")
            return None
        self.unknown("tariff", definition, {"currency", "rounding", "components", "source"})
        currency = self.word("currency", definition.get("currency"))
        exponent = self.rounding(definition.get("rounding", {}))
        raw = definition.get("components")
        if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
            self.wrong("components", "must be a list with at least one component")
            return None
        components = [self.component(f"components[{i}]", c) for i, c in enumerate(raw)]
        codes = [c.code for c in components if c is not None]
        for code in sorted({code for code in codes if codes.count(code) > 1}):
            self.wrong("components", f"the code {code!r} is there twice")
        yearly = [c for c in components if c is not None and c.basis == "calendar_year"]
        if len({c.register_kind for c in yearly}) > 1:
            self.wrong("components", "only one register can fill the tiers of the calendar year")
        return Tariff(currency, exponent, tuple(c for c in components if c is not None))

    def rounding(self, raw: Any) -> int:
        where = "rounding"
        if not isinstance(raw, Mapping):
            self.wrong(where, "must be a mapping")
            return 2
        self.unknown(where, raw, {"mode", "order", "exponent"})
        if raw.get("mode", "half_up") != "half_up":
            self.wrong(f"{where}.mode", "must be half_up")
        if raw.get("order", "lines_then_sum") != "lines_then_sum":
            self.wrong(f"{where}.order", "must be lines_then_sum")
        exponent = raw.get("exponent", 2)
        if isinstance(exponent, bool) or not isinstance(exponent, int) or not 0 <= exponent <= 4:
            self.wrong(f"{where}.exponent", "must be a whole number from 0 to 4")
            return 2
        return exponent

    def component(self, where: str, raw: Any) -> Component | None:
        if not isinstance(raw, Mapping):
            self.wrong(where, "must be a mapping")
            return None
        self.unknown(where, raw, {"code", "register", "basis", "tiers", "price"})
        code = self.word(f"{where}.code", raw.get("code"))
        kind = self.choice(f"{where}.register", raw.get("register", "total"), REGISTER_KINDS)
        basis = self.choice(f"{where}.basis", raw.get("basis", "period"), BASES)
        if ("tiers" in raw) == ("price" in raw):
            self.wrong(where, "needs either tiers or a price")
            return None
        if "price" in raw:
            single = self.number(f"{where}.price", raw["price"], MAX_PRICE_PLACES)
            tiers: tuple[Tier, ...] = (Tier(None, single),)
        else:
            tiers = self.tiers(f"{where}.tiers", raw["tiers"])
        return Component(code, kind, basis, tiers)

    def tiers(self, where: str, raw: Any) -> tuple[Tier, ...]:
        if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
            self.wrong(where, "must be a list with at least one tier")
            return ()
        tiers = tuple(
            self.tier(f"{where}[{i}]", tier, last=i == len(raw) - 1) for i, tier in enumerate(raw)
        )
        bounds = [tier.up_to for tier in tiers if tier.up_to is not None]
        if any(later <= earlier for earlier, later in pairwise(bounds)):
            self.wrong(where, "each up_to must be above the one before")
        return tiers

    def tier(self, where: str, raw: Any, *, last: bool) -> Tier:
        if not isinstance(raw, Mapping):
            self.wrong(where, "must be a mapping")
            return Tier(None, Decimal(0))
        self.unknown(where, raw, {"up_to", "price"})
        up_to = raw.get("up_to")
        if last and up_to is not None:
            self.wrong(f"{where}.up_to", "the last tier has no end")
        if not last and up_to is None:
            self.wrong(f"{where}.up_to", "is missing: only the last tier has no end")
        bound = None if up_to is None else self.number(f"{where}.up_to", up_to, 6, positive=True)
        return Tier(bound, self.number(f"{where}.price", raw.get("price"), MAX_PRICE_PLACES))

    def number(self, where: str, raw: Any, places: int, *, positive: bool = False) -> Decimal:
        """A decimal given as text or whole number; a float has lost its digits already."""
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
            self.wrong(where, 'must be a number written as text, such as "0.538"')
            return Decimal(0)
        try:
            value = Decimal(raw)
        except InvalidOperation:
            self.wrong(where, f"{raw!r} is not a number")
            return Decimal(0)
        if not value.is_finite() or value < 0 or (positive and value == 0):
            self.wrong(where, "must be above zero" if positive else "must not be negative")
            return Decimal(0)
        if value != value.quantize(Decimal(1).scaleb(-places)):
            self.wrong(where, f"has more than {places} decimal places")
        return value

    def word(self, where: str, raw: Any) -> str:
        if not isinstance(raw, str) or not raw.strip():
            self.wrong(where, "is missing")
            return ""
        return raw

    def choice(self, where: str, raw: Any, choices: Sequence[str]) -> str:
        if raw not in choices:
            self.wrong(where, f"must be one of {', '.join(choices)}")
            return choices[0]
        return str(raw)

    def unknown(self, where: str, raw: Mapping[str, Any], known: set[str]) -> None:
        for name in sorted(set(map(str, raw)) - known):
            self.wrong(where, f"{name!r} is not a field")
