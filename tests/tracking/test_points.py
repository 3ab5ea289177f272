"""What is made of one point of a device."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import geo
from server.tracking.rules import points
from server.tracking.rules.points import Fix

NOW = 1_795_312_800_000
HERE = (312_304_000, 1_214_737_000)


def one(*row, crs="wgs84"):
    judged = points.judge([list(row)], crs, NOW)
    assert len(judged.fixes) == 1, judged
    return judged.fixes[0]


def test_a_full_point_is_kept_as_it_is():
    assert one(NOW - 1000, *HERE, 45, 130, 900, 71, 0) == Fix(
        NOW - 1000, *HERE, 45, 130, 900, 71, 0
    )


def test_minus_one_and_what_is_missing_mean_unknown():
    assert one(NOW, *HERE, -1, -1, -1, -1, -1) == Fix(NOW, *HERE)
    assert one(NOW, *HERE) == Fix(NOW, *HERE)
    assert one(NOW, *HERE, None, None, None, None, None) == Fix(NOW, *HERE)


def test_a_battery_above_a_hundred_and_an_impossible_speed_are_unknown():
    fix = one(NOW, *HERE, 45, 10**9, 7200, 140)
    assert (fix.speed_cms, fix.course_ddeg, fix.battery) == (None, 0, None)


@pytest.mark.parametrize(
    "row",
    [
        [],
        [NOW, HERE[0]],
        "not a list",
        None,
        {"lat": 1},
        [NOW, 0, 0],
        [NOW, 910_000_000, 0],
        [NOW, 10, 1_800_000_001],
        [NOW, math.nan, 5],
        [NOW, math.inf, 5],
        [NOW, "312304000", HERE[1]],
        [NOW, True, HERE[1]],
        [-5, *HERE],
        [10**300, *HERE],
        [NOW, 10**400, HERE[1]],
        [None, *HERE],
    ],
)
def test_what_cannot_be_a_point_is_counted_and_its_neighbours_go_through(row):
    good = [NOW - 5000, *HERE]
    judged = points.judge([good, row, good], "wgs84", NOW)
    assert (len(judged.fixes), judged.malformed) == (2, 1)


def test_a_fix_more_than_two_minutes_ahead_is_marked():
    assert one(NOW + 120_000, *HERE).flags == 0
    assert one(NOW + 120_001, *HERE).flags == points.FUTURE


def test_a_receiver_whose_weeks_rolled_over_is_put_right_and_marked():
    fix = one(NOW - 60_000 - 1024 * 7 * 86_400_000, *HERE)
    assert (fix.fix_ms, fix.flags) == (NOW - 60_000, points.ROLLOVER)


def test_a_clock_of_1970_is_kept_and_marked():
    fix = one(3_600_000, *HERE)
    assert (fix.fix_ms, fix.flags) == (3_600_000, points.BAD_TIME)


def test_a_device_cannot_set_our_marks():
    assert one(NOW, *HERE, 45, 0, 0, 50, 0xFFFF).flags == 0xFF
    assert one(NOW, *HERE, 45, 0, 0, 50, points.MOCK).flags == points.MOCK


def test_points_come_out_by_fix_time():
    rows = [[NOW - n * 1000, *HERE] for n in (1, 3, 2)]
    assert [f.fix_ms for f in points.judge(rows, "wgs84", NOW).fixes] == [
        NOW - 3000,
        NOW - 2000,
        NOW - 1000,
    ]


def test_a_point_in_the_datum_of_chinese_maps_is_converted_once():
    shifted = geo.wgs84_to_gcj02(31.2304, 121.4737)
    fix = one(NOW, geo.to_e7(shifted.lat), geo.to_e7(shifted.lon), crs="gcj02")
    assert abs(fix.lat_e7 - HERE[0]) <= 1
    assert abs(fix.lon_e7 - HERE[1]) <= 1


def test_points_in_an_unknown_datum_cannot_be_placed():
    assert points.judge([[NOW, *HERE]] * 3, "mars", NOW) == points.Judged([], 3)


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)


@settings(max_examples=40)
@given(st.lists(_JUNK, max_size=8), st.sampled_from([*geo.CRS, "", "x"]))
def test_no_json_whatever_makes_judging_fail(rows, crs):
    judged = points.judge(rows, crs, NOW)
    assert len(judged.fixes) + judged.malformed == len(rows)
    for fix in judged.fixes:
        assert -900_000_000 <= fix.lat_e7 <= 900_000_000
        assert abs(fix.lon_e7) <= 1_800_000_000
