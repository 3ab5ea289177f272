"""Signal: alternating stretches with and without it, so that captures arrive late and in bulk."""

from __future__ import annotations

import random


class Radio:
    """Has signal for ``fraction`` of the time (0…1), in stretches of about ``cycle_s`` seconds."""

    def __init__(self, rng: random.Random, fraction: float, cycle_s: float) -> None:
        if not 0 <= fraction <= 1:
            raise ValueError(f"signal is a fraction of time between 0 and 1, not {fraction}")
        self._rng = rng
        self._fraction = fraction
        self._cycle_s = cycle_s
        self._on = True
        self._until: float | None = None

    def has_signal(self, at_s: float) -> bool:
        """Whether there is signal at a time in seconds; ask with times that never go back."""
        if self._fraction in (0, 1):
            return self._fraction == 1
        if self._until is None:
            self._until = at_s + self._stretch()
        while at_s >= self._until:
            self._on = not self._on
            self._until += self._stretch()
        return self._on

    def _stretch(self) -> float:
        share = self._fraction if self._on else 1 - self._fraction
        return max(0.01, self._cycle_s * share * self._rng.uniform(0.5, 1.5))
