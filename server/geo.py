"""Positions: their validity, distances, and the datums that phones and maps of China use.

Everything is stored as WGS-84 in whole 1e-7 degrees (``e7``, about 1 cm). A sender declares its
datum and what it sends is converted once, on entry; ``gcj02`` is what Chinese map services use
by law, ``bd09`` is Baidu's own offset on top of it. Outside mainland China both are WGS-84.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geopy.distance import geodesic

CRS = ("wgs84", "gcj02", "bd09")
E7 = 10_000_000

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius; a distance on this sphere differs from the ellipsoid's by less than 0.6 %."""

_METRES_PER_E7 = math.radians(1 / E7) * EARTH_RADIUS_M
_RADIANS_PER_E7 = math.radians(1 / E7)


# --- values -------------------------------------------------------------------------------


def to_e7(degrees: float) -> int:
    """Degrees as whole 1e-7 degrees, rounded to the nearest."""
    return round(degrees * E7)


def from_e7(value: int) -> float:
    """Whole 1e-7 degrees as degrees."""
    return value / E7


def is_position(lat: float, lon: float) -> bool:
    """Tell whether degrees can be a place: finite, in range, and not the (0, 0) of "no fix"."""
    return (
        math.isfinite(lat)
        and math.isfinite(lon)
        and -90 <= lat <= 90
        and -180 <= lon <= 180
        and (lat != 0 or lon != 0)
    )


