"""What a phone may refuse by text, in its own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.commands.rules.grammar import Arguments, NoMatch
from server.commands.rules.words import word
from server.notify.rules.categories import REFUSABLE

PROMOTION = "promotion"
_NAMES: Mapping[str, Mapping[str, str]] = {
    "promotion": {"zh_Hans": "推广", "en": "promotions"},
    "bill": {"zh_Hans": "账单", "en": "bills"},
    "outage": {"zh_Hans": "停电", "en": "outages"},
    "job": {"zh_Hans": "工单", "en": "jobs"},
}
_ALL = ("全部", "所有", "ALL")
_WORDS: Mapping[str, str] = {
    "推广": "promotion",
    "广告": "promotion",
    "PROMO": "promotion",
    "PROMOTIONS": "promotion",
    "账单": "bill",
    "电费": "bill",
    "BILL": "bill",
    "BILLS": "bill",
    "停电": "outage",
    "OUTAGE": "outage",
    "OUTAGES": "outage",
    "工单": "job",
    "JOB": "job",
    "JOBS": "job",
}


def to_stop(rest: tuple[str, ...]) -> Arguments:
    """The categories to refuse: promotions, unless one more word says which."""
    return {"categories": _named(rest) if rest else [PROMOTION]}


def to_start(rest: tuple[str, ...]) -> Arguments:
    """The categories to take back: all, unless one more word says which."""
    return {"categories": _named(rest) if rest else list(REFUSABLE)}


def named(categories: Iterable[str], language: str) -> str:
    """Categories as a reply names them."""
    between = ", " if language == "en" else "、"
    return between.join(_NAMES.get(one, {}).get(language, one) for one in categories)


def _named(rest: tuple[str, ...]) -> list[str]:
    """Raises NoMatch for anything but one known word: the rest of a sentence is no command."""
    said = word(rest[0]) if len(rest) == 1 else ""
    if said in _ALL:
        return list(REFUSABLE)
    if said not in _WORDS:
        raise NoMatch
    return [_WORDS[said]]
