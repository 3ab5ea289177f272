"""What a line of points says: jumps, distance, gaps, the drawing, the local day."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from server import clock, geo
from server.tracking.rules import line, points
from server.tracking.rules.line import Gap
from server.tracking.rules.points import Fix

T0 = 1_795_312_800_000
LAT0, LON0 = 31.2304, 121.4737
METRE_LAT = 1 / 111_195.08
METRE_LON = METRE_LAT / math.cos(math.radians(LAT0))


def at(seconds, east=0.0, north=0.0, acc_m=5.0, **more):
    return Fix(
        T0 + round(seconds * 1000),
        geo.to_e7(LAT0 + north * METRE_LAT),
        geo.to_e7(LON0 + east * METRE_LON),
        acc_dm=None if acc_m is None else round(acc_m * 10),
        **more,
    )


# --- jumps --------------------------------------------------------------------------------


def test_a_point_too_fast_to_reach_and_to_leave_is_left_out():
    fixes = [at(0), at(10, 10), at(20, 5000), at(30, 30), at(40, 40)]
    assert line.without_outliers(fixes) == [f for f in fixes if f is not fixes[2]]


def test_a_point_too_fast_on_one_side_only_stays():
    fixes = [at(0), at(10, 10), at(20, 5000), at(30, 5010), at(40, 5020)]
    assert line.without_outliers(fixes) == fixes


def test_a_late_point_that_explains_a_jump_lets_it_in():
    a, b, c = at(0), at(60, 4000), at(70, 4020)
    x = at(65, 8000)
    assert x not in line.without_outliers([a, b, x, c])
    late = at(68, 8030)
    assert x in line.without_outliers([a, b, x, late, c])


def test_inaccuracy_is_no_speed():
    fixes = [at(0), at(1, 150, acc_m=100), at(2)]
    assert line.without_outliers(fixes) == fixes


def test_points_that_claim_to_be_from_the_future_are_no_part_of_the_line():
    fixes = [at(0), at(10, 10), at(500, 20, flags=points.FUTURE)]
    assert line.without_outliers(fixes) == fixes[:2]


# --- the live position --------------------------------------------------------------------


def test_the_newest_point_becomes_live():
    fixes = [at(0), at(10, 10), at(20, 20)]
    assert line.newest_plausible(fixes, None) is fixes[2]
    assert line.newest_plausible(fixes, at(5)) is fixes[2]


def test_an_older_point_never_becomes_live():
    assert line.newest_plausible([at(0), at(10, 10)], at(20)) is None
    assert line.newest_plausible([at(10, 10)], at(10)) is None


def test_a_jump_at_the_end_is_not_live_but_the_point_before_it_is():
    fixes = [at(0), at(10, 10), at(20, 9000)]
    assert line.newest_plausible(fixes, None) is fixes[1]


def test_a_lone_jump_leaves_the_live_position_alone_until_enough_time_has_passed():
    assert line.newest_plausible([at(10, 9000)], at(0)) is None
    far = at(300, 9000)
    assert line.newest_plausible([far], at(0)) is far


def test_a_point_of_the_future_is_not_live():
    assert line.newest_plausible([at(500, flags=points.FUTURE)], None) is None


# --- distance -----------------------------------------------------------------------------


def test_a_straight_walk_is_as_long_as_it_is():
    fixes = [at(10 * n, 12 * n) for n in range(200)]
    assert line.distance_m(fixes) == pytest.approx(12 * 199, rel=0.02)


def test_a_drive_along_a_circle_is_as_long_as_the_circle():
    r = 1000
    fixes = [
        at(5 * n, r * math.cos(n / 15), r * math.sin(n / 15))
        for n in range(int(2 * math.pi * 15) + 1)
    ]
    assert line.distance_m(fixes) == pytest.approx(2 * math.pi * r, rel=0.03)


def test_two_points_a_kilometre_apart_count():
    assert line.distance_m([at(0), at(60, 1000)]) == pytest.approx(1000, rel=0.001)


def test_moves_within_the_inaccuracy_of_both_points_do_not_count():
    assert line.distance_m([at(0), at(60, 19)]) == 0
    assert line.distance_m([at(0, acc_m=40), at(60, 70, acc_m=40)]) == 0
    assert line.distance_m([at(0, acc_m=40), at(60, 90, acc_m=40)]) == pytest.approx(90, rel=0.01)


def test_points_worse_than_fifty_metres_do_not_count():
    assert line.distance_m([at(0), at(60, 5000, acc_m=51), at(120, 10)]) == 0


def test_a_jump_that_is_taken_back_does_not_count():
    fixes = [at(0), at(10, 150), at(20, 1), at(30, 2)]
    assert line.distance_m(fixes) == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_handheld_parked_for_eight_hours_reports_under_a_hundred_metres(seed):
    """White noise, a slow wander of the error over five minutes and jumps of 50–200 m."""
    rng = random.Random(seed)
    sigma, fixes = 6.0, []
    east = north = 0.0
    for n in range(8 * 360):
        keep = math.exp(-10 / 300)
        east = east * keep + rng.gauss(0, sigma * math.sqrt(1 - keep * keep))
        north = north * keep + rng.gauss(0, sigma * math.sqrt(1 - keep * keep))
        jump = rng.uniform(50, 200) if rng.random() < 0.004 else 0.0
        fixes.append(
            at(
                10 * n,
                east + rng.gauss(0, sigma * 0.35) + jump,
                north + rng.gauss(0, sigma * 0.35),
                acc_m=max(2.0, rng.gauss(sigma * 1.2, 1.0)),
            )
        )
    raw = sum(line._between_m(a, b) for a, b in pairwise(fixes))
    assert raw > 5000
    assert line.distance_m(fixes) < 100


def test_without_points_there_is_no_distance():
    assert line.distance_m([]) == 0


# --- gaps ---------------------------------------------------------------------------------


def test_silence_of_more_than_ten_minutes_splits_the_line():
    fixes = [at(0), at(10), at(20), at(620), at(630), at(1231), at(1241)]
    pieces, gaps = line.split(fixes)
    assert [len(piece) for piece in pieces] == [5, 2]
    assert gaps == [Gap(fixes[4].fix_ms, fixes[5].fix_ms)]


def test_a_device_that_reports_seldom_has_longer_gaps():
    fixes = [at(240 * n) for n in range(6)] + [at(240 * 5 + 1199)]
    assert line.split(fixes)[1] == []
    fixes.append(at(240 * 5 + 1199 + 1201))
    assert len(line.split(fixes)[1]) == 1


def test_an_empty_day_has_no_pieces_and_no_gaps():
    assert line.split([]) == ([], [])


# --- the drawing --------------------------------------------------------------------------


def test_points_on_a_straight_line_are_not_drawn_one_by_one():
    fixes = [at(10 * n, 12 * n, (-1) ** n * 2.0) for n in range(100)]
    assert line.simplify(fixes) == [fixes[0], fixes[-1]]


def test_every_point_left_out_lies_within_five_metres_of_the_drawn_line():
    rng = random.Random(5)
    east = north = 0.0
    fixes = []
    for n in range(500):
        east, north = east + rng.uniform(-10, 14), north + rng.uniform(-10, 14)
        fixes.append(at(10 * n, east, north))
    drawn = line.simplify(fixes)
    assert len(drawn) < len(fixes)
    corners = [i for i, fix in enumerate(fixes) if fix in drawn]
    plane = [geo.plane_e7(f.lat_e7, f.lon_e7, fixes[0].lat_e7, fixes[0].lon_e7) for f in fixes]
    for a, b in pairwise(corners):
        assert line._farthest(plane, a, b)[1] <= 5.0


def test_a_round_trip_to_the_same_place_keeps_its_far_end():
    fixes = [at(0), at(100, 500), at(200)]
    assert line.simplify(fixes) == fixes


# --- the day ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 11, 21), "Asia/Shanghai", 24),
        (date(2026, 3, 29), "Europe/Helsinki", 23),
        (date(2026, 10, 25), "Europe/Helsinki", 25),
    ],
)
def test_a_local_day_is_as_long_as_the_clock_on_the_wall_says(day, zone, hours):
    start, end = line.day_bounds(day, ZoneInfo(zone))
    assert end - start == hours * 3_600_000
    assert clock.from_ms(start).astimezone(ZoneInfo(zone)).date() == day
    assert clock.from_ms(start).astimezone(ZoneInfo(zone)).hour == 0


def test_a_day_of_shanghai_starts_at_sixteen_hours_utc():
    start, _ = line.day_bounds(date(2026, 11, 21), ZoneInfo("Asia/Shanghai"))
    assert clock.from_ms(start) == datetime(2026, 11, 20, 16, tzinfo=UTC)
