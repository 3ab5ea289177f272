"""The ground, the walk over it and the receiver."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import mean

import pytest

from device_sim.gps import Gps, GpsFaults
from device_sim.walk import (
    TOP_MPS,
    WALK_MPS,
    Place,
    between,
    course_deg,
    distance_m,
    leg_seconds,
    offset,
    steps,
    where_people_go,
)

HERE = Place(31.2304, 121.4737)
NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
STEADY = GpsFaults(no_fix=0, jump=0)


def test_an_offset_of_so_many_metres_is_that_far_away_in_that_direction():
    there = offset(HERE, 300, 400)
    assert distance_m(HERE, there) == pytest.approx(500, abs=0.5)
    assert course_deg(HERE, there) == pytest.approx(53.1, abs=0.1)


def test_a_walk_goes_at_walking_speed_and_arrives():
    there = offset(HERE, 0, 60)
    taken = list(steps(HERE, there, leg_seconds(HERE, there), every_s=10))
    assert taken[-1].place == there
    assert taken[-1].after_s == pytest.approx(60 / WALK_MPS, rel=0.01)
    assert [s.speed for s in taken[:-1]] == pytest.approx([WALK_MPS] * 4 + [WALK_MPS], rel=0.01)
    assert [s.after_s for s in taken[:-1]] == [10, 20, 30, 40, pytest.approx(50, abs=0.1)][
        : len(taken) - 1
    ]


def test_a_hurried_leg_never_needs_more_than_the_top_speed():
    far = offset(HERE, 2000, 0)
    assert leg_seconds(HERE, far, within_s=3) == pytest.approx(2000 / TOP_MPS, rel=0.01)
    assert leg_seconds(HERE, offset(HERE, 10, 0), within_s=3) == 3


def test_a_leg_of_no_length_is_one_step_at_the_place_itself():
    assert [s.place for s in steps(HERE, HERE, leg_seconds(HERE, HERE), 10)] == [HERE]


def test_a_position_far_astray_is_not_followed_by_one_who_knows_the_round():
    before, after = HERE, offset(HERE, 40, 0)
    assert where_people_go(before, offset(HERE, 2000, 0), after) == between(before, after, 0.5)
    near = offset(HERE, 20, 300)
    assert where_people_go(before, near, after) == near
    far = offset(HERE, 3000, 0)
    assert where_people_go(before, far, None) == far
    assert where_people_go(before, far, offset(HERE, 3050, 0)) == far


def fixes(gps, count, every_s=10):
    return [gps.fix(HERE, NOON + timedelta(seconds=i * every_s)) for i in range(count)]


def test_a_receiver_errs_by_a_few_metres_and_says_about_how_much():
    errors = []
    for seed in range(30):
        gps = Gps(random.Random(seed), STEADY)
        errors += [distance_m(HERE, fix.place) / gps.sigma_m for fix in fixes(gps, 100)]
        assert 3 <= gps.sigma_m <= 8
    assert 0.4 < mean(errors) < 1.3


def test_the_error_is_a_slow_bias_more_than_a_jitter():
    fixed = fixes(Gps(random.Random(3), STEADY, sigma_m=6), 300)
    adjacent = mean(distance_m(a.place, b.place) for a, b in pairwise(fixed))
    far_apart = mean(distance_m(a.place, b.place) for a, b in zip(fixed, fixed[120:], strict=False))
    assert adjacent < far_apart


def test_the_same_seed_gives_the_same_fixes():
    assert fixes(Gps(random.Random(9)), 50) == fixes(Gps(random.Random(9)), 50)
    assert fixes(Gps(random.Random(9)), 50) != fixes(Gps(random.Random(10)), 50)


def test_a_jump_is_between_fifty_and_two_hundred_metres_away():
    gps = Gps(random.Random(1), GpsFaults(no_fix=0, jump=1.0), sigma_m=3)
    far = [distance_m(HERE, fix.place) for fix in fixes(gps, 200)]
    assert min(far) > 30
    assert max(far) < 220


def test_a_cold_start_has_no_fix_until_it_is_over():
    gps = Gps(random.Random(1), GpsFaults(no_fix=0, jump=0, cold_start_s=25))
    assert [fix is not None for fix in fixes(gps, 4)] == [False, False, False, True]


def test_a_receiver_can_lose_the_sky_repeat_itself_and_tell_nonsense():
    assert fixes(Gps(random.Random(1), GpsFaults(no_fix=1.0)), 3) == [None] * 3
    stale = fixes(Gps(random.Random(1), GpsFaults(no_fix=0, stale=1.0)), 3)
    assert stale[0] == stale[1] == stale[2]
    zero = fixes(Gps(random.Random(1), GpsFaults(no_fix=0, zero=1.0, mock=True)), 1)[0]
    assert zero.to_item()["lat"] == 0
    assert zero.to_item()["mock"] is True


def test_a_fix_is_told_in_the_units_of_the_wire():
    fix = Gps(random.Random(1), STEADY).fix(HERE, NOON, speed=1.2, course=359.99)
    assert fix is not None
    row = fix.to_track(battery=71)
    assert row[0] == 1795233600000
    assert row[1] / 1e7 == pytest.approx(HERE.lat, abs=0.001)
    assert row[3] == round(fix.accuracy_m * 10)
    assert row[4] == pytest.approx(120, abs=40)
    assert 0 <= row[5] < 3600
    assert row[6:] == [71, 0]
    assert all(isinstance(value, int) for value in row)
    item = fix.to_item()
    assert item["fix_at"] == "2026-11-21T04:00:00.000+00:00"
    assert (item["provider"], item["crs"]) == ("gnss", "wgs84")


def test_the_course_of_one_who_stands_is_unknown():
    fix = Gps(random.Random(1), STEADY).fix(HERE, NOON)
    assert fix is not None
    assert fix.to_track(50)[5] == -1
