"""Walking from stop to stop over the ground: distances, courses and the points on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

WALK_MPS = 1.2
EARTH_M = 6_371_008.8
# A position this far from both neighbours on the round is wrong, and people who know the round see it.
ASTRAY_M = 1000.0
# Faster than this between two fixes looks like an error to any tracker, so no demo pace may ask for it.
TOP_MPS = 20.0


@dataclass(frozen=True)
class Place:
    """A point on the ground, WGS-84 degrees."""

    lat: float
    lon: float


@dataclass(frozen=True)
class Step:
    """Where one is ``after_s`` seconds into a leg, with speed in m/s and course in degrees."""

    after_s: float
    place: Place
    speed: float
    course: float


def distance_m(a: Place, b: Place) -> float:
    """Great-circle distance in metres."""
    p, q = math.radians(a.lat), math.radians(b.lat)
    h = (
        math.sin((q - p) / 2) ** 2
        + math.cos(p) * math.cos(q) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))


def course_deg(a: Place, b: Place) -> float:
    """Initial course from ``a`` to ``b`` in degrees, 0 ≤ course < 360."""
    p, q, d = math.radians(a.lat), math.radians(b.lat), math.radians(b.lon - a.lon)
    east = math.sin(d) * math.cos(q)
    north = math.cos(p) * math.sin(q) - math.sin(p) * math.cos(q) * math.cos(d)
    return math.degrees(math.atan2(east, north)) % 360


def offset(place: Place, north_m: float, east_m: float) -> Place:
    """The place so many metres north and east (short distances)."""
    lat = place.lat + math.degrees(north_m / EARTH_M)
    lon = place.lon + math.degrees(east_m / (EARTH_M * math.cos(math.radians(place.lat))))
    return Place(lat, lon)


def between(a: Place, b: Place, part: float) -> Place:
    """The place at ``part`` (0…1) of the way."""
    return Place(a.lat + (b.lat - a.lat) * part, a.lon + (b.lon - a.lon) * part)


def leg_seconds(a: Place, b: Place, within_s: float | None = None) -> float:
    """How long a leg takes: on foot, or squeezed into ``within_s`` as far as TOP_MPS allows."""
    metres = distance_m(a, b)
    if within_s is None:
        return metres / WALK_MPS
    return max(within_s, metres / TOP_MPS)


def steps(a: Place, b: Place, seconds: float, every_s: float) -> Iterator[Step]:
    """Points of a leg of ``seconds``, one each ``every_s`` and one at the arrival."""
    metres, course = distance_m(a, b), course_deg(a, b)
    speed = metres / seconds if seconds > 0 else 0.0
    at = every_s
    while at < seconds:
        yield Step(at, between(a, b, at / seconds), speed, course)
        at += every_s
    yield Step(max(seconds, 0.0), b, 0.0, course)


def where_people_go(before: Place | None, stated: Place, after: Place | None) -> Place:
    """Where a stop really is for one who knows the round: a position far astray is not followed."""
    if before is None or after is None or distance_m(before, after) > ASTRAY_M:
        return stated
    astray = min(distance_m(before, stated), distance_m(stated, after)) > ASTRAY_M
    return between(before, after, 0.5) if astray else stated
