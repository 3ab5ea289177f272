"""A barcode scanner at a serial port: one code a line, whatever the scanner wraps around it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from device_sim.handheld import Stop
from device_sim.serial.line import Line, SerialError, parse_port
from device_sim.serial.lines import LineCutter

BAUD = 9600
LONGEST_CODE = 128
# A scanner without a line end falls silent instead.
SILENCE_S = 0.3
# Part of a longer code is taken for a serial number only when it is long enough to be none by chance.
SHORTEST_PART = 5
# ISO/IEC 15424: which kind of barcode it was, such as ]C1, when the scanner is told to say so.
_SYMBOLOGY = re.compile(r"\A\][A-Za-z][0-9A-Za-z]")


class BadScanError(SerialError):
    """What came from the scanner is no code, or names no meter of this round."""


def read_code(line: bytes) -> str:
    """The code in a line: control characters, blanks and the symbology mark around it are taken off.

    Raises ``BadScanError`` when nothing readable is left.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise BadScanError("scan.unreadable", f"not a code: {line[:60]!r}") from None
    text = text.strip("".join(map(chr, range(33))) + "\x7f\ufeff")
    text = _SYMBOLOGY.sub("", text).strip()
    if not text or len(text) > LONGEST_CODE or not text.isprintable():
        raise BadScanError("scan.unreadable", f"not a code: {line[:60]!r}")
    return text


def stop_of(code: str, stops: Sequence[Stop]) -> Stop:
    """The stop whose meter was scanned: its serial is the code, or the one serial inside it.

    Labels carry a maker's prefix or a check digit around the serial. Raises ``BadScanError``
    ``scan.no_such_meter`` or ``scan.ambiguous``.
    """
    plain = code.casefold()
    serials = [(str(stop.meter_serial).casefold(), stop) for stop in stops if stop.meter_serial]
    same = [stop for serial, stop in serials if serial == plain]
    if same:
        return same[0]
    inside = [(s, stop) for s, stop in serials if len(s) >= SHORTEST_PART and s in plain]
    if len({serial for serial, _ in inside}) > 1:
        raise BadScanError("scan.ambiguous", f"{code} names several meters of this round")
    if not inside:
        raise BadScanError("scan.no_such_meter", f"{code} is no meter with an open order here")
    return inside[0][1]


class Scanner:
    """Waits for codes at ``PORT`` or ``PORT@BAUD``; use as a context manager."""

    def __init__(self, port: str) -> None:
        name, baud = parse_port(port, BAUD)
        self._line = Line(name, baud)
        self._cutter = LineCutter(LONGEST_CODE * 2)
        self._codes: list[bytes] = []

    def __enter__(self) -> Scanner:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def scan(self, within_s: float) -> str:
        """The next code.

        Raises ``BadScanError``: ``scan.nothing`` when none came in time, ``scan.unreadable``; ``LineError``.
        """
        end = time.monotonic() + within_s
        while not self._codes:
            left = end - time.monotonic()
            if left <= 0:
                raise BadScanError("scan.nothing", f"nothing was scanned within {within_s:g} s")
            data = self._line.read(min(left, SILENCE_S))
            self._codes += self._cutter.feed(data)
            if not data and (rest := self._cutter.rest()):
                self._codes.append(rest)
        return read_code(self._codes.pop(0))
