"""Time as a device lives it: a true clock (wall or virtual) and the device's own, which may be wrong."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol


class Clock(Protocol):
    """True time. ``sleep`` returns False when the wait was cut short by a request to stop."""

    def now(self) -> datetime:
        """The true time, aware, UTC."""

    def sleep(self, seconds: float) -> bool:
        """Let ``seconds`` pass."""

    @property
    def live(self) -> bool:
        """Whether this clock shows the present, so that a network can be spoken to."""


class WallClock:
    """Real time; ``stop`` ends every wait early."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def now(self) -> datetime:
        """The true time, aware, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> bool:
        """Wait; False when asked to stop meanwhile."""
        return not self.stop.wait(max(0.0, seconds))

    @property
    def live(self) -> bool:
        """Wall time is always the present."""
        return True


class VirtualClock:
    """Starts in the past and jumps over every wait until it has caught up with ``until``.

    After that it runs as the clock it caught up with. So a device lives through a working day in a
    second, without a signal, and then meets the server in the present with honest time stamps.
    Without ``until`` it never catches up and counts as live: for tests without a server.
    """

    def __init__(self, start: datetime, until: Clock | None = None) -> None:
        self._now = start
        self._until = until

    def now(self) -> datetime:
        """The virtual time, or the true one once caught up."""
        if self._until is not None and self.live:
            return self._until.now()
        return self._now

    def sleep(self, seconds: float) -> bool:
        """Jump forward by ``seconds``, or wait really when the present has been reached."""
        if self._until is not None and self.live:
            return self._until.sleep(seconds)
        self._now += timedelta(seconds=max(0.0, seconds))
        return True

    @property
    def live(self) -> bool:
        """Whether the present has been reached."""
        return self._until is None or self._now >= self._until.now()


class DeviceClock:
    """What the device's own clock shows: the true time plus an offset and a drift.

    ``offset_s`` seconds ahead of the truth at boot, gaining ``drift_ppm`` microseconds each second.
    The uptime counts from boot and never jumps.
    """

    def __init__(
        self, clock: Clock, offset_s: float = 0.0, drift_ppm: float = 0.0, zone: tzinfo = UTC
    ) -> None:
        self.true = clock
        self.offset_s = offset_s
        self.drift_ppm = drift_ppm
        self.zone = zone
        self.boot = str(uuid.uuid4())
        self._booted = clock.now()

    def now(self) -> datetime:
        """The device's time in its own zone."""
        up = (self.true.now() - self._booted).total_seconds()
        wrong = timedelta(seconds=self.offset_s + up * self.drift_ppm / 1e6)
        return (self.true.now() + wrong).astimezone(self.zone)

    def uptime_ms(self) -> int:
        """Milliseconds since boot."""
        return int((self.true.now() - self._booted).total_seconds() * 1000)


def rfc3339(moment: datetime) -> str:
    """A wire time with milliseconds and its offset."""
    return moment.isoformat(timespec="milliseconds")


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def monotonic() -> float:
    """Seconds of a clock that never goes back, for cadences."""
    return time.monotonic()
