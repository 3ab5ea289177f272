"""Templates: which variables they may name, and how values are written in each language.

Callers hand over values, not words: a Decimal of money gets two decimal places, a Decimal quantity
loses its trailing zeros, dates and periods are written as the language does. A string passes through
as it is, so a caller whose currency has other places writes the amount itself.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from server.errors import Invalid
from server.notify.rules.events import Event, Kind

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CENT = Decimal("0.01")


def check(event: Event, body: str) -> None:
    """Refuse a template that names a variable its event does not declare, or does more than name.

    Raises Invalid `notify.bad_template`.
    """
    problems: list[str] = []
    try:
        fields = list(string.Formatter().parse(body))
    except ValueError as problem:
        fields, problems = [], [str(problem)]
    for _, name, spec, conversion in fields:
        if name is None:
            continue
        if name not in event.variables:
            problems.append(f"{{{name}}} is not a variable of {event.name}")
        if spec or conversion:
            problems.append(f"{{{name}}} takes no format")
    if not body.strip():
        problems.append("it is empty")
    if problems:
        raise Invalid(
            "notify.bad_template",
            f"The template of {event.name} cannot be used: {'; '.join(problems)}.",
            {"event": event.name, "problems": problems},
        )


def render(event: Event, language: str, body: str, data: Mapping[str, Any]) -> str:
    """The text of one notice. `body` has passed `check`.

    Raises Invalid `notify.missing_data` or `notify.unknown_data` when `data` is not exactly what the
    event declares, so that a slip in a caller is found by its first test and not by a customer.
    """
    missing = sorted(event.variables.keys() - data.keys())
    if missing:
        raise Invalid(
            "notify.missing_data",
            f"The notice {event.name} lacks {', '.join(missing)}.",
            {"event": event.name, "missing": missing},
        )
    unknown = sorted(data.keys() - event.variables.keys())
    if unknown:
        raise Invalid(
            "notify.unknown_data",
            f"The notice {event.name} does not know {', '.join(unknown)}.",
            {"event": event.name, "unknown": unknown},
        )
    return body.format_map(
        {name: write(data[name], kind, language) for name, kind in event.variables.items()}
    )


def write(value: Any, kind: Kind, language: str) -> str:
    """One value as a text shows it; control characters never leave the house."""
    if isinstance(value, Decimal | int) and kind == "money":
        return f"{Decimal(value).quantize(_CENT, ROUND_HALF_UP):f}"
    if isinstance(value, Decimal) and kind == "quantity":
        return f"{value.normalize():f}"
    if isinstance(value, date) and kind == "date":
        return _day(value, language)
    if kind == "month":
        return _month(str(value), language)
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs") else " "
        for char in str(value)
    )


def _day(day: date, language: str) -> str:
    if language == "en":
        return f"{day.day} {_MONTHS[day.month - 1]}"
    return f"{day.month}月{day.day}日"


def _month(period: str, language: str) -> str:
    """A period `YYYY-MM`; Chinese templates write the word for month themselves."""
    year, dash, month = period.partition("-")
    if not (dash and year.isdecimal() and month.isdecimal() and 1 <= int(month) <= 12):
        return period
    return f"{_MONTHS[int(month) - 1]} {year}" if language == "en" else str(int(month))
