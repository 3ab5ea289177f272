"""What a line of points says: which jump, how far it went, where nothing is known, what to draw.

Every function takes fixes ordered by fix time. A late point changes the answer: nothing of this is
stored, so it is judged anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import hypot
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server import clock, geo
from server.tracking.rules.points import UNBELIEVABLE, Fix

SPEED_LIMIT_MPS = 60.0
"""No rep is faster than 216 km/h."""
USABLE_ACC_DM = 500
"""Distance uses only fixes of 50 m or better."""
UNKNOWN_ACC_DM = 100
LEAST_MOVE_M = 20.0
LEAST_GAP_MS = 10 * 60_000
STAY_MS = 5 * 60_000
"""Who has been in one place this long must move twice as far before it counts."""
DRAWN_WITHIN_M = 5.0


class Gap(NamedTuple):
    """A time of which nothing is known; drawn dashed, never taken for a stay."""

    from_ms: int
    to_ms: int


def speed_mps(a: Fix, b: Fix) -> float:
    """The least speed that explains two fixes, their inaccuracies taken off the way."""
    way = geo.fast_distance_e7(a.lat_e7, a.lon_e7, b.lat_e7, b.lon_e7) - _blur_m(a, b)
    return max(0.0, way) / (max(abs(b.fix_ms - a.fix_ms), 1000) / 1000)


def without_outliers(fixes: Sequence[Fix], limit_mps: float = SPEED_LIMIT_MPS) -> list[Fix]:
    """Leave out fixes that cannot be believed: by their mark, or too fast to reach and to leave.

    At an end of the line the one neighbour there is decides nothing: the fix stays.
    """
    usable = [fix for fix in fixes if not fix.flags & UNBELIEVABLE]
    kept: list[Fix] = []
    for i, fix in enumerate(usable):
        jumps = (
            0 < i < len(usable) - 1
            and speed_mps(kept[-1], fix) > limit_mps
            and speed_mps(fix, usable[i + 1]) > limit_mps
        )
        if not jumps:
            kept.append(fix)
    return kept


def newest_plausible(fixes: Sequence[Fix], live: Fix | None) -> Fix | None:
    """The fix to show as the rep's position, or None when none is newer and can be believed.

    The newest fix has no successor yet, so a jump from what was known before is enough to doubt it.
    The longer the silence, the farther a jump may reach: a wrong live position heals by itself.
    """
    before = [live] if live is not None else []
    newer = [fix for fix in fixes if live is None or fix.fix_ms > live.fix_ms]
    line = without_outliers([*before, *newer])[len(before) :]
    while line:
        last = line.pop()
        known = line[-1] if line else live
        if known is None or speed_mps(known, last) <= SPEED_LIMIT_MPS:
            return last
    return None


# --- gaps ---------------------------------------------------------------------------------


def gap_limit_ms(fixes: Sequence[Fix]) -> float:
    """How long silence must last to be a gap: five usual intervals, at least ten minutes."""
    steps = [b.fix_ms - a.fix_ms for a, b in pairwise(fixes)]
    return max(5 * median(steps), LEAST_GAP_MS) if steps else LEAST_GAP_MS


def split(fixes: Sequence[Fix]) -> tuple[list[list[Fix]], list[Gap]]:
    """Cut the line at its gaps into pieces; there is one gap less than pieces."""
    if not fixes:
        return [], []
    limit = gap_limit_ms(fixes)
    pieces, gaps = [[fixes[0]]], []
    for before, fix in pairwise(fixes):
        if fix.fix_ms - before.fix_ms > limit:
            gaps.append(Gap(before.fix_ms, fix.fix_ms))
            pieces.append([])
        pieces[-1].append(fix)
    return pieces, gaps


# --- distance -----------------------------------------------------------------------------


@dataclass
class _Anchor:
    """Where the rep was last: the fix he came with and, once it has become a stay, the mean of all.

    Taking the mean at once would swallow the way of a slow walker.
    """

    first: Fix
    n: int = 1
    acc_dm: float = 0.0
    since_ms: int = 0
    until_ms: int = 0
    _sum: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def __post_init__(self) -> None:
        self.acc_dm = _acc_dm(self.first)
        self.since_ms = self.until_ms = self.first.fix_ms

    def absorb(self, fix: Fix) -> None:
        """Take a fix that is still here into the mean."""
        east, north = geo.plane_e7(fix.lat_e7, fix.lon_e7, self.first.lat_e7, self.first.lon_e7)
        self._sum[0] += east
        self._sum[1] += north
        self.n += 1
        self.until_ms = fix.fix_ms
        self.acc_dm += (_acc_dm(fix) - self.acc_dm) / self.n

    @property
    def is_stay(self) -> bool:
        """Whether the rep has been here for some minutes."""
        return self.until_ms - self.since_ms >= STAY_MS

    def away_m(self, fix: Fix) -> float:
        """Metres from here to a fix."""
        east, north = geo.plane_e7(fix.lat_e7, fix.lon_e7, self.first.lat_e7, self.first.lon_e7)
        if self.is_stay:
            east, north = east - self._sum[0] / self.n, north - self._sum[1] / self.n
        return hypot(east, north)

    def least_move_m(self, fix: Fix) -> float:
        """How far a fix must be to count as having moved."""
        least = max(LEAST_MOVE_M, (self.acc_dm + _acc_dm(fix)) / 10)
        return 2 * least if self.is_stay else least


def distance_m(fixes: Sequence[Fix]) -> float:
    """Metres of one piece of line, noise left out.

    A move counts only when it is longer than 20 m and than what the two fixes may be wrong by
    together, and when the next fix does not take it back; who stands still goes nowhere.
    """
    usable = [fix for fix in fixes if _acc_dm(fix) <= USABLE_ACC_DM]
    if not usable:
        return 0.0
    anchor, total = _Anchor(usable[0]), 0.0
    for i, fix in enumerate(usable[1:], start=1):
        away = anchor.away_m(fix)
        if away <= anchor.least_move_m(fix):
            anchor.absorb(fix)
        elif i + 1 == len(usable) or _between_m(fix, usable[i + 1]) < anchor.away_m(usable[i + 1]):
            total += away
            anchor = _Anchor(fix)
    return total


def _acc_dm(fix: Fix) -> int:
    return UNKNOWN_ACC_DM if fix.acc_dm is None else fix.acc_dm


def _blur_m(a: Fix, b: Fix) -> float:
    return (_acc_dm(a) + _acc_dm(b)) / 10


def _between_m(a: Fix, b: Fix) -> float:
    return geo.fast_distance_e7(a.lat_e7, a.lon_e7, b.lat_e7, b.lon_e7)


# --- drawing ------------------------------------------------------------------------------


def simplify(fixes: Sequence[Fix], tolerance_m: float = DRAWN_WITHIN_M) -> list[Fix]:
    """Leave out fixes that the drawn line passes within a tolerance anyway (Douglas–Peucker)."""
    if len(fixes) < 3:
        return list(fixes)
    first = fixes[0]
    plane = [geo.plane_e7(f.lat_e7, f.lon_e7, first.lat_e7, first.lon_e7) for f in fixes]
    keep = {0, len(fixes) - 1}
    open_parts = [(0, len(fixes) - 1)]
    while open_parts:
        a, b = open_parts.pop()
        farthest, off = _farthest(plane, a, b)
        if off > tolerance_m:
            keep.add(farthest)
            open_parts += [(a, farthest), (farthest, b)]
    return [fixes[i] for i in sorted(keep)]


def _farthest(plane: list[tuple[float, float]], a: int, b: int) -> tuple[int, float]:
    """The point between two others that lies farthest from their connection, and how far."""
    (ax, ay), (bx, by) = plane[a], plane[b]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    index, off = a, 0.0
    for i in range(a + 1, b):
        x, y = plane[i][0] - ax, plane[i][1] - ay
        t = min(1.0, max(0.0, (x * dx + y * dy) / length)) if length else 0.0
        away = hypot(x - t * dx, y - t * dy)
        if away > off:
            index, off = i, away
    return index, off


def day_bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The first millisecond of a local day and of the next one; 23, 24 or 25 hours apart."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    return clock.to_ms(start), clock.to_ms(end)
