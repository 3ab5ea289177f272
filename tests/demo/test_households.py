"""The demo's data and what is made of it; no database."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from server.demo import plan
from server.demo.households import (
    Curve,
    MonthUse,
    month_after,
    read_consumption,
    read_homes,
    shifted,
)

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = [
    datetime(2026, month, day, 10, tzinfo=ZONE) for month in range(1, 13) for day in (1, 15, 28)
]


def test_every_household_has_a_home_and_a_record() -> None:
    homes, uses = read_homes(), read_consumption()
    assert {home.household for home in homes} == set(uses) == set(range(1, 108))


def test_homes_of_a_route_are_a_walk_apart() -> None:
    homes = read_homes()
    for before, after in pairwise(homes):
        if before.route == after.route:
            assert after.sequence == before.sequence + 1
            assert abs(after.lat_e7 - before.lat_e7) < 150_000
            assert abs(after.lon_e7 - before.lon_e7) < 150_000


def test_months_keep_their_season_when_they_are_shifted() -> None:
    uses = {(2012, m): MonthUse(Decimal(m), 30) for m in range(1, 13)}
    moved = shifted(uses, (2026, 10))
    assert moved == {(2026, m): MonthUse(Decimal(m), 30) for m in range(1, 12)}


def test_the_curve_counts_whole_months_and_parts_of_months() -> None:
    uses = {(2026, 1): MonthUse(Decimal(31), 31), (2026, 2): MonthUse(Decimal(28), 14)}
    curve = Curve(uses, (2026, 2))
    assert curve.at(datetime(2026, 1, 1)) == 0
    assert curve.at(datetime(2026, 1, 16, 12)) == Decimal("15.5")
    assert curve.at(datetime(2026, 2, 1)) == 31
    assert curve.at(datetime(2026, 3, 1)) == 31 + 56  # two a day, on all 28 days
    assert curve.per_day((2026, 3)) == Decimal(59) / 45  # nobody recorded March


@pytest.mark.parametrize("today", DAYS, ids=str)
def test_on_any_day_every_home_has_a_history_that_ends_last_month(today: datetime) -> None:
    homes = plan.plan(read_homes(), read_consumption(), today)
    for home in homes:
        last = home.history[-1].read_at
        assert (last.year, last.month) == month_after((today.year, today.month), -1)
        assert len(home.history) >= 2
        moments = [reading.read_at for reading in home.readings]
        assert moments == sorted(moments)
        assert moments[-1] < today
        assert all(0 <= reading.value < plan.MODULUS for reading in home.readings)


def test_no_dial_of_the_history_runs_back() -> None:
    homes = plan.plan(read_homes(), read_consumption(), DAYS[20])
    for home in homes:
        values = [reading.value for reading in home.history]
        assert values == sorted(values), home.home.household


def test_the_true_dial_goes_on_where_the_last_reading_was() -> None:
    today = DAYS[20]
    for home in plan.plan(read_homes(), read_consumption(), today):
        assert int(home.dial.value) == home.readings[-1].value
        assert home.dial.as_of == home.readings[-1].read_at
        assert home.dial.per_day > 0


def test_one_dial_passes_zero_within_the_period() -> None:
    today = DAYS[20]
    homes = {h.home.household: h for h in plan.plan(read_homes(), read_consumption(), today)}
    dial = homes[plan.ROLLING_OVER].dial
    passed = Decimal((today - dial.as_of) / timedelta(days=1))
    assert dial.value < plan.MODULUS < dial.value + dial.per_day * passed


def test_one_meter_was_exchanged_after_the_last_bill() -> None:
    homes = {h.home.household: h for h in plan.plan(read_homes(), read_consumption(), DAYS[20])}
    home = homes[plan.EXCHANGED]
    final, initial = home.readings[-2:]
    assert (final.reason, final.meter, initial.reason, initial.meter) == ("22", 0, "21", 1)
    assert initial.value == plan.NEW_METER_STARTS_AT
    assert len(home.serials) == 2
