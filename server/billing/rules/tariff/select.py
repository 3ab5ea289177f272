"""Which components of a tariff hold for a class of accounts, and which of them count the use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from server.billing.rules.tariff.fast import Plan, plan
from server.billing.rules.tariff.model import (
    REGISTER_KINDS,
    Component,
    Metered,
    Rounding,
    Season,
    Tariff,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The components of a tariff that hold for a class of accounts.

    ``counted`` are the codes whose quantity is the account's use of the year: of the component
    that fills the tiers of the calendar year, else of the first energy on the total register,
    else of the first energy; with seasons, of one component for each season. ``registers`` are
    those that are charged for; all of them when nothing is charged by quantity.
    """

    components: tuple[Component, ...]
    counted: frozenset[str]
    registers: frozenset[str]
    is_yearly: bool
    seasons: Mapping[str, Season]
    rounding: Rounding
    plan: Plan | None


def of(tariff: Tariff, account_class: str | None) -> Selection:
    """The components for a class of accounts; without a class, those that hold for every class."""
    found = tariff.selections.get(account_class)
    if found is None:
        found = tariff.selections[account_class] = _select(tariff, account_class)
    return cast("Selection", found)


def _select(tariff: Tariff, account_class: str | None) -> Selection:
    chosen = tuple(c for c in tariff.components if not c.classes or account_class in c.classes)
    metered = [c for c in chosen if isinstance(c, Metered)]
    counted = _counted([c for c in metered if c.kind == "energy" or c.is_yearly])
    codes = frozenset(c.code for c in counted)
    return Selection(
        components=chosen,
        counted=codes,
        registers=frozenset(register for c in metered for register in c.registers)
        or frozenset(REGISTER_KINDS if chosen else ()),
        is_yearly=any(c.is_yearly for c in metered),
        seasons={season.name: season for season in tariff.seasons},
        rounding=tariff.rounding,
        plan=plan(chosen, codes, tariff.rounding),
    )


def _counted(candidates: Sequence[Metered]) -> list[Metered]:
    """The components whose quantities together are all that was used, each unit once."""
    ranked = sorted(
        candidates,
        key=lambda c: (
            not c.is_yearly,
            c.kind != "energy",
            c.registers != ("total",),
            c.season is not None,
        ),
    )
    if not ranked or ranked[0].season is None:
        return ranked[:1]
    by_season: dict[str | None, Metered] = {}
    for each in ranked:
        if each.registers == ranked[0].registers:
            by_season.setdefault(each.season, each)
    return list(by_season.values())
