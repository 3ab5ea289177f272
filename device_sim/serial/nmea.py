"""NMEA 0183: GGA and RMC sentences of any satellite system, put together to fixes.

A receiver tells date, speed and validity in RMC, height and quality in GGA, both once a second and in any
order; a fix is told when both halves of the same second are there. Bytes raise ``BadSentenceError`` only.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pynmeagps import (
    NMEAMessageError,
    NMEAParseError,
    NMEAReader,
    NMEAStreamError,
    NMEATypeError,
)

from device_sim.gps import Fix
from device_sim.walk import Place

log = logging.getLogger("device_sim")

KNOT_MPS = 1852 / 3600
# Metres of error per unit of HDOP: a common figure for civil receivers, generous on purpose.
METRES_PER_HDOP = 5.0
# Taken as the accuracy when the receiver tells none.
UNKNOWN_ACCURACY_M = 50.0
# The weeks of GPS are counted in 10 bits: an old receiver is 1024 weeks behind. No fix is older than this.
ROLLOVER = timedelta(weeks=1024)
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_SENTENCE = 200
NO_FIX, ESTIMATED, MANUAL, SIMULATED = 0, 6, 7, 8


class BadSentenceError(Exception):
    """Bytes that are no NMEA sentence, or one that was damaged on the way."""


@dataclass(frozen=True)
class Rmc:
    """Position, speed (m/s), course (degrees) and the date; ``place`` is None without a fix."""

    at: datetime | None
    place: Place | None
    speed: float
    course: float
    simulated: bool


@dataclass(frozen=True)
class Gga:
    """Quality of the fix at a time of day; ``accuracy_m`` is None when it is not told."""

    time: time | None
    quality: int
    accuracy_m: float | None


def read_sentence(line: bytes) -> Rmc | Gga | None:
    """The meaning of one line; None for sentences that are good and say nothing we need.

    Raises ``BadSentenceError`` for anything else, a missing or wrong checksum included.
    """
    line = line[max(0, line.rfind(b"$")) :].strip()
    _check(line)
    if line[3:6] not in (b"RMC", b"GGA") or not line.startswith(b"$"):
        return None
    try:
        message = NMEAReader.parse(line + b"\r\n")
        return _rmc(message) if line[3:6] == b"RMC" else _gga(message)
    except (
        NMEAMessageError,
        NMEAParseError,
        NMEAStreamError,
        NMEATypeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
    ) as error:
        raise BadSentenceError(f"{line[:80]!r}: {error}") from error


def _check(line: bytes) -> None:
    body, star, told = line[1:].partition(b"*")
    found = 0
    for byte in body:
        found ^= byte
    if not line.startswith(b"$") or not star or told.upper() != b"%02X" % found:
        raise BadSentenceError(f"not a sentence, or damaged: {line[:80]!r}")


def _rmc(message: object) -> Rmc:
    day, clock = getattr(message, "date", ""), getattr(message, "time", "")
    at = None
    if isinstance(day, date) and isinstance(clock, time):
        at = repaired(datetime.combine(day, clock, UTC))
    mode = str(getattr(message, "posMode", "") or "A")
    valid = getattr(message, "status", "") == "A" and mode not in ("N", "E", "M")
    if valid and at is None:
        raise ValueError("a position without a time")
    return Rmc(
        at,
        _place(message) if valid else None,
        max(0.0, _number(message, "spd") or 0.0) * KNOT_MPS,
        (_number(message, "cog") or 0.0) % 360,
        simulated=mode == "S",
    )


def _gga(message: object) -> Gga:
    clock = getattr(message, "time", "")
    hdop = _number(message, "HDOP")
    quality = int(getattr(message, "quality", NO_FIX) or NO_FIX)
    accuracy = hdop * METRES_PER_HDOP if hdop is not None and 0 < hdop < 99 else None
    return Gga(clock if isinstance(clock, time) else None, quality, accuracy)


def _place(message: object) -> Place | None:
    """The position; None for one that is nowhere, or at 0°, 0° where receivers without a fix are."""
    lat, lon = _number(message, "lat"), _number(message, "lon")
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return None
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise ValueError(f"there is no position {lat}, {lon}")
    return Place(lat, lon)


def _number(message: object, name: str) -> float | None:
    value = getattr(message, name, "")
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def repaired(at: datetime) -> datetime:
    """A time that is not 1024 weeks (or twice that) behind, as receivers are after a week rollover."""
    while at < EARLIEST:
        at += ROLLOVER
    return at


class Fixes:
    """Puts sentences together; ``latest`` is the present fix, None when the receiver has none."""

    def __init__(self) -> None:
        self.latest: Fix | None = None
        self.sentences = self.damaged = 0
        self._rmc: Rmc | None = None
        self._gga: Gga | None = None

    def feed(self, line: bytes) -> Fix | None:
        """Take a line; returns the fix that it completes, if any. Damaged lines are counted."""
        try:
            sentence = read_sentence(line)
        except BadSentenceError as error:
            self.damaged += 1
            log.debug("gps: %s", error)
            return None
        self.sentences += 1
        if isinstance(sentence, Rmc):
            self._rmc = sentence
        elif isinstance(sentence, Gga):
            self._gga = sentence
        else:
            return None
        return self._together()

    def _together(self) -> Fix | None:
        rmc, gga = self._rmc, self._gga
        if (rmc and rmc.place is None) or (gga and gga.quality in (NO_FIX, ESTIMATED, MANUAL)):
            self.latest = None
        if rmc is None or rmc.at is None or rmc.place is None:
            return None
        if gga is not None and (
            gga.time != rmc.at.time() or gga.quality in (NO_FIX, ESTIMATED, MANUAL)
        ):
            return None
        accuracy = gga.accuracy_m if gga and gga.accuracy_m else UNKNOWN_ACCURACY_M
        mock = rmc.simulated or (gga is not None and gga.quality == SIMULATED)
        self.latest = Fix(rmc.place, accuracy, rmc.speed, rmc.course, rmc.at, mock)
        return self.latest
