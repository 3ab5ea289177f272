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

_LAND_BORDER = (
    # (lon, lat) from the Yalu clockwise along the land border to the gulf of Tonkin, then back by
    # sea; about 20 km exact in the mountains, finer where people live on both sides. At sea it
    # runs well off the coast, except around Kinmen, Matsu, Hong Kong and Macao.
    ((124.34, 39.90), (124.36, 40.08), (124.60, 40.30), (125.02, 40.50), (125.70, 40.86))
    + ((126.10, 41.05), (126.30, 41.15), (126.60, 41.60), (126.92, 41.79), (127.15, 41.52))
    + ((127.60, 41.42), (128.15, 41.36), (128.20, 41.42), (128.10, 41.98), (128.95, 42.04))
    + ((129.40, 42.42), (129.75, 42.44), (129.95, 42.97), (130.10, 42.91), (130.24, 42.70))
    + ((130.50, 42.60), (130.60, 42.42), (130.68, 42.44), (130.45, 42.72), (130.90, 42.86))
    + ((131.15, 42.92), (131.20, 43.45), (131.30, 44.05), (131.08, 44.70), (131.02, 44.97))
    + ((131.50, 45.00), (131.90, 45.30), (132.90, 45.05), (133.10, 45.15), (133.45, 45.60))
    + ((133.80, 46.20), (134.15, 47.20), (134.75, 47.75), (134.70, 48.30), (134.30, 48.40))
    + ((133.50, 48.10), (132.60, 47.75), (131.00, 47.70), (130.65, 48.60), (130.50, 48.90))
    + ((129.50, 49.42), (128.70, 49.58), (127.80, 49.63), (127.55, 49.80), (127.53, 50.25))
    + ((127.35, 50.40), (127.30, 50.75), (126.92, 51.10), (126.90, 51.40), (126.45, 51.95))
    + ((126.50, 52.15), (126.00, 52.60), (125.00, 53.15), (123.60, 53.55), (122.35, 53.50))
    + ((121.00, 53.30), (120.10, 52.75), (120.70, 52.50), (120.70, 51.95), (120.05, 51.60))
    + ((119.20, 50.60), (119.15, 50.35), (119.30, 50.15), (118.00, 49.60), (117.30, 49.63))
    + ((116.70, 49.88), (116.20, 49.30), (115.55, 48.15), (115.80, 47.70), (116.30, 47.87))
    + ((117.30, 47.75), (118.00, 48.02), (119.00, 47.75), (119.75, 47.10), (119.80, 46.65))
    + ((118.85, 46.78), (117.40, 46.60), (116.60, 46.30), (115.70, 45.45), (114.50, 45.38))
    + ((113.60, 44.75), (112.40, 45.05), (111.90, 45.05), (111.45, 44.40), (111.95, 43.75))
    + ((112.00, 43.68), (111.00, 43.35), (110.40, 42.77), (109.30, 42.44), (107.50, 42.42))
    + ((106.70, 42.26), (105.00, 41.58), (104.50, 41.87), (103.30, 41.90), (101.80, 42.50))
    + ((100.30, 42.65), (97.20, 42.78), (96.38, 42.74), (95.90, 43.25), (95.40, 44.28))
    + ((94.60, 44.40), (93.50, 44.95), (91.00, 45.20), (90.70, 45.50), (91.05, 46.60))
    + ((90.90, 46.98), (90.05, 47.88), (88.60, 48.20), (87.85, 49.15), (87.30, 49.10))
    + ((86.80, 48.80), (86.55, 48.50), (85.75, 48.40), (85.55, 47.15), (85.00, 46.95))
    + ((83.05, 47.22), (82.30, 45.55), (82.55, 45.15), (81.90, 45.20), (79.90, 44.90))
    + ((80.40, 44.60), (80.37, 44.15), (80.75, 43.20), (80.25, 42.85), (80.20, 42.05))
    + ((78.40, 41.40), (76.90, 41.02), (76.35, 40.40), (75.60, 40.65), (74.85, 40.50))
    + ((73.90, 40.05), (73.60, 39.45), (73.80, 38.60), (74.80, 38.45), (74.90, 37.25))
    + ((75.90, 36.60), (76.20, 35.85), (77.80, 35.45), (78.30, 34.65), (78.75, 34.00))
    + ((78.70, 33.50), (79.20, 32.95), (79.20, 32.50), (78.75, 32.65), (78.40, 32.50))
    + ((78.75, 31.30), (79.30, 30.95), (81.00, 30.25), (82.10, 30.35), (83.90, 29.30))
    + ((84.20, 28.90), (85.10, 28.65), (85.60, 28.28), (85.98, 27.98), (86.20, 28.00))
    + ((86.95, 27.98), (88.15, 27.88), (88.75, 28.05), (88.87, 27.35), (89.00, 27.35))
    + ((89.50, 28.15), (90.70, 28.07), (91.70, 27.80), (92.10, 27.75), (93.30, 28.65))
    + ((94.60, 29.30), (95.40, 29.05), (96.10, 29.40), (96.40, 29.00), (96.20, 28.45))
    + ((97.30, 28.20), (97.70, 28.50), (98.30, 27.55), (98.70, 27.50), (98.75, 26.20))
    + ((98.55, 25.85), (98.15, 25.55), (97.75, 24.90), (97.55, 24.75), (97.55, 24.43))
    + ((97.70, 24.10), (97.75, 23.90), (98.65, 24.05), (98.85, 23.45), (98.90, 23.15))
    + ((99.50, 23.05), (99.40, 22.55), (99.20, 22.12), (100.00, 21.70), (100.65, 21.48))
    + ((101.10, 21.70), (101.25, 21.20), (101.75, 21.15), (101.80, 21.55), (101.57, 22.25))
    + ((102.45, 22.75), (103.05, 22.45), (103.60, 22.78), (103.95, 22.50), (104.40, 22.75))
    + ((104.85, 22.95), (105.35, 23.35), (106.20, 22.98), (106.75, 22.80), (106.60, 22.35))
    + ((106.72, 21.97), (107.35, 21.60), (107.97, 21.53), (108.05, 21.50), (107.90, 20.60))
)
_SEA_BORDER = (
    ((107.60, 19.00), (108.40, 17.90), (109.60, 17.60), (111.50, 19.00), (113.00, 21.20))
    + ((113.40, 21.70), (113.48, 22.02), (113.53, 22.10), (113.525, 22.20), (113.540, 22.2145))
    + ((113.553, 22.2165), (113.585, 22.205), (113.70, 22.21), (113.83, 22.33), (113.88, 22.43))
    + ((113.96, 22.485), (114.02, 22.502), (114.06, 22.514), (114.09, 22.526), (114.11, 22.530))
    + ((114.120, 22.535), (114.148, 22.542), (114.165, 22.561), (114.190, 22.555))
    + ((114.224, 22.547), (114.232, 22.5525), (114.28, 22.552), (114.36, 22.56), (114.45, 22.45))
    + ((114.52, 22.20), (115.20, 22.00), (117.00, 22.80), (118.00, 23.60), (118.16, 24.28))
    + ((118.205, 24.42), (118.215, 24.53), (118.36, 24.53), (118.60, 24.48), (119.20, 24.70))
    + ((119.90, 25.10), (119.98, 25.60), (119.75, 26.00), (119.82, 26.30), (120.05, 26.48))
    + ((121.00, 26.60), (122.50, 28.00), (123.50, 30.50), (122.80, 32.50), (121.50, 34.50))
    + ((123.20, 36.20), (123.30, 37.60), (122.80, 38.60), (124.00, 39.40), (124.34, 39.90))
)
_MAINLAND = _LAND_BORDER + _SEA_BORDER
_EDGES = tuple(
    (y1, y2, x1, (x2 - x1) / (y2 - y1))
    for (x1, y1), (x2, y2) in zip(_MAINLAND, _MAINLAND[1:] + _MAINLAND[:1], strict=True)
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
