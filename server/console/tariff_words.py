"""The components of a tariff in the reader's words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from server.billing.rules.tariff.model import Component, Metered, Minimum, Percent, Tier, Timed
from server.billing.rules.tariff.quote import plain
from server.console import words

PER: dict[str, Any] = {
    "day": lambda: _("a day"),
    "month": lambda: _("a month"),
    "period": lambda: _("a bill"),
}


def facts(component: Component) -> list[str]:
    """What there is to know about a component besides its prices."""
    match component:
        case Metered():
            told = _metered(component)
        case Timed():
            told = [words.name(f"part_months.{component.part_months}")] * (component.per == "month")
        case Percent():
            told = [_("of %(codes)s", codes=", ".join(component.of))]
            told += [_("rounded on each line")] * component.each_line
        case Minimum():
            told = [_("of %(codes)s", codes=", ".join(component.of))]
    season = getattr(component, "season", None)
    told += [_("in %(season)s", season=season)] * bool(season)
    if component.classes:
        told.append(_("only for %(classes)s", classes=", ".join(sorted(component.classes))))
    return told


def _metered(component: Metered) -> list[str]:
    told = [] if component.tiers[0].prices else [words.name(component.register_kind)]
    if len(component.tiers) > 1:
        told.append(words.name(f"basis.{component.basis}"))
        if component.basis == "days":
            told.append(_("boundaries for %(n)s days", n=plain(component.normal_days)))
    if component.block_kind == "slab":
        told.append(_("the price that is reached holds for the whole quantity"))
    if component.new_account == "twelfths":
        told.append(_("new accounts: a twelfth of the year for each month"))
    for each in component.allowances:
        if each.add:
            more = plain(each.add)
            told.append(_("from %(n)s persons: boundaries + %(more)s", n=each.persons, more=more))
        if each.add_each:
            more = plain(each.add_each)
            told.append(
                _("from %(n)s persons: + %(more)s for each of them", n=each.persons, more=more)
            )
    return told


def rows(component: Component) -> list[tuple[str, str]]:
    """The prices of a component: for what, how much."""
    match component:
        case Metered():
            return _tiers(component)
        case Timed():
            return [(str(PER[component.per]()), plain(component.price))]
        case Percent():
            return [(_("share"), f"{plain(component.rate * 100)} %")]
        case Minimum():
            return [(str(PER[component.per]()), _("at least %(n)s", n=plain(component.amount)))]


def _tiers(component: Metered) -> list[tuple[str, str]]:
    found = []
    floor: Decimal | None = None
    for tier in component.tiers:
        found.append((_range(floor, tier.up_to), _price(tier)))
        floor = tier.up_to
    return found


def _range(floor: Decimal | None, up_to: Decimal | None) -> str:
    if up_to is None:
        return str(_("each unit") if floor is None else _("above %(n)s", n=plain(floor)))
    if floor is None:
        return str(_("up to %(n)s", n=plain(up_to)))
    return f"{plain(floor)} – {plain(up_to)}"


def _price(tier: Tier) -> str:
    if tier.amount is not None:
        return str(_("%(n)s for all of it", n=plain(tier.amount)))
    if tier.prices:
        return " · ".join(f"{words.name(name)} {plain(price)}" for name, price in tier.prices)
    return plain(tier.price) if tier.price else str(_("free"))