# --- distances ----------------------------------------------------------------------------


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres between two places in degrees along the WGS-84 ellipsoid (exact, about 100 µs)."""
    metres: float = geodesic((lat1, lon1), (lat2, lon2)).m
    return metres


def fast_distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres between two places in degrees on the sphere (haversine, within 0.6 %, about 1 µs)."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin((phi2 - phi1) / 2)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2)
    h = half_lat * half_lat + math.cos(phi1) * math.cos(phi2) * half_lon * half_lon
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def fast_distance_e7(lat1: int, lon1: int, lat2: int, lon2: int) -> float:
    """As :func:`fast_distance_m`, for whole 1e-7 degrees."""
    return fast_distance_m(lat1 / E7, lon1 / E7, lat2 / E7, lon2 / E7)


def plane_e7(lat: int, lon: int, lat0: int, lon0: int) -> tuple[float, float]:
    """Metres east and north of an origin; good for some tens of kilometres around it."""
    turn = (lon - lon0 + 180 * E7) % (360 * E7) - 180 * E7
    return (turn * _METRES_PER_E7 * math.cos(lat0 * _RADIANS_PER_E7), (lat - lat0) * _METRES_PER_E7)


# --- mainland China -----------------------------------------------------------------------

# Longitude and latitude, by land clockwise from the Yalu to the gulf of Tonkin and back by sea: about
# 20 km exact in the mountains, finer where people live on both sides. At sea it runs well off the
# coast, except around Kinmen, Matsu, Hong Kong and Macao.
_BY_LAND = """
124.34 39.9, 124.36 40.08, 124.6 40.3, 125.02 40.5, 125.7 40.86, 126.1 41.05, 126.3 41.15,
126.6 41.6, 126.92 41.79, 127.15 41.52, 127.6 41.42, 128.15 41.36, 128.2 41.42, 128.1 41.98,
128.95 42.04, 129.4 42.42, 129.75 42.44, 129.95 42.97, 130.1 42.91, 130.24 42.7, 130.5 42.6,
130.6 42.42, 130.68 42.44, 130.45 42.72, 130.9 42.86, 131.15 42.92, 131.2 43.45, 131.3 44.05,
131.08 44.7, 131.02 44.97, 131.5 45, 131.9 45.3, 132.9 45.05, 133.1 45.15, 133.45 45.6,
133.8 46.2, 134.15 47.2, 134.75 47.75, 134.7 48.3, 134.3 48.4, 133.5 48.1, 132.6 47.75,
131 47.7, 130.65 48.6, 130.5 48.9, 129.5 49.42, 128.7 49.58, 127.8 49.63, 127.55 49.8,
127.53 50.25, 127.35 50.4, 127.3 50.75, 126.92 51.1, 126.9 51.4, 126.45 51.95, 126.5 52.15,
126 52.6, 125 53.15, 123.6 53.55, 122.35 53.5, 121 53.3, 120.1 52.75, 120.7 52.5, 120.7 51.95,
120.05 51.6, 119.2 50.6, 119.15 50.35, 119.3 50.15, 118 49.6, 117.3 49.63, 116.7 49.88,
116.2 49.3, 115.55 48.15, 115.8 47.7, 116.3 47.87, 117.3 47.75, 118 48.02, 119 47.75,
119.75 47.1, 119.8 46.65, 118.85 46.78, 117.4 46.6, 116.6 46.3, 115.7 45.45, 114.5 45.38,
113.6 44.75, 112.4 45.05, 111.9 45.05, 111.45 44.4, 111.95 43.75, 112 43.68, 111 43.35,
110.4 42.77, 109.3 42.44, 107.5 42.42, 106.7 42.26, 105 41.58, 104.5 41.87, 103.3 41.9,
101.8 42.5, 100.3 42.65, 97.2 42.78, 96.38 42.74, 95.9 43.25, 95.4 44.28, 94.6 44.4, 93.5 44.95,
91 45.2, 90.7 45.5, 91.05 46.6, 90.9 46.98, 90.05 47.88, 88.6 48.2, 87.85 49.15, 87.3 49.1,
86.8 48.8, 86.55 48.5, 85.75 48.4, 85.55 47.15, 85 46.95, 83.05 47.22, 82.3 45.55, 82.55 45.15,
81.9 45.2, 79.9 44.9, 80.4 44.6, 80.37 44.15, 80.75 43.2, 80.25 42.85, 80.2 42.05, 78.4 41.4,
76.9 41.02, 76.35 40.4, 75.6 40.65, 74.85 40.5, 73.9 40.05, 73.6 39.45, 73.8 38.6, 74.8 38.45,
74.9 37.25, 75.9 36.6, 76.2 35.85, 77.8 35.45, 78.3 34.65, 78.75 34, 78.7 33.5, 79.2 32.95,
79.2 32.5, 78.75 32.65, 78.4 32.5, 78.75 31.3, 79.3 30.95, 81 30.25, 82.1 30.35, 83.9 29.3,
84.2 28.9, 85.1 28.65, 85.6 28.28, 85.98 27.98, 86.2 28, 86.95 27.98, 88.15 27.88, 88.75 28.05,
88.87 27.35, 89 27.35, 89.5 28.15, 90.7 28.07, 91.7 27.8, 92.1 27.75, 93.3 28.65, 94.6 29.3,
95.4 29.05, 96.1 29.4, 96.4 29, 96.2 28.45, 97.3 28.2, 97.7 28.5, 98.3 27.55, 98.7 27.5,
98.75 26.2, 98.55 25.85, 98.15 25.55, 97.75 24.9, 97.55 24.75, 97.55 24.43, 97.7 24.1,
97.75 23.9, 98.65 24.05, 98.85 23.45, 98.9 23.15, 99.5 23.05, 99.4 22.55, 99.2 22.12, 100 21.7,
100.65 21.48, 101.1 21.7, 101.25 21.2, 101.75 21.15, 101.8 21.55, 101.57 22.25, 102.45 22.75,
103.05 22.45, 103.6 22.78, 103.95 22.5, 104.4 22.75, 104.85 22.95, 105.35 23.35, 106.2 22.98,
106.75 22.8, 106.6 22.35, 106.72 21.97, 107.35 21.6, 107.97 21.53, 108.05 21.5, 107.9 20.6
"""
_BY_SEA = """
107.6 19, 108.4 17.9, 109.6 17.6, 111.5 19, 113 21.2, 113.4 21.7, 113.48 22.02, 113.53 22.1,
113.525 22.2, 113.54 22.2145, 113.553 22.2165, 113.585 22.205, 113.7 22.21, 113.83 22.33,
113.88 22.43, 113.96 22.485, 114.02 22.502, 114.06 22.514, 114.09 22.526, 114.11 22.53,
114.12 22.535, 114.148 22.542, 114.165 22.561, 114.19 22.555, 114.224 22.547, 114.232 22.5525,
114.28 22.552, 114.36 22.56, 114.45 22.45, 114.52 22.2, 115.2 22, 117 22.8, 118 23.6,
118.16 24.28, 118.205 24.42, 118.215 24.53, 118.36 24.53, 118.6 24.48, 119.2 24.7, 119.9 25.1,
119.98 25.6, 119.75 26, 119.82 26.3, 120.05 26.48, 121 26.6, 122.5 28, 123.5 30.5, 122.8 32.5,
121.5 34.5, 123.2 36.2, 123.3 37.6, 122.8 38.6, 124 39.4, 124.34 39.9
"""


def _corners(text: str) -> list[tuple[float, float]]:
    pairs = (pair.split() for pair in text.split(","))
    return [(float(lon), float(lat)) for lon, lat in pairs]


_MAINLAND = [*_corners(_BY_LAND), *_corners(_BY_SEA)]
_EDGES = tuple(
    (y1, y2, x1, (x2 - x1) / (y2 - y1))
    for (x1, y1), (x2, y2) in zip(_MAINLAND, [*_MAINLAND[1:], _MAINLAND[0]], strict=True)
    if y1 != y2
)


def in_mainland_china(lat: float, lon: float) -> bool:
    """Tell whether a place is in mainland China; Hong Kong, Macao and Taiwan are not."""
    if not (17 < lat < 54 and 73 < lon < 136):
        return False
    inside = False
    for y1, y2, x1, slope in _EDGES:
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * slope:
            inside = not inside
    return inside


# --- datums -------------------------------------------------------------------------------

_KRASOVSKY_A = 6_378_245.0
_KRASOVSKY_EE = 0.00669342162296594323
_BD_TURN = math.pi * 3000.0 / 180.0
_PRECISE_DEGREES = 1e-9
"""About 0.1 mm: where the inverse stops."""


@dataclass(frozen=True)
class Place:
    """A place in degrees of some datum."""

    lat: float
    lon: float


def wgs84_to_gcj02(lat: float, lon: float) -> Place:
    """The place as Chinese maps draw it; outside mainland China nothing changes."""
    return _shifted(lat, lon) if in_mainland_china(lat, lon) else Place(lat, lon)


def gcj02_to_wgs84(lat: float, lon: float) -> Place:
    """The true place of one given as Chinese maps draw it, exact to a millimetre."""
    return _unshifted(lat, lon) if in_mainland_china(lat, lon) else Place(lat, lon)


def wgs84_to_bd09(lat: float, lon: float) -> Place:
    """The place as Baidu's maps draw it; outside mainland China nothing changes."""
    if not in_mainland_china(lat, lon):
        return Place(lat, lon)
    shifted = _shifted(lat, lon)
    return _to_bd09(shifted.lat, shifted.lon)


