"""A GPS receiver with the faults of real ones: noise, slow bias, jumps, no fix, a stale fix, (0,0).

All draws come from the seeded generator it is given. Fix times are true times (satellites keep them),
whatever the device's clock says.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from device_sim.clock import epoch_ms, rfc3339
from device_sim.walk import Place, offset

BIAS_MEMORY_S = 300.0
UNKNOWN = -1


@dataclass(frozen=True)
class GpsFaults:
    """How often (0…1 per fix) the receiver fails, and how long a cold start takes in seconds."""

    no_fix: float = 0.01
    jump: float = 0.004
    stale: float = 0.0
    zero: float = 0.0
    mock: bool = False
    cold_start_s: float = 0.0


@dataclass(frozen=True)
class Fix:
    """One position as the receiver tells it: degrees, metres, m/s, degrees; time is true UTC."""

    place: Place
    accuracy_m: float
    speed: float
    course: float
    at: datetime
    mock: bool = False

    def to_item(self) -> dict[str, object]:
        """The ``gps`` object of a pushed item."""
        return {
            "lat": round(self.place.lat, 7),
            "lon": round(self.place.lon, 7),
            "accuracy_m": round(self.accuracy_m, 1),
            "fix_at": rfc3339(self.at),
            "provider": "gnss",
            "mock": self.mock,
            "crs": "wgs84",
        }

    def to_track(self, battery: int) -> list[int]:
        """One row of a pushed track."""
        moving = self.speed > 0.2
        return [
            epoch_ms(self.at),
            round(self.place.lat * 1e7),
            round(self.place.lon * 1e7),
            round(self.accuracy_m * 10),
            round(self.speed * 100),
            round(self.course * 10) % 3600 if moving else UNKNOWN,
            battery,
            0,
        ]


class Receiver(Protocol):
    """What a handheld needs of a receiver, simulated or at a serial port."""

    @property
    def absence(self) -> str:
        """Why there is no fix, in the words of an item's ``gps.absent``."""

    def fix(
        self, true: Place | None, at: datetime, speed: float = 0.0, course: float = 0.0
    ) -> Fix | None:
        """The present fix, or None; ``true`` is where the simulated person stands, if anywhere."""


@dataclass
class Gps(Receiver):
    """Turns true places into fixes. ``sigma_m`` is the noise of this receiver, 3–8 m for a good one."""

    rng: random.Random
    faults: GpsFaults = field(default_factory=GpsFaults)
    sigma_m: float = 0.0
    _bias: tuple[float, float] = (0.0, 0.0)
    _bias_at: datetime | None = None
    _ready_at: datetime | None = None
    _last: Fix | None = None

    def __post_init__(self) -> None:
        if not self.sigma_m:
            self.sigma_m = self.rng.uniform(3.0, 8.0)

    @property
    def absence(self) -> str:
        """Satellites are all that this one can lack."""
        return "no_fix"

    def fix(
        self, true: Place | None, at: datetime, speed: float = 0.0, course: float = 0.0
    ) -> Fix | None:
        """The fix at a true place and time, or None when the receiver has none."""
        if true is None:
            return None
        self._drift(at)
        if self._ready_at is None:
            self._ready_at = at + timedelta(seconds=self.faults.cold_start_s)
        if at < self._ready_at or self.rng.random() < self.faults.no_fix:
            return None
        if self._last is not None and self.rng.random() < self.faults.stale:
            return self._last
        self._last = Fix(
            self._seen(true),
            accuracy_m=max(2.0, self.rng.gauss(self.sigma_m * 1.2, 1.0)),
            speed=max(0.0, speed + self.rng.gauss(0, 0.1)) if speed else 0.0,
            course=course,
            at=at,
            mock=self.faults.mock,
        )
        return self._last

    def _seen(self, true: Place) -> Place:
        if self.rng.random() < self.faults.zero:
            return Place(0.0, 0.0)
        north, east = self._bias
        spread = self.sigma_m * 0.35
        place = offset(true, north + self.rng.gauss(0, spread), east + self.rng.gauss(0, spread))
        if self.rng.random() < self.faults.jump:
            angle, far = self.rng.uniform(0, 2 * math.pi), self.rng.uniform(50, 200)
            place = offset(place, far * math.cos(angle), far * math.sin(angle))
        return place

    def _drift(self, at: datetime) -> None:
        """Move the slow error: it forgets itself over BIAS_MEMORY_S and stays about sigma wide."""
        if self._bias_at is None:
            keep, self._bias_at = 0.0, at
        else:
            keep = math.exp(-max(0.0, (at - self._bias_at).total_seconds()) / BIAS_MEMORY_S)
            self._bias_at = at
        spread = self.sigma_m * 0.6 * math.sqrt(1 - keep * keep)
        north, east = self._bias
        self._bias = (
            north * keep + self.rng.gauss(0, spread),
            east * keep + self.rng.gauss(0, spread),
        )
