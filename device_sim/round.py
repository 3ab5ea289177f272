"""Walking a round: from stop to stop, standing there, reading. Used by the fleet and by one handheld."""

from __future__ import annotations

import random
from collections.abc import Callable

from device_sim.handheld import Handheld, Stop, place_of
from device_sim.rep import Rep
from device_sim.walk import Place, leg_seconds, offset, steps, where_people_go

DWELL_S = (20.0, 90.0)
TRACK_EVERY_S = 10.0
WALK_SHARE = 0.7


class Round:
    """One person's walk with one handheld.

    ``pace`` is seconds per stop, walk and dwell together; None is real life (1.2 m/s, 20–90 s at the
    meter); 0 wastes no time. ``pause(seconds)`` lets time pass and returns False when the walk ends.
    """

    def __init__(
        self,
        handheld: Handheld,
        rep: Rep,
        rng: random.Random,
        pause: Callable[[float], bool],
        pace: float | None = None,
    ) -> None:
        self.handheld = handheld
        self.rep = rep
        self._rng = rng
        self._pause = pause
        self._pace = pace
        self._every_s = min(TRACK_EVERY_S, max(1.0, pace / 3)) if pace else TRACK_EVERY_S

    def visit(self, stop: Stop) -> str | None:
        """Go to a stop and read or skip it; the captured id, or None when the walk was ended."""
        place = self._where(stop)
        if place and not self.walk_to(place):
            return None
        if not self.stand(self._dwell_s()):
            return None
        decision = self.rep.decide(stop, self.handheld.clock.true.now())
        if decision.skip:
            return self.handheld.skip(stop, decision.skip)
        return self.handheld.read(stop, decision.registers, photos=self.rep.photos(stop))

    def walk_to(self, place: Place, slowly: bool = False) -> bool:
        """Walk to a place, leaving a track; ``slowly`` keeps to walking speed whatever the pace."""
        start = self.handheld.place or self._some_way_off(place)
        if self._pace == 0 and not slowly:
            self.handheld.stand(place)
            return self._pause(0)
        hurry = None if slowly or self._pace is None else self._pace * WALK_SHARE
        seconds, passed = leg_seconds(start, place, hurry), 0.0
        for step in steps(start, place, seconds, self._every_s):
            if not self._pause(step.after_s - passed):
                return False
            passed = step.after_s
            self.handheld.stand(step.place, step.speed, step.course)
        return True

    def stand(self, seconds: float) -> bool:
        """Stand still, with a track point now and then."""
        left = seconds
        while left > 0:
            part = min(left, self._every_s)
            if not self._pause(part):
                return False
            left -= part
            if left > 0 and self.handheld.place:
                self.handheld.stand(self.handheld.place)
        return True

    def _where(self, stop: Stop) -> Place | None:
        """Where the person goes for a stop, knowing the stops before and after it."""
        if stop.place is None:
            return None
        points = self.handheld.route_points()
        at = next(i for i, point in enumerate(points) if point["id"] == stop.point["id"])
        before = place_of(points[at - 1]) if at else None
        after = place_of(points[at + 1]) if at + 1 < len(points) else None
        return where_people_go(before, stop.place, after)

    def _dwell_s(self) -> float:
        if self._pace is None:
            return self._rng.uniform(*DWELL_S)
        return self._pace * (1 - WALK_SHARE) * self._rng.uniform(0.6, 1.4)

    def _some_way_off(self, place: Place) -> Place:
        far = 60.0 if self._pace is None else 10.0
        return offset(place, self._rng.uniform(-far, far), self._rng.uniform(-far, far))
