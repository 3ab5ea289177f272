"""What must hold between the parts of a tariff, beyond each part being well written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations

from server.billing.rules.tariff.mistakes import Mistakes
from server.billing.rules.tariff.model import Metered, Season, Tariff, Timed

_LEAP_YEAR = [date(2024, 1, 1) + timedelta(days=i) for i in range(366)]


def check(tariff: Tariff, mistakes: Mistakes, prefix: str) -> None:
    """Add what does not fit together to the mistakes."""
    for where, what in _problems(tariff):
        mistakes.wrong(f"{prefix}{where}", what)


def _problems(tariff: Tariff) -> Iterator[tuple[str, str]]:
    codes = [component.code for component in tariff.components]
    for code in sorted({code for code in codes if code and codes.count(code) > 1}):
        yield "components", f"the code {code!r} is there twice"
    if "rounding" in codes:
        yield "components", "the code 'rounding' is kept for what rounding the sum leaves"
    metered = [c for c in tariff.components if isinstance(c, Metered)]
    if len({c.registers for c in metered if c.is_yearly}) > 1:
        yield "components", "only one register can fill the tiers of the calendar year"
    names = {season.name for season in tariff.seasons}
    for i, component in enumerate(tariff.components):
        where = f"components[{i}]"
        if isinstance(component, Metered):
            yield from _metered(component, where)
        season = component.season if isinstance(component, Metered | Timed) else None
        if season is not None and season not in names:
            yield f"{where}.season", f"{season!r} is not one of the seasons"
    yield from _seasons(tariff, metered)


def _metered(component: Metered, where: str) -> Iterator[tuple[str, str]]:
    if not component.is_yearly:
        if component.new_account != "full":
            yield f"{where}.new_account", "is only for the basis calendar_year"
        return
    if component.block_kind == "slab":
        yield f"{where}.blocks", "slab blocks do not go with the basis calendar_year"
    if any(tier.amount is not None for tier in component.tiers):
        yield f"{where}.tiers", "a flat amount does not go with the basis calendar_year"


def _seasons(tariff: Tariff, metered: Sequence[Metered]) -> Iterator[tuple[str, str]]:
    for one, other in combinations(tariff.seasons, 2):
        if any(one.covers(day) and other.covers(day) for day in _LEAP_YEAR):
            yield "seasons", f"{one.name!r} and {other.name!r} have days in common"
    energy = [c for c in metered if c.kind == "energy"]
    groups = {(c.registers, c.classes) for c in energy if c.season is not None}
    for registers, classes in sorted(groups, key=str):
        names = {
            c.season
            for c in energy
            if c.registers == registers and c.classes in (frozenset(), classes)
        }
        missing = _uncovered([season for season in tariff.seasons if season.name in names])
        if None not in names and missing is not None:
            register = registers[0] if len(registers) == 1 else "time of use"
            what = f"the energy of {register} has no price on {missing:%m-%d}"
            yield "seasons", f"{what}: its seasons must cover the year"


def _uncovered(seasons: Sequence[Season]) -> date | None:
    """The first day of a year that no season covers."""
    return next((day for day in _LEAP_YEAR if not any(s.covers(day) for s in seasons)), None)
