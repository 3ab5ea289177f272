"""What is made of one point of a device: kept, repaired, marked, or not a point at all.

Nothing is refused: a device repeats a refused point for ever. What cannot be read is counted, and
what can be read but not believed is kept with a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server import geo

FROM_DEVICE = 0xFF
"""The bits a device may set itself; only MOCK has a meaning, the others are kept as sent."""
MOCK = 0x01
"""The device says that the position came from a test provider."""
FUTURE = 0x100
"""The fix is more than two minutes ahead of our clock: not live, no part of the line."""
ROLLOVER = 0x200
"""The receiver's calendar was 1,024 weeks behind; the time has been put right."""
BAD_TIME = 0x400
"""The fix is from before this product existed and no rollover explains it."""

UNBELIEVABLE = FUTURE | BAD_TIME
DOUBTFUL = UNBELIEVABLE | ROLLOVER | MOCK

FUTURE_LIMIT_MS = 2 * 60_000
ROLLOVER_MS = 1024 * 7 * 86_400_000
ROLLOVER_WINDOW_MS = 60 * 86_400_000
"""A repaired fix must be at most this old when it arrives: offline for longer is another fault."""
OLDEST_MS = 1_577_836_800_000
"""2020-01-01: no device of ours has made a fix before."""
_YEAR_2100_MS = 4_102_444_800_000
_TOO_LARGE = 2**53


class Fix(NamedTuple):
    """One judged point: WGS-84 in 1e-7 degrees; None is unknown. Units are those of the columns."""

    fix_ms: int
    lat_e7: int
    lon_e7: int
    acc_dm: int | None = None
    speed_cms: int | None = None
    course_ddeg: int | None = None
    battery: int | None = None
    flags: int = 0


@dataclass(frozen=True)
class Judged:
    """The points of one push that can be read, by fix time, and how many could not."""

    fixes: list[Fix]
    malformed: int


def judge(points: Sequence[Any], crs: str, recv_ms: int) -> Judged:
    """Judge the points ``[fix_ms, lat_e7, lon_e7, acc_dm, speed_cms, course_ddeg, battery, flags]``.

    Fields after the third may be missing, null or −1. Without a known datum nothing can be placed.
    """
    if crs not in geo.CRS:
        return Judged([], len(points))
    fixes = [fix for raw in points if (fix := _judge_one(raw, crs, recv_ms)) is not None]
    return Judged(sorted(fixes, key=lambda fix: fix.fix_ms), len(points) - len(fixes))


def _judge_one(raw: Any, crs: str, recv_ms: int) -> Fix | None:
    if not isinstance(raw, list | tuple) or len(raw) < 3:
        return None
    fix_ms, lat_e7, lon_e7 = (_whole(value) for value in raw[:3])
    if fix_ms is None or lat_e7 is None or lon_e7 is None:
        return None
    if not 0 <= fix_ms < _YEAR_2100_MS or not geo.is_position(lat_e7 / geo.E7, lon_e7 / geo.E7):
        return None
    place = geo.e7_to_wgs84(crs, lat_e7, lon_e7)
    acc, speed, course, battery, flags = (
        _whole(raw[i]) if i < len(raw) else None for i in range(3, 8)
    )
    true_ms, mark = _judge_time(fix_ms, recv_ms)
    return Fix(
        true_ms,
        *place,
        acc_dm=_within(acc, 100_000_00),
        speed_cms=_within(speed, 100_000),
        course_ddeg=None if course is None or course < 0 else course % 3600,
        battery=_within(battery, 100),
        flags=(max(flags or 0, 0) & FROM_DEVICE) | mark,
    )


def _judge_time(fix_ms: int, recv_ms: int) -> tuple[int, int]:
    """The believed time of a fix and the mark it gets."""
    if fix_ms > recv_ms + FUTURE_LIMIT_MS:
        return fix_ms, FUTURE
    repaired = fix_ms + ROLLOVER_MS
    if recv_ms - ROLLOVER_WINDOW_MS <= repaired <= recv_ms + FUTURE_LIMIT_MS:
        return repaired, ROLLOVER
    return fix_ms, BAD_TIME if fix_ms < OLDEST_MS else 0


def _whole(value: Any) -> int | None:
    """A whole number in what JSON gave; other things are unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails every comparison.
    return round(value) if abs(value) < _TOO_LARGE else None


def _within(value: int | None, highest: int) -> int | None:
    return value if value is not None and 0 <= value <= highest else None
