"""Texts that phones send: their alphabet, their parts, and what can go wrong with these on the way."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from device_sim.smsc import alphabet, wire

MOST_PARTS = 255
_CHOICES = {
    "encoding": ("auto", *alphabet.ENCODINGS),
    "join": ("udh", "udh16", "sar"),
    "order": ("in", "reversed", "shuffled"),
    "missing": ("", "first", "last"),
}


@dataclass(frozen=True)
class Draft:
    """A text as somebody typed it, and how it shall travel.

    `to` and `account` are filled in from the last text the phone received where they are empty.
    `sender` replaces the phone's number, also by a name. `twice` sends every part once more.
    """

    text: str
    to: str = ""
    account: str = ""
    sender: str = ""
    encoding: str = "auto"
    join: str = "udh"
    order: str = "in"
    missing: str = ""
    twice: bool = False
    after: float = 0.0


def read_draft(given: Mapping[str, Any]) -> Draft:
    """A draft from JSON. Raises ValueError."""
    known = {found.name: found.default for found in fields(Draft)}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: there is no such field")
    for name, value in given.items():
        if name == "text":
            fits = isinstance(value, str) and value != ""
        elif name in _CHOICES:
            fits = value in _CHOICES[name]
        elif name == "after":
            fits = type(value) in (int, float) and 0 <= value <= 86400
        elif name in ("to", "sender", "account"):
            fits = isinstance(value, str) and len(value) <= 20 and value.isprintable()
        else:
            fits = type(value) is type(known[name])
        if not fits:
            choices = ", ".join(choice or '""' for choice in _CHOICES.get(name, ()))
            raise ValueError(f"{name}: {'one of ' + choices if choices else 'not as it should be'}")
    if "text" not in given:
        raise ValueError("text: is missing")
    return Draft(**given)


def parts(draft: Draft, phone: str, chance: random.Random) -> list[wire.Delivery]:
    """The parts of a text in the order in which they leave. Raises ValueError when it cannot be written."""
    coding = alphabet.ENCODINGS.get(draft.encoding)
    coding = alphabet.coding_for(draft.text) if coding is None else coding
    pieces = alphabet.cut(draft.text, coding)
    if len(pieces) > MOST_PARTS:
        raise ValueError(f"text: {len(pieces)} parts are more than {MOST_PARTS}")
    source, reference = draft.sender or phone, chance.randrange(1, 256)
    made = [
        _part(draft, source, coding, octets, (reference, len(pieces), number))
        for number, octets in enumerate(pieces, start=1)
    ]
    return _spoilt(made, draft, chance)


def _part(
    draft: Draft, source: str, coding: int, octets: bytes, place: tuple[int, int, int]
) -> wire.Delivery:
    if place[1] == 1:
        return wire.Delivery(source, draft.to, 0, coding, octets)
    if draft.join == "sar":
        return wire.Delivery(source, draft.to, 0, coding, octets, wire.sar_tlvs(*place))
    header = wire.join_header(*place, wide=draft.join == "udh16")
    return wire.Delivery(source, draft.to, 0x40, coding, header + octets)


def _spoilt(made: list[wire.Delivery], draft: Draft, chance: random.Random) -> list[wire.Delivery]:
    if draft.missing and len(made) > 1:
        made = made[1:] if draft.missing == "first" else made[:-1]
    if draft.twice:
        made = [part for part in made for _ in range(2)]
    if draft.order == "reversed":
        made.reverse()
    elif draft.order == "shuffled":
        chance.shuffle(made)
    return made
