from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.metering.rules.expectation import PastUse, around, expect

JULY = datetime(2026, 7, 1, tzinfo=UTC)
AUGUST = datetime(2026, 7, 31, tzinfo=UTC)
YEAR = timedelta(days=365)


def month(start: datetime, quantity: int, *, actual: bool = True) -> PastUse:
    return PastUse(start, start + timedelta(days=30), Decimal(quantity), actual)


def test_the_same_period_of_last_year_is_expected_again():
    history = [month(JULY - YEAR, 240), month(JULY - timedelta(days=30), 90)]
    found = expect(history, JULY, AUGUST)
    assert found is not None
    assert found.expected == Decimal(240)


def test_last_year_counts_by_its_day_average():
    found = expect([month(JULY - YEAR, 300)], JULY, JULY + timedelta(days=27))
    assert found is not None
    assert found.expected == Decimal(270)


def test_without_last_year_the_last_three_actual_periods_count():
    history = [month(JULY - timedelta(days=30 * n), 100 * n) for n in (1, 2, 3, 4)]
    history.append(month(JULY - timedelta(days=30), 9_000, actual=False))
    found = expect(history, JULY, AUGUST)
    assert found is not None
    assert found.expected == Decimal(200)


def test_a_small_known_part_of_last_year_does_not_count():
    scrap = PastUse(JULY - YEAR, JULY - YEAR + timedelta(days=3), Decimal(900))
    recent = [month(JULY - timedelta(days=30 * n), 60) for n in (1, 2, 3)]
    found = expect([scrap, *recent], JULY, AUGUST)
    assert found is not None
    assert found.expected == Decimal(60)


def test_nothing_is_expected_where_nothing_is_known():
    assert expect([], JULY, AUGUST) is None


def test_the_limits_follow_the_sample_table():
    small, middle, large = around(Decimal(50)), around(Decimal(200)), around(Decimal(2000))
    assert (small.low, small.high) == (Decimal(30), Decimal(85))
    assert (middle.low, middle.high) == (Decimal(140), Decimal(320))
    assert (middle.hold_low, middle.hold_high) == (Decimal(130), Decimal(330))
    assert (large.low, large.high) == (Decimal(1600), Decimal(3000))


def test_the_slack_keeps_small_uses_from_being_held():
    found = around(Decimal(10), slack=Decimal(20))
    assert (found.low, found.high) == (Decimal(0), Decimal(30))


@given(expected=st.decimals(0, 100_000, places=1), slack=st.decimals(0, 100, places=0))
def test_limits_enclose_what_is_expected_and_the_hold_lies_outside_the_warning(expected, slack):
    found = around(expected, slack=slack)
    assert 0 <= found.hold_low <= found.low <= expected <= found.high <= found.hold_high
