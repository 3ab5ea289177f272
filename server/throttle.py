"""Token buckets that slow down callers who ask too often; each process keeps its own.

With several web processes a caller gets at most that many times the rate, which is enough against
guessing and runaway scripts. Nothing here replaces the limits of a proxy in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from flask import current_app

from server.errors import DomainError, Unauthorized

_MOST_KEYS = 10_000


class TooMany(DomainError):
    """The caller must wait; ``details`` says how many seconds."""

    status = 429


@dataclass(frozen=True)
class Limit:
    """A rate: ``burst`` calls at once, then ``per_minute`` evenly."""

    name: str
    burst: int
    per_minute: float


API = Limit("api", burst=120, per_minute=1200)
API_UNKNOWN = Limit("api.unknown", burst=20, per_minute=20)
ENROL = Limit("enrol", burst=10, per_minute=10)
SIGN_IN = Limit("sign_in", burst=10, per_minute=10)
# Counted for each person, wherever he asks from: a million codes, three of them right at a time.
SECOND_FACTOR = Limit("second_factor", burst=5, per_minute=1)


class Throttle:
    """The buckets of one process."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = Lock()

    def wait_seconds(self, limit: Limit, key: str, *, take: bool = True) -> float:
        """Take one call from a key's bucket; 0 when it was there, else the seconds until it will be.

        Args:
            take: False only looks.
        """
        now = self._seconds()
        per_second = limit.per_minute / 60
        with self._lock:
            level, at = self._buckets.get((limit.name, key), (float(limit.burst), now))
            level = min(float(limit.burst), level + (now - at) * per_second)
            if level < 1:
                return (1 - level) / per_second
            if take:
                self._buckets[limit.name, key] = (level - 1, now)
                if len(self._buckets) > _MOST_KEYS:
                    self._forget_oldest()
        return 0.0

    def check(self, limit: Limit, key: str) -> None:
        """Take one call or refuse.

        Raises:
            TooMany: ``throttle.too_many`` with ``retry_after_s`` in the details.
        """
        wait = self.wait_seconds(limit, key)
        if wait > 0:
            raise _too_many(wait)

    def require(self, limit: Limit, key: str) -> None:
        """Refuse a key whose bucket is empty, without taking from it; failures take, by :meth:`fail`.

        Raises:
            TooMany: ``throttle.too_many`` with ``retry_after_s`` in the details.
        """
        wait = self.wait_seconds(limit, key, take=False)
        if wait > 0:
            raise _too_many(wait)

    def fail(self, limit: Limit, key: str) -> None:
        """Count a failed attempt against a key."""
        self.wait_seconds(limit, key)

    @contextmanager
    def guarding(self, limit: Limit, key: str) -> Iterator[None]:
        """Let a proof be tried in the block; one that fails counts against the key.

        Raises:
            TooMany: ``throttle.too_many`` when too many have failed already.
        """
        self.require(limit, key)
        try:
            yield
        except Unauthorized:
            self.fail(limit, key)
            raise

    def clear(self) -> None:
        """Forget everybody."""
        with self._lock:
            self._buckets.clear()

    def _forget_oldest(self) -> None:
        """Drop the half that was used longest ago: their buckets have mostly filled up again."""
        oldest = sorted(self._buckets, key=lambda key: self._buckets[key][1])
        for key in oldest[: _MOST_KEYS // 2]:
            del self._buckets[key]


def _too_many(wait: float) -> TooMany:
    seconds = max(1, math.ceil(wait))
    return TooMany(
        "throttle.too_many",
        f"Too many attempts. Try again in {seconds} s.",
        {"retry_after_s": seconds},
    )


def current() -> Throttle:
    """The buckets of the running application."""
    found: Throttle = current_app.extensions.setdefault("fieldbell.throttle", Throttle())
    return found
