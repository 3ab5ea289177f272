"""The quiet mode: an SMS centre that counts and shows nothing, so that a benchmark measures others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from device_sim.smsc import wire
from device_sim.smsc.phones import Phones


class Tally(Phones):
    """Phones without screens: counts only, for benchmarks.

    Of every message id it keeps how often its report was acknowledged, of every text (number, body)
    how often it came.
    """

    quiet = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(None, clock)
        self._reports: dict[str, int] = {}
        self._came: dict[int, int] = {}
        self._by_phone: dict[str, int] = {}
        self._segments = 0
        self._began = self._last = 0.0

    def accept(
        self, submitted: wire.Submitted, system_id: str, report: tuple[str, float] | None
    ) -> str:
        """Count one segment and return its message id."""
        with self._lock:
            self._last = self._clock()
            if not self._segments:
                self._began = self._last
            message_id, owed = self._number(submitted, system_id, report, self._last)
            if owed is not None:
                self._owed.add(owed)
                self._reports[message_id] = 0
            phone = submitted.destination
            key = hash((phone, submitted.body))
            self._came[key] = self._came.get(key, 0) + 1
            self._by_phone[phone] = self._by_phone.get(phone, 0) + 1
            self._segments += 1
        return message_id

    def counts(self) -> dict[str, int]:
        """How many segments were taken, and reports are still owed."""
        return {**super().counts(), "segments": self._segments}

    def tally(self) -> dict[str, Any]:
        """Counters, and what a benchmark wants to be 0."""
        with self._lock:
            return {
                **self.counts(),
                "phones": len(self._by_phone),
                "distinct": len(self._came),
                "doubled": sum(times - 1 for times in self._came.values()),
                "reports_wanted": len(self._reports),
                "reports_missing": sum(not times for times in self._reports.values()),
                "seconds": round(self._last - self._began, 6),
                "reports_doubled": sum(times > 1 for times in self._reports.values()),
            }

    def ids(self) -> dict[str, dict[str, int]]:
        """How often the report of every id was acknowledged, and how many segments a number got."""
        with self._lock:
            return {"reports": dict(self._reports), "phones": dict(self._by_phone)}

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            super().forget()
            self._reports.clear()
            self._came.clear()
            self._by_phone.clear()
            self._segments = 0

    def _settle(self, key: str, status: int) -> None:
        with self._lock:
            if key in self._reports and status == wire.OK:
                self._reports[key] += 1
            super()._settle(key, status)
