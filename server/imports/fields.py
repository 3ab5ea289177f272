"""Reading one cell: text in, a value out, or :class:`BadValue` with a code and a sentence. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REGISTER = re.compile(r"(?P<kind>[a-z]+):(?P<digits>\d{1,2})(\.(?P<decimals>\d))?", re.ASCII)
_YES = {"yes": True, "true": True, "1": True, "y": True, "是": True}
_NO = {"no": False, "false": False, "0": False, "n": False, "否": False}


class BadValue(Exception):
    """A cell that cannot be used: a stable code and what is wrong, in words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Locale:
    """What cells leave unsaid: the zone of local times and the country of short phone numbers."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    region: str = "CN"


Read = Callable[[str, Locale], Any]


def text(most: int) -> Read:
    """A text of at most so many characters."""

    def read(cell: str, _locale: Locale) -> str:
        if len(cell) > most:
            raise BadValue("import.too_long", f"has {len(cell)} characters, at most {most} fit")
        return cell

    return read


def choice(values: Sequence[str]) -> Read:
    """One of a few words; capitals do not matter."""

    def read(cell: str, _locale: Locale) -> str:
        word = cell.lower()
        if word not in values:
            raise BadValue("import.choice", f"must be one of {', '.join(values)}")
        return word

    return read


def number(places: int, least: Decimal | None = None) -> Read:
    """An exact decimal with at most so many places; no thousands separators, no exponent."""

    def read(cell: str, _locale: Locale) -> Decimal:
        if not _NUMBER.fullmatch(cell):
            raise BadValue("import.number", "is not a number such as 1234.5")
        value = Decimal(cell)
        if value != round(value, places):
            raise BadValue("import.places", f"has more than {places} decimal places")
        if least is not None and value < least:
            raise BadValue("import.range", f"must be at least {least}")
        return value

    return read


def whole(least: int, most: int) -> Read:
    """A whole number within limits."""

    def read(cell: str, _locale: Locale) -> int:
        if not _WHOLE.fullmatch(cell):
            raise BadValue("import.number", "is not a whole number")
        if not least <= int(cell) <= most:
            raise BadValue("import.range", f"must be between {least} and {most}")
        return int(cell)

    return read


def degrees(limit: int) -> Read:
    """Degrees as whole 1e-7 degrees; the seventh place is a centimetre."""
    decimal = number(15)

    def read(cell: str, locale: Locale) -> int:
        value: Decimal = decimal(cell, locale)
        if abs(value) > limit:
            raise BadValue("import.range", f"must be between -{limit} and {limit}")
        return round(value.scaleb(7))

    return read


def yes_no(cell: str, _locale: Locale) -> bool:
    """Yes or no, in one of the usual spellings."""
    try:
        return {**_YES, **_NO}[cell.lower()]
    except KeyError:
        raise BadValue("import.yes_no", "must be yes or no") from None


def language(cell: str, _locale: Locale) -> str:
    """A language in which texts and pages exist; ``zh``, ``zh-CN`` and ``中文`` are zh_Hans."""
    word = cell.lower().replace("-", "_")
    if word in ("en", "english", "英文") or word.startswith("en_"):
        return "en"
    if word in ("中文", "chinese") or word.split("_")[0] == "zh":
        return "zh_Hans"
    raise BadValue("import.choice", "must be zh_Hans or en")


def day(cell: str, _locale: Locale) -> date:
    """A day: 2026-01-31, 2026/1/31 or 2026.1.31."""
    match = _DATE.fullmatch(cell)
    try:
        if match is None:
            raise ValueError
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        raise BadValue("import.date", "is not a day such as 2026-01-31") from None


def instant(cell: str, locale: Locale) -> datetime:
    """A moment in UTC; without an offset it is local time, without a time the day's start."""
    match = _DATE.match(cell)
    try:
        if match is None:
            raise ValueError
        year, month, of_month = (int(part) for part in match.groups())
        rest = cell[match.end() :] or " 00:00"
        moment = datetime.fromisoformat(f"{year:04d}-{month:02d}-{of_month:02d}{rest}")
    except ValueError:
        raise BadValue("import.time", "is not a time such as 2026-01-31 08:15") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=locale.zone)).astimezone(UTC)


def phone(cell: str, locale: Locale) -> str:
    """A phone number as E.164; without + it belongs to the region of the import."""
    try:
        parsed = phonenumbers.parse(cell, locale.region)
    except phonenumbers.NumberParseException:
        raise BadValue("import.phone", "is not a phone number") from None
    if not phonenumbers.is_possible_number(parsed):
        raise BadValue("import.phone", "has too few or too many digits for a phone number")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def email(cell: str, _locale: Locale) -> str:
    """An e-mail address, by its look."""
    if len(cell) > 255 or not _EMAIL.fullmatch(cell):
        raise BadValue("import.email", "is not an e-mail address")
    return cell


def time_zone(cell: str, _locale: Locale) -> str:
    """The name of a time zone."""
    try:
        ZoneInfo(cell)
    except (KeyError, ValueError, OSError):
        raise BadValue("import.time_zone", "is not a time zone such as Asia/Shanghai") from None
    return cell


def words(cell: str, _locale: Locale) -> tuple[str, ...]:
    """Words separated by semicolons, in order, each once."""
    return tuple(dict.fromkeys(word.strip() for word in cell.split(";") if word.strip()))


def json_object(cell: str, _locale: Locale) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = json.loads(cell)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadValue("import.json", 'is not a JSON object such as {"floor": 3}')
    return value


@dataclass(frozen=True)
class RegisterSpec:
    """A dial as ordered: its kind, whole digits and decimal places."""

    kind: str
    integer_digits: int
    decimals: int


def registers(kinds: Sequence[str]) -> Read:
    """Dials as ``kind:digits.decimals`` separated by semicolons, such as ``total:5;peak:5.2``."""

    def read(cell: str, locale: Locale) -> tuple[RegisterSpec, ...]:
        specs = tuple(_register(word, kinds) for word in words(cell.lower(), locale))
        if not specs:
            raise BadValue("import.registers", "names no dial, such as total:5.0")
        if len({spec.kind for spec in specs}) < len(specs):
            raise BadValue("import.registers", "names a dial twice")
        return specs

    return read


def _register(word: str, kinds: Sequence[str]) -> RegisterSpec:
    match = _REGISTER.fullmatch(word)
    if match is None:
        raise BadValue("import.registers", f"{word!r} is not a dial such as total:5.0")
    kind, digits = match["kind"], int(match["digits"])
    if kind not in kinds:
        raise BadValue("import.registers", f"{kind!r} is none of {', '.join(kinds)}")
    decimals = int(match["decimals"] or 0)
    if not 1 <= digits <= 12 or decimals > 6:
        raise BadValue("import.registers", "a dial has 1 to 12 whole digits and up to 6 places")
    return RegisterSpec(kind, digits, decimals)


def dial_values(kinds: Sequence[str]) -> Read:
    """Readings of a meter's dials: ``12345`` for the total alone, or ``total=12345;peak=678``."""
    decimal = number(6, Decimal(0))

    def read(cell: str, locale: Locale) -> Mapping[str, Decimal]:
        if "=" not in cell:
            return {"total": decimal(cell, locale)}
        found: dict[str, Decimal] = {}
        for word in words(cell, locale):
            kind, _, value = word.partition("=")
            if kind.strip().lower() not in kinds:
                raise BadValue("import.registers", f"{kind!r} is none of {', '.join(kinds)}")
            found[kind.strip().lower()] = decimal(value.strip(), locale)
        return found

    return read
