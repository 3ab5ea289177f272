"""Templates: which variables they may name, and how values are written in each language.

Callers hand over values, not words: a Decimal of money gets two decimal places, a Decimal quantity
loses its trailing zeros, dates and periods are written as the language does. A string passes through
as it is, so a caller whose currency has other places writes the amount itself.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from server.errors import Invalid
from server.notify.rules import events, mails, segments
from server.notify.rules.events import Event, Kind

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CENT = Decimal("0.01")
_FEW_ODD = 5
_SAMPLES = {
    "no": "10023456",
    "device": "A-17",
    "hours": "26",
    "unsent": "120",
    "items": "1204-1210",
    "line": "10kV东岭线",
    "area": "东岭街道3号台区",
    "scope": "解放路1-88号",
    "reason": "线路检修",
    "why": "雷雨天气",
    "start": "12月20日08:00",
    "end": "12月20日17:30",
    "etr": "12月20日21:30",
    "at": "21:12",
    "d": "35",
    "text": "…",
}


# Mistakes after which a template cannot even be filled with examples.
UNFILLABLE = frozenset({"template.bad_braces", "template.unknown_variable", "template.format"})


@dataclass(frozen=True)
class Finding:
    """Something about a template: an error keeps it from being saved, a warning does not."""

    code: str
    severity: Literal["error", "warning"]
    message: str


def usable(name: str, body: str) -> bool:
    """Whether a template that was kept can still be filled: its event may have changed since."""
    event = events.EVENTS.get(name)
    return event is None or not any(one.code in UNFILLABLE for one in _about_fields(event, body))


def check(event: Event, language: str, body: str, operator: str) -> None:
    """Refuse a template with a mistake. Raises Invalid `notify.bad_template` that lists all of them."""
    wrong = [one for one in findings(event, language, body, operator) if one.severity == "error"]
    if wrong:
        problems = [one.message for one in wrong]
        raise Invalid(
            "notify.bad_template",
            f"The template of {event.name} cannot be used: {'; '.join(problems)}.",
            {
                "event": event.name,
                "problems": problems,
                "findings": [{"code": one.code, "message": one.message} for one in wrong],
            },
        )


def findings(event: Event, language: str, body: str, operator: str) -> list[Finding]:
    """Everything to be said about a template, errors first; `language` is one of `mails.VARIANTS`."""
    found = [*_about_fields(event, body), *_about_characters(body)]
    if not body.strip():
        found.append(_error("empty", "it is empty"))
    if mails.is_mail(language):
        if not all(part.strip() for part in mails.split(body)):
            found.append(_error("subject", "an e-mail has a subject and a text"))
    elif not any(one.code in UNFILLABLE for one in found):
        found += _about_length(event, language, body, operator)
    return sorted(found, key=lambda one: one.severity)


def example(event: Event, language: str, body: str, operator: str) -> str:
    """The template filled with usual values; `body` has no mistake of `UNFILLABLE`."""
    known = {"co": operator}
    data = {name: known.get(name) or _sample(name, kind) for name, kind in event.variables.items()}
    return render(event, mails.language_of(language), body, data)


def _error(code: str, message: str) -> Finding:
    return Finding(f"template.{code}", "error", message)


def _warning(code: str, message: str) -> Finding:
    return Finding(f"template.{code}", "warning", message)


def _about_fields(event: Event, body: str) -> Iterator[Finding]:
    """Variables that do not exist, do more than name, are needed and missing, or are not used."""
    try:
        fields = list(string.Formatter().parse(body))
    except ValueError as problem:
        yield _error("bad_braces", str(problem))
        return
    named = {name for _, name, _, _ in fields if name is not None}
    for name in sorted(named - event.variables.keys()):
        yield _error("unknown_variable", f"{{{name}}} is not a variable of {event.name}")
    for _, field, spec, conversion in fields:
        if spec or conversion:
            yield _error("format", f"{{{field}}} takes no format")
    for name in sorted(event.required - named):
        yield _error("missing_variable", f"{{{name}}} must be in it")
    for name in sorted(event.variables.keys() - event.required - named):
        yield _warning("unused_variable", f"{{{name}}} is not used")


def _about_characters(body: str) -> Iterator[Finding]:
    """Characters that no phone shows."""
    wrong = sorted({char for char in body if char != "\n" and _unwritable(char)})
    if wrong:
        named = ", ".join(f"U+{ord(char):04X}" for char in wrong)
        yield _error("characters", f"these characters cannot be sent: {named}")


def _unwritable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn")


def _about_length(event: Event, language: str, body: str, operator: str) -> Iterator[Finding]:
    """How many segments the text has with usual values, and what makes it dearer than it need be."""
    text = example(event, language, body, operator)
    cut = segments.split(text, maximum=segments.MOST_PARTS * 4)
    if cut.count > segments.MAX_SEGMENTS:
        yield _error(
            "too_long",
            f"with usual values it needs {cut.count} segments, {segments.MAX_SEGMENTS} are allowed",
        )
    elif cut.count > 1 and not event.free:
        yield _warning("segments", f"with usual values it needs {cut.count} segments")
    odd = sorted({char for char in body if not segments.is_gsm7(char)})
    if cut.encoding == "ucs2" and 0 < len(odd) <= _FEW_ODD and language == "en":
        yield _warning("encoding", f"{''.join(odd)} more than halves what fits into a segment")


def _sample(name: str, kind: Kind) -> Any:
    """A usual value of a variable, none of the shortest."""
    if kind == "money":
        return Decimal("1234.56")
    if kind == "quantity":
        return Decimal("1256.4")
    if kind == "date":
        return date(2026, 12, 20)
    return "2026-11" if kind == "month" else _SAMPLES.get(name, "12345678")


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
