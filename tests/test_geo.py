"""Distances, datums and what counts as mainland China."""

from __future__ import annotations

import math
import random

import pytest
from geopy.distance import geodesic

from server import geo

INSIDE = {
    "Beijing": (39.9042, 116.4074),
    "Shanghai": (31.2304, 121.4737),
    "Zhoushan": (30.0160, 122.1069),
    "Shenzhen": (22.5431, 114.0579),
    "Luohu": (22.5350, 114.1170),
    "Shekou": (22.4850, 113.9200),
    "Yantian": (22.5560, 114.2370),
    "Zhuhai Gongbei": (22.2200, 113.5480),
    "Hengqin": (22.1300, 113.5050),
    "Xiamen": (24.4798, 118.0894),
    "Xiang'an": (24.6200, 118.2500),
    "Quanzhou": (24.8741, 118.6757),
    "Fuzhou": (26.0745, 119.2965),
    "Pingtan": (25.5030, 119.7900),
    "Sanya": (18.2528, 109.5119),
    "Haikou": (20.0440, 110.1983),
    "Beihai": (21.4811, 109.1202),
    "Dongxing": (21.5480, 107.9700),
    "Hekou": (22.5300, 103.9390),
    "Ruili": (24.0128, 97.8519),
    "Mohan": (21.1880, 101.6900),
    "Yadong": (27.4850, 88.9060),
    "Lhasa": (29.6520, 91.1721),
    "Kashgar": (39.4704, 75.9898),
    "Tashkurgan": (37.7730, 75.2290),
    "Khorgas": (44.2130, 80.4210),
    "Altay": (47.8440, 88.1410),
    "Erenhot": (43.6530, 111.9770),
    "Manzhouli": (49.5980, 117.3780),
    "Mohe": (53.4810, 122.3380),
    "Heihe": (50.2450, 127.4990),
    "Fuyuan": (48.3640, 134.3080),
    "Suifenhe": (44.4120, 131.1510),
    "Hunchun": (42.8620, 130.3660),
    "Dandong": (40.1290, 124.3830),
    "Dalian": (38.9140, 121.6147),
    "Weihai": (37.5130, 122.1200),
}
OUTSIDE = {
    "Hong Kong Central": (22.2819, 114.1580),
    "Sheung Shui": (22.5010, 114.1280),
    "Tin Shui Wai": (22.4600, 114.0000),
    "Sha Tau Kok (Hong Kong)": (22.5420, 114.2200),
    "Macao": (22.1987, 113.5439),
    "Taipa": (22.1560, 113.5600),
    "Taipei": (25.0330, 121.5654),
    "Kaohsiung": (22.6273, 120.3014),
    "Kinmen": (24.4490, 118.3770),
    "Matsu": (26.1580, 119.9500),
    "Seoul": (37.5665, 126.9780),
    "Sinuiju": (40.0860, 124.4220),
    "Vladivostok": (43.1155, 131.8855),
    "Khabarovsk": (48.4827, 135.0838),
    "Blagoveshchensk": (50.2790, 127.5650),
    "Ulaanbaatar": (47.8864, 106.9057),
    "Zabaykalsk": (49.6500, 117.3270),
    "Almaty": (43.2380, 76.9450),
    "Bishkek": (42.8746, 74.5698),
    "Kathmandu": (27.7172, 85.3240),
    "Thimphu": (27.4712, 89.6339),
    "Delhi": (28.6139, 77.2090),
    "Hanoi": (21.0285, 105.8542),
    "Lao Cai": (22.4800, 103.9750),
    "Mong Cai": (21.5100, 107.9700),
    "Tokyo": (35.6762, 139.6503),
    "Okinawa": (26.2124, 127.6809),
    "Helsinki": (60.1699, 24.9384),
    "Limerick": (52.6291, -8.6617),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_town_of_the_mainland_is_inside(name):
    assert geo.in_mainland_china(*INSIDE[name])


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_town_elsewhere_is_outside(name):
    assert not geo.in_mainland_china(*OUTSIDE[name])


def test_a_place_is_finite_in_range_and_not_the_zero_of_no_fix():
    assert geo.is_position(31.2, 121.5)
    assert geo.is_position(0.0, 9.45)
    for lat, lon in ((0, 0), (91, 0), (0, 180.1), (math.nan, 1), (1, math.inf), (-90.1, 3)):
        assert not geo.is_position(lat, lon)


def test_the_fast_distance_agrees_with_the_ellipsoid_within_six_per_mille():
    rng = random.Random(7)
    for _ in range(300):
        lat, lon = rng.uniform(-85, 85), rng.uniform(-180, 180)
        lat2, lon2 = lat + rng.uniform(-0.5, 0.5), lon + rng.uniform(-0.5, 0.5)
        exact = geodesic((lat, lon), (lat2, lon2)).m
        assert geo.distance_m(lat, lon, lat2, lon2) == exact
        assert geo.fast_distance_m(lat, lon, lat2, lon2) == pytest.approx(exact, rel=0.006)


def test_the_plane_agrees_with_the_ellipsoid_near_its_origin_also_across_the_date_line():
    for lat, lon in ((31.2, 121.5), (-16.5, 179.9999), (60.0, -179.9999)):
        lat2, lon2 = lat + 0.01, (lon + 0.02 + 180) % 360 - 180
        east, north = geo.plane_e7(*map(geo.to_e7, (lat2, lon2, lat, lon)))
        exact = geodesic((lat, lon), (lat2, lon2)).m
        assert math.hypot(east, north) == pytest.approx(exact, rel=0.006)


def test_e7_goes_there_and_back_without_loss():
    for value in (-1_800_000_000, -1, 0, 312_304_001, 1_214_737_123):
        assert geo.to_e7(geo.from_e7(value)) == value


def test_gcj02_of_a_known_place_is_some_hundred_metres_south_east():
    # Tian'anmen as GPS receivers and as Chinese maps give it.
    shifted = geo.wgs84_to_gcj02(39.907333, 116.391083)
    assert (shifted.lat, shifted.lon) == pytest.approx((39.908737, 116.397325), abs=5e-5)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (geo.wgs84_to_gcj02, geo.gcj02_to_wgs84),
        (geo.wgs84_to_bd09, geo.bd09_to_wgs84),
    ],
)
def test_converting_there_and_back_returns_within_a_millimetre(there, back):
    rng = random.Random(3)
    tried = 0
    while tried < 300:
        lat, lon = rng.uniform(19, 52), rng.uniform(75, 134)
        # Within a kilometre of the border the two ends may lie on different sides of it.
        if not all(
            geo.in_mainland_china(lat + a, lon + b) for a in (-0.05, 0.05) for b in (-0.05, 0.05)
        ):
            continue
        tried += 1
        shifted = there(lat, lon)
        assert 50 < geo.fast_distance_m(lat, lon, shifted.lat, shifted.lon) < 2500
        again = back(shifted.lat, shifted.lon)
        assert geo.distance_m(lat, lon, again.lat, again.lon) < 0.001


@pytest.mark.parametrize("name", ["Hong Kong Central", "Taipei", "Helsinki"])
def test_outside_the_mainland_every_datum_is_the_same(name):
    lat, lon = OUTSIDE[name]
    for crs in geo.CRS:
        assert geo.to_wgs84(crs, lat, lon) == geo.Place(lat, lon)


def test_an_unknown_datum_is_refused():
    with pytest.raises(ValueError, match="wgs72"):
        geo.to_wgs84("wgs72", 31.0, 121.0)