def bd09_to_wgs84(lat: float, lon: float) -> Place:
    """The true place of one given as Baidu's maps draw it, exact to a millimetre."""
    if not in_mainland_china(lat, lon):
        return Place(lat, lon)
    guess = Place(lat, lon)
    for _ in range(20):
        there = _to_bd09(guess.lat, guess.lon)
        d_lat, d_lon = lat - there.lat, lon - there.lon
        guess = Place(guess.lat + d_lat, guess.lon + d_lon)
        if abs(d_lat) < _PRECISE_DEGREES and abs(d_lon) < _PRECISE_DEGREES:
            break
    return _unshifted(guess.lat, guess.lon)


_TO_WGS84 = {"wgs84": Place, "gcj02": gcj02_to_wgs84, "bd09": bd09_to_wgs84}


def to_wgs84(crs: str, lat: float, lon: float) -> Place:
    """A place in a declared datum as WGS-84.

    Raises:
        ValueError: when the datum is none of ``CRS``.
    """
    if crs not in _TO_WGS84:
        raise ValueError(f"{crs!r} is not one of {', '.join(CRS)}")
    return _TO_WGS84[crs](lat, lon)


def e7_to_wgs84(crs: str, lat_e7: int, lon_e7: int) -> tuple[int, int]:
    """As :func:`to_wgs84`, for whole 1e-7 degrees; WGS-84 comes back untouched."""
    if crs == "wgs84":
        return lat_e7, lon_e7
    place = to_wgs84(crs, from_e7(lat_e7), from_e7(lon_e7))
    return to_e7(place.lat), to_e7(place.lon)


def _waves(x: float, *terms: tuple[float, float]) -> float:
    return sum(size * math.sin(x * math.pi * turns) for size, turns in terms) * 2 / 3


def _shifted(lat: float, lon: float) -> Place:
    """The offset of GCJ-02: a polynomial with waves, in metres, laid over the ellipsoid."""
    x, y = lon - 105.0, lat - 35.0
    short = _waves(x, (20.0, 6.0), (20.0, 2.0))
    root = math.sqrt(abs(x))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += short + _waves(y, (20.0, 1.0), (40.0, 1 / 3), (160.0, 1 / 12), (320.0, 1 / 30))
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += short + _waves(x, (20.0, 1.0), (40.0, 1 / 3), (150.0, 1 / 12), (300.0, 1 / 30))
    phi = math.radians(lat)
    magic = 1 - _KRASOVSKY_EE * math.sin(phi) ** 2
    meridian = _KRASOVSKY_A * (1 - _KRASOVSKY_EE) / (magic * math.sqrt(magic))
    parallel = _KRASOVSKY_A / math.sqrt(magic) * math.cos(phi)
    return Place(lat + math.degrees(north / meridian), lon + math.degrees(east / parallel))


def _unshifted(lat: float, lon: float) -> Place:
    """Invert :func:`_shifted` by fixed-point steps; each makes the error some 100 times smaller."""
    guess = Place(lat, lon)
    for _ in range(20):
        there = _shifted(guess.lat, guess.lon)
        d_lat, d_lon = lat - there.lat, lon - there.lon
        guess = Place(guess.lat + d_lat, guess.lon + d_lon)
        if abs(d_lat) < _PRECISE_DEGREES and abs(d_lon) < _PRECISE_DEGREES:
            break
    return guess


def _to_bd09(lat: float, lon: float) -> Place:
    z = math.hypot(lon, lat) + 0.00002 * math.sin(lat * _BD_TURN)
    theta = math.atan2(lat, lon) + 0.000003 * math.cos(lon * _BD_TURN)
    return Place(z * math.sin(theta) + 0.006, z * math.cos(theta) + 0.0065)
