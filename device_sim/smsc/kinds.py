"""The kinds of options: how each is read from words or JSON, and how it is shown again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Statuses = tuple[tuple[int, float], ...]
Refusals = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Kind:
    """`read` takes words or JSON and raises ValueError; `show` gives what `read` takes back."""

    name: str
    read: Callable[[Any], Any]
    show: Callable[[Any], Any] = lambda value: value
    choices: tuple[str, ...] = ()


def _switch(given: Any) -> bool:
    known = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
    try:
        return known[str(given).lower()]
    except KeyError:
        raise ValueError("say on or off") from None


def _share(given: Any) -> float:
    words = str(given)
    try:
        value = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        raise ValueError("give a share such as 0.05 or 5%") from None
    if not 0 <= value <= 1:
        raise ValueError("a share lies between 0 and 1")
    return value


def _number(given: Any) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        raise ValueError("give a number") from None
    if not 0 <= value < 1e15:
        raise ValueError("give a number of 0 or more")
    return value


def _count(given: Any) -> int:
    value = _number(given)
    if value != int(value):
        raise ValueError("give a whole number")
    return int(value)


def _seconds(given: Any) -> tuple[float, float]:
    first, _, last = str(given).partition("-")
    try:
        low, high = float(first), float(last or first)
    except ValueError:
        raise ValueError("give seconds, such as 1.5 or 0.5-3") from None
    if not 0 <= low <= high < 1e9:
        raise ValueError("the first number must not be larger than the second")
    return low, high


def _status(given: Any) -> int:
    try:
        value = int(str(given), 0)
    except ValueError:
        raise ValueError("give a command status such as 0x0D") from None
    if not 0 <= value < 1 << 32:
        raise ValueError("a command status has 32 bits")
    return value


def _pairs(given: Any) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in str(given).replace(",", " ").split()]
    if any(not key or not value for key, _, value in pairs):
        raise ValueError("give pairs such as A=B, with commas between them")
    return [(key, value) for key, _, value in pairs]


def _statuses(given: Any) -> Statuses:
    found = tuple((_status(status), _share(share)) for status, share in _pairs(given))
    if sum(share for _, share in found) > 1:
        raise ValueError("the shares must not be more than 1 together")
    return found


def _refusals(given: Any) -> Refusals:
    return tuple((number.removeprefix("+"), _status(status)) for number, status in _pairs(given))


def _hex(status: int) -> str:
    return f"0x{status:02X}"


SWITCH = Kind("switch", _switch)
SHARE = Kind("share", _share)
NUMBER = Kind("number", _number)
COUNT = Kind("count", _count)
SECONDS = Kind(
    "seconds", _seconds, lambda pair: "-".join(f"{end:g}" for end in dict.fromkeys(pair))
)
STATUS = Kind("status", _status, lambda status: _hex(status) if status else "0")
STATUSES = Kind(
    "statuses", _statuses, lambda found: ", ".join(f"{_hex(s)}={share:g}" for s, share in found)
)
REFUSALS = Kind(
    "refusals", _refusals, lambda found: ", ".join(f"{to}={_hex(s)}" for to, s in found)
)
ACCOUNTS = Kind(
    "accounts", lambda given: tuple(_pairs(given)), lambda found: ", ".join(n for n, _ in found)
)
TEXT = Kind("text", str)


def choice(*names: str) -> Kind:
    """One of several words."""

    def read(given: Any) -> str:
        if given not in names:
            raise ValueError(f"choose one of {', '.join(names)}")
        return str(given)

    return Kind("choice", read, choices=names)
