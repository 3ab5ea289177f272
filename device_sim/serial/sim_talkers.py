"""A GPS receiver and a barcode scanner at ptys: devices that only talk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from device_sim.serial.ends import End
from device_sim.serial.nmea import KNOT_MPS
from device_sim.walk import Place


def sentence(content: str) -> bytes:
    """A line of NMEA with its checksum around ``content``, such as ``GPRMC,…``."""
    check = 0
    for byte in content.encode():
        check ^= byte
    return f"${content}*{check:02X}\r\n".encode()


def rmc(at: datetime, place: Place | None, speed: float = 0.0, course: float = 0.0) -> bytes:
    """Recommended minimum: without a place it says that there is no fix. ``speed`` is m/s."""
    time, day = at.strftime("%H%M%S.00"), at.strftime("%d%m%y")
    if place is None:
        return sentence(f"GPRMC,{time},V,,,,,,,{day},,,N")
    knots = speed / KNOT_MPS
    return sentence(f"GPRMC,{time},A,{_position(place)},{knots:.2f},{course:.1f},{day},,,A")


def gga(at: datetime, place: Place | None, hdop: float = 1.2) -> bytes:
    """Fix data: without a place its quality is 0."""
    time = at.strftime("%H%M%S.00")
    if place is None:
        return sentence(f"GPGGA,{time},,,,,0,00,99.9,,M,,M,,")
    return sentence(f"GPGGA,{time},{_position(place)},1,08,{hdop:.1f},15.0,M,8.0,M,,")


def _position(place: Place) -> str:
    def degrees(value: float, width: int) -> str:
        whole, minutes = divmod(round(abs(value) * 600_000), 600_000)
        return f"{whole:0{width}}{minutes / 10_000:07.4f}"

    north, east = "N" if place.lat >= 0 else "S", "E" if place.lon >= 0 else "W"
    return f"{degrees(place.lat, 2)},{north},{degrees(place.lon, 3)},{east}"


class SimGps(End):
    """A receiver that tells where ``place`` is each ``every_s`` seconds; None is no fix.

    ``speak`` may be replaced to say something else for a place at a time.
    """

    def __init__(
        self,
        place: Place | None,
        every_s: float = 1.0,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.place = place
        self.every_s = every_s
        self._now = now

    def speak(self, at: datetime, place: Place | None) -> bytes:
        """The sentences of one second."""
        return gga(at, place) + sentence("GPGSA,A,3,01,02,03,,,,,,,,,,2.0,1.2,1.6") + rmc(at, place)

    def play(self) -> None:
        """Talk until stopped."""
        while not self.stopped.is_set():
            self.plug.write(self.speak(self._now(), self.place))
            self.stopped.wait(self.every_s)


class SimScanner(End):
    """A scanner whose trigger is pulled for each of ``codes``, ``every_s`` seconds apart, over and over."""

    def __init__(
        self,
        codes: Iterable[str],
        every_s: float = 0.3,
        *,
        prefix: bytes = b"",
        suffix: bytes = b"\r\n",
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.codes = list(codes)
        self.every_s = every_s
        self._wrap = prefix, suffix

    def play(self) -> None:
        """Scan until stopped."""
        prefix, suffix = self._wrap
        while not self.stopped.wait(self.every_s):
            for code in self.codes:
                self.plug.write(prefix + code.encode() + suffix)
                if self.stopped.wait(self.every_s):
                    return
