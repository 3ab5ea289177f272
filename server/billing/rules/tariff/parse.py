"""Reading a tariff version: data in, a tariff or the list of all its mistakes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from server.billing.rules.tariff.check import check
from server.billing.rules.tariff.mistakes import Mistakes
from server.billing.rules.tariff.model import (
    BASES,
    BLOCK_KINDS,
    CHANGES,
    KINDS,
    NEW_ACCOUNT,
    PART_MONTHS,
    PER,
    REGISTER_KINDS,
    ROUNDING_MODES,
    ROUNDING_ORDERS,
    SUM,
    TIME_OF_USE,
    Allowance,
    Component,
    Metered,
    Minimum,
    Percent,
    Rounding,
    Season,
    Tariff,
    Tier,
    Timed,
)

MONEY_PLACES = 4
_COMMON = {"code", "name", "kind", "classes"}
_METERED = _COMMON | {
    "register",
    "price",
    "prices",
    "tiers",
    "blocks",
    "basis",
    "normal_days",
    "boundary_places",
    "allowances",
    "new_account",
    "season",
}
_TIMED = _COMMON | {"price", "per", "part_months", "season"}
_PERCENT = _COMMON | {"percent", "of", "each_line"}
_MINIMUM = _COMMON | {"amount", "per", "part_months", "of"}
FIELDS = frozenset(_METERED | _TIMED | _PERCENT | _MINIMUM)
"""Every field a component of some kind can have."""
_MONTHS = {"01": 31, "02": 29, "03": 31, "04": 30, "05": 31, "06": 30} | {
    "07": 31,
    "08": 31,
    "09": 30,
    "10": 31,
    "11": 30,
    "12": 31,
}


def parse(definition: Mapping[str, Any]) -> Tariff:
    """Read a tariff version.

    Raises:
        Invalid: ``tariff.invalid`` with every mistake as {"where", "what"} in the details.
    """
    mistakes = Mistakes()
    tariff = read(definition, mistakes)
    mistakes.refuse()
    return tariff


def read(definition: Any, mistakes: Mistakes, where: str = "") -> Tariff:
    """Read a tariff version and add what is wrong to the mistakes."""
    return _Reader(mistakes, where).tariff(definition)


class _Reader:
    """Reads one definition."""

    def __init__(self, mistakes: Mistakes, prefix: str) -> None:
        self.found = mistakes
        self.prefix = f"{prefix}." if prefix else ""
        self.top = prefix or "tariff"

    def tariff(self, definition: Any) -> Tariff:
        fields = {"currency", "rounding", "components", "source", "note", "seasons", "change"}
        raw = self.found.mapping(self.top, definition, fields)
        at = self.prefix
        if not raw:
            self.found.wrong(f"{at}components", "must be a list with at least one entry")
            return Tariff("", ())
        currency = self.currency(f"{at}currency", raw.get("currency"))
        rounding = self.rounding(f"{at}rounding", raw.get("rounding", {}))
        seasons = self.seasons(f"{at}seasons", raw.get("seasons"))
        change = self.found.choice(f"{at}change", raw.get("change", "split"), CHANGES)
        source = self.found.text(f"{at}source", raw.get("source"), 2000)
        self.found.text(f"{at}note", raw.get("note"), 2000)
        components = self.components(f"{at}components", raw.get("components"))
        tariff = Tariff(currency, components, rounding, seasons, change, source)
        check(tariff, self.found, at)
        return tariff

    def currency(self, where: str, raw: Any) -> str:
        word = self.found.word(where, raw)
        if word and not (len(word) == 3 and word.isascii() and word.isalpha() and word.isupper()):
            self.found.wrong(where, "must be three capital letters such as CNY")
        return word

    def rounding(self, where: str, raw: Any) -> Rounding:
        fields = self.found.mapping(where, raw, {"mode", "order", "exponent"})
        return Rounding(
            self.found.choice(
                f"{where}.order", fields.get("order", "lines_then_sum"), ROUNDING_ORDERS
            ),
            self.found.choice(
                f"{where}.mode", fields.get("mode", "half_up"), tuple(ROUNDING_MODES)
            ),
            self.found.integer(f"{where}.exponent", fields.get("exponent", 2), 0, MONEY_PLACES),
        )

    def seasons(self, where: str, raw: Any) -> tuple[Season, ...]:
        if raw in (None, ""):
            return ()
        if not isinstance(raw, Mapping):
            self.found.wrong(where, "must be a mapping of names to from and to")
            return ()
        return tuple(self.season(f"{where}.{name}", str(name), each) for name, each in raw.items())

    def season(self, where: str, name: str, raw: Any) -> Season:
        fields = self.found.mapping(where, raw, {"from", "to"})
        first, last = (self.month_day(f"{where}.{end}", fields.get(end)) for end in ("from", "to"))
        return Season(name, first, last)

    def month_day(self, where: str, raw: Any) -> tuple[int, int]:
        month, _, day = str(raw).partition("-")
        length = _MONTHS.get(month, 0)
        if not (len(day) == 2 and day.isascii() and day.isdigit() and 1 <= int(day) <= length):
            self.found.wrong(where, "must be a month and day such as 06-01")
            return (1, 1)
        return (int(month), int(day))

    # --- components -----------------------------------------------------------------------

    def components(self, where: str, raw: Any) -> tuple[Component, ...]:
        made: list[Component] = []
        for i, each in enumerate(self.found.listing(where, raw)):
            component = self.component(f"{where}[{i}]", each, made)
            if component is not None:
                made.append(component)
        return tuple(made)

    def component(self, where: str, raw: Any, before: Sequence[Component]) -> Component | None:
        if not isinstance(raw, Mapping):
            self.found.wrong(where, "must be a mapping")
            return None
        kind = self.found.choice(f"{where}.kind", raw.get("kind", "energy"), KINDS)
        if kind == "minimum":
            return self.minimum(where, raw, before)
        if kind == "fixed" or (kind != "energy" and "per" in raw):
            return self.timed(where, raw, kind)
        if kind != "energy" and "percent" in raw:
            return self.percent(where, raw, kind, before)
        return self.metered(where, raw, kind)

    def code(self, where: str, raw: Mapping[str, Any]) -> str:
        return self.found.word(f"{where}.code", raw.get("code"))

    def common(self, where: str, raw: Mapping[str, Any]) -> tuple[frozenset[str], str]:
        classes = self.found.words(f"{where}.classes", raw.get("classes"))
        return frozenset(classes), self.found.text(f"{where}.name", raw.get("name"), 120)

    def timed(self, where: str, raw: Mapping[str, Any], kind: str) -> Timed:
        self.found.mapping(where, raw, _TIMED)
        price = self.found.number(f"{where}.price", raw.get("price"))
        per = self.found.choice(f"{where}.per", raw.get("per"), PER)
        part = self.part_months(where, raw)
        season = self.season_name(where, raw)
        sign = -1 if kind == "discount" else 1
        return Timed(
            self.code(where, raw), kind, sign * price, per, part, season, *self.common(where, raw)
        )

    def percent(
        self, where: str, raw: Mapping[str, Any], kind: str, before: Sequence[Component]
    ) -> Percent:
        self.found.mapping(where, raw, _PERCENT)
        rate = self.found.number(f"{where}.percent", raw.get("percent"), 4) / 100
        default = [c.code for c in before if c.kind != "tax"]
        of = self.codes(f"{where}.of", raw.get("of"), before, default)
        each_line = self.found.flag(f"{where}.each_line", raw.get("each_line", False))
        sign = -1 if kind == "discount" else 1
        return Percent(
            self.code(where, raw), kind, sign * rate, of, each_line, *self.common(where, raw)
        )

    def minimum(self, where: str, raw: Mapping[str, Any], before: Sequence[Component]) -> Minimum:
        self.found.mapping(where, raw, _MINIMUM)
        amount = self.found.number(f"{where}.amount", raw.get("amount"), MONEY_PLACES)
        default = [c.code for c in before if c.kind in ("energy", "fixed")]
        of = self.codes(f"{where}.of", raw.get("of"), before, default)
        per = self.found.choice(f"{where}.per", raw.get("per", "period"), PER)
        classes, name = self.common(where, raw)
        return Minimum(
            self.code(where, raw),
            amount,
            of,
            per,
            self.part_months(where, raw),
            classes,
            name=name,
        )

    def part_months(self, where: str, raw: Mapping[str, Any]) -> str:
        given = raw.get("part_months", "calendar_days")
        return self.found.choice(f"{where}.part_months", given, PART_MONTHS)

    def season_name(self, where: str, raw: Mapping[str, Any]) -> str | None:
        return self.found.text(f"{where}.season", raw.get("season")) or None

    def codes(
        self, where: str, raw: Any, before: Sequence[Component], default: Sequence[str]
    ) -> tuple[str, ...]:
        """The codes of components that stand before; the default ones when none are named."""
        named = self.found.words(where, raw)
        known = {component.code for component in before}
        for code in named:
            if code not in known:
                self.found.wrong(where, f"{code!r} is not the code of a component above it")
        if not named and not default:
            self.found.wrong(where, "names nothing, and nothing stands above it")
        return named or tuple(default)

    # --- by quantity ----------------------------------------------------------------------

    def metered(self, where: str, raw: Mapping[str, Any], kind: str) -> Metered:
        self.found.mapping(where, raw, _METERED)
        basis = self.found.choice(f"{where}.basis", raw.get("basis", "period"), BASES)
        tiers = self.tiers(where, raw, -1 if kind == "discount" else 1)
        classes, name = self.common(where, raw)
        return Metered(
            code=self.code(where, raw),
            kind=kind,
            registers=self.registers(where, raw, tiers),
            tiers=tiers,
            basis=basis,
            block_kind=self.found.choice(
                f"{where}.blocks", raw.get("blocks", "telescopic"), BLOCK_KINDS
            ),
            normal_days=self.normal_days(where, raw, basis),
            boundary_places=self.found.integer(
                f"{where}.boundary_places", raw.get("boundary_places", 6), 0, 6
            ),
            allowances=self.allowances(f"{where}.allowances", raw.get("allowances")),
            new_account=self.found.choice(
                f"{where}.new_account", raw.get("new_account", "full"), NEW_ACCOUNT
            ),
            season=self.season_name(where, raw),
            classes=classes,
            name=name,
        )

    def registers(
        self, where: str, raw: Mapping[str, Any], tiers: Sequence[Tier]
    ) -> tuple[str, ...]:
        by_register = [tuple(register for register, _ in tier.prices) for tier in tiers]
        if any(by_register):
            if "register" in raw:
                self.found.wrong(f"{where}.register", "is told by the prices already")
            if any(set(names) != set(by_register[0]) for names in by_register):
                self.found.wrong(where, "every tier must price the same registers")
            return by_register[0]
        choices = (*REGISTER_KINDS, SUM)
        kind = self.found.choice(f"{where}.register", raw.get("register", "total"), choices)
        return TIME_OF_USE if kind == SUM else (kind,)

    def normal_days(self, where: str, raw: Mapping[str, Any], basis: str) -> Decimal:
        given = raw.get("normal_days")
        if basis == "days":
            return self.found.number(f"{where}.normal_days", given, positive=True) or Decimal(1)
        if given is not None:
            self.found.wrong(f"{where}.normal_days", "is only for the basis days")
        return Decimal(1)

    def allowances(self, where: str, raw: Any) -> tuple[Allowance, ...]:
        if raw is None:
            return ()
        entries = self.found.listing(where, raw)
        return tuple(self.allowance(f"{where}[{i}]", each) for i, each in enumerate(entries))

    def allowance(self, where: str, raw: Any) -> Allowance:
        fields = self.found.mapping(where, raw, {"persons", "add", "add_each"})
        persons = self.found.integer(f"{where}.persons", fields.get("persons"), 1, 1000)
        if not {"add", "add_each"} & set(fields):
            self.found.wrong(where, "needs add or add_each")
        add, add_each = (
            self.found.number(f"{where}.{name}", fields.get(name, 0))
            for name in ("add", "add_each")
        )
        return Allowance(persons, add, add_each)

    def tiers(self, where: str, raw: Mapping[str, Any], sign: int) -> tuple[Tier, ...]:
        given = {"tiers", "price", "prices"} & set(raw)
        if len(given) != 1:
            self.found.wrong(where, "needs one of tiers, price and prices")
            return (Tier(None, Decimal(0)),)
        if "tiers" not in raw:
            return (self.tier(where, raw, given, sign, last=True),)
        where = f"{where}.tiers"
        entries = self.found.listing(where, raw["tiers"])
        fields = {"up_to", "price", "prices", "amount"}
        tiers = tuple(
            self.tier(
                f"{where}[{i}]",
                self.found.mapping(f"{where}[{i}]", each, fields),
                fields,
                sign,
                last=i == len(entries) - 1,
            )
            for i, each in enumerate(entries)
        )
        bounds = [tier.up_to for tier in tiers if tier.up_to is not None]
        if any(later <= earlier for earlier, later in pairwise(bounds)):
            self.found.wrong(where, "each up_to must be above the one before")
        return tiers

    def tier(
        self, where: str, raw: Mapping[str, Any], fields: set[str], sign: int, *, last: bool
    ) -> Tier:
        up_to = raw.get("up_to") if "up_to" in fields else None
        up_to = None if up_to in ("", "~", "null") else up_to
        if last and up_to is not None:
            self.found.wrong(f"{where}.up_to", "the last tier has no end")
        if not last and up_to is None:
            self.found.wrong(f"{where}.up_to", "is missing: only the last tier has no end")
        bound = None if up_to is None else self.found.number(f"{where}.up_to", up_to, positive=True)
        given = {"price", "prices", "amount"} & set(raw)
        if len(given) != 1:
            self.found.wrong(f"{where}.price", "is missing: price, prices or amount, one of them")
            return Tier(bound, Decimal(0))
        if "prices" in given:
            return Tier(bound, prices=self.prices(f"{where}.prices", raw["prices"], sign))
        if "amount" in given:
            amount = self.found.number(f"{where}.amount", raw["amount"], MONEY_PLACES)
            return Tier(bound, amount=sign * amount)
        return Tier(bound, sign * self.found.number(f"{where}.price", raw["price"]))

    def prices(self, where: str, raw: Any, sign: int) -> tuple[tuple[str, Decimal], ...]:
        fields = self.found.mapping(where, raw, set(TIME_OF_USE))
        if not fields:
            self.found.wrong(where, "must name at least one register")
        named = [register for register in TIME_OF_USE if register in fields]
        return tuple(
            (register, sign * self.found.number(f"{where}.{register}", fields[register]))
            for register in named
        )
