"""What a simulated modem remembers: a SIM with few places, and the network that holds what does not fit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Sim:
    """A SIM card with ``size`` places, from 1; what finds none free waits in the network."""

    size: int = 20
    places: dict[int, tuple[str, int]] = field(default_factory=dict)
    waiting: deque[tuple[str, int]] = field(default_factory=deque)

    def keep(self, unit: str, length: int) -> int | None:
        """Put a unit on the card and return its place; None when it must wait."""
        free = next((n for n in range(1, self.size + 1) if n not in self.places), None)
        if free is None:
            self.waiting.append((unit, length))
            return None
        self.places[free] = (unit, length)
        return free

    def delete(self, place: int) -> list[int]:
        """Free a place; the places that what waited has taken since."""
        self.places.pop(place, None)
        taken: list[int] = []
        while self.waiting and len(self.places) < self.size:
            found = self.keep(*self.waiting.popleft())
            if found is not None:
                taken.append(found)
        return taken
