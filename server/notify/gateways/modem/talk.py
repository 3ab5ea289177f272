"""What a modem says, cut into what answers a command and what it says of its own accord.

Unasked lines come at any moment, in the middle of answers too; some bring a unit on the next line. So
every line is looked at by itself, and a line that announces a unit waits for it while others pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 4096

_UNIT_FOLLOWS = re.compile(r"\+(CMT|CDS|CMGL|CMGR): ?(.*)")
_PLACE = re.compile(r'\+(CMTI|CDSI): ?"?(\w+)"?, ?(\d+)')
_UNIT = re.compile(r"[0-9A-Fa-f]{16,}")
_ENDS = re.compile(rb"[\r\n]+")


@dataclass(frozen=True)
class Line:
    """Any line that is not one of the others: an answer, a final result, or the modem's own talk."""

    text: str


@dataclass(frozen=True)
class Prompt:
    """The modem waits for a unit."""


@dataclass(frozen=True)
class Stored:
    """A text or report was put on the SIM card at `place` of `memory`."""

    memory: str
    place: int


@dataclass(frozen=True)
class Unit:
    """A unit in hexadecimal digits.

    `told` is how it came: CMT and CDS unasked, CMGL and CMGR because we asked. `fields` are those of
    its announcement.
    """

    told: str
    fields: tuple[str, ...]
    digits: str


Event = Line | Prompt | Stored | Unit
FINAL = re.compile(r"OK|ERROR|\+CM[SE] ERROR: ?(.*)")


class Talk:
    """Turns the octets of a serial line into events; an endless line is dropped, never kept."""

    def __init__(self) -> None:
        self._held = b""
        self._dropping = False
        self._announced: list[tuple[str, tuple[str, ...]]] = []

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with these octets."""
        *whole, self._held = _ENDS.split(self._held + data)
        if whole and self._dropping:
            whole, self._dropping = whole[1:], False
        events = [event for line in whole if line for event in self._line(line)]
        if self._held.lstrip(b" ").startswith(b">"):
            # The prompt has no line end; an echo of what was sent may follow it.
            self._held = b""
            events.append(Prompt())
        if len(self._held) > LONGEST_LINE:
            self._held, self._dropping = b"", True
        return events

    def _line(self, raw: bytes) -> list[Event]:
        text = raw.decode("latin-1").strip("\x00\x1a\x1b ")
        announced = _UNIT_FOLLOWS.fullmatch(text)
        place = _PLACE.fullmatch(text)
        if announced is not None:
            fields = tuple(field.strip(' "') for field in announced[2].split(","))
            self._announced.append((announced[1], fields))
            return []
        if place is not None:
            return [Stored(place[2], int(place[3]))]
        if self._announced and _UNIT.fullmatch(text):
            return [Unit(*self._announced.pop(), text)]
        if FINAL.fullmatch(text):
            # What was announced and has not come by now was lost on the line.
            self._announced = [one for one in self._announced if one[0] in ("CMT", "CDS")]
        return [Line(text)] if text else []
