"""Distances for the place signals of a capture, on WGS-84 positions in degrees × 10⁷."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

_EARTH_M = 6_371_008.8


def metres(lat_e7: int, lon_e7: int, other_lat_e7: int, other_lon_e7: int) -> float:
    """The great-circle distance between two positions; within 0.5 % of the ellipsoid's."""
    lat, lon, other_lat, other_lon = (
        radians(value / 1e7) for value in (lat_e7, lon_e7, other_lat_e7, other_lon_e7)
    )
    half = sin((other_lat - lat) / 2) ** 2
    half += cos(lat) * cos(other_lat) * sin((other_lon - lon) / 2) ** 2
    return 2 * _EARTH_M * asin(min(1.0, sqrt(half)))


def kmh(distance_m: float, seconds: float) -> float | None:
    """The speed a distance in a time means; None when no time passed."""
    return distance_m / seconds * 3.6 if seconds > 0 else None
