"""Quiet hours, holidays and spread release, as pure rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.notify.rules import quiet
from server.notify.rules.categories import CATEGORIES, DEFAULT_POLICIES, Policy

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Policy(quiet_from=time(21), quiet_to=time(8))
NOON = Policy(quiet_from=time(12), quiet_to=time(14))

# A busy machine is no reason to fail.
_BUSY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _local(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def _until(at: str, policy: Policy, zone: ZoneInfo = SHANGHAI, *holidays: date) -> str | None:
    found = quiet.quiet_until(_local(at, zone), zone, policy, holidays)
    return None if found is None else f"{found.astimezone(zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22 20:59:59", None),
        ("2026-11-22 21:00", "2026-11-23 08:00"),
        ("2026-11-22 23:59", "2026-11-23 08:00"),
        ("2026-11-23 00:00", "2026-11-23 08:00"),
        ("2026-11-23 07:59:59", "2026-11-23 08:00"),
        ("2026-11-23 08:00", None),
    ],
)
def test_quiet_hours_go_across_midnight(at: str, until: str | None) -> None:
    assert _until(at, NIGHT) == until


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22 11:59", None),
        ("2026-11-22 12:00", "2026-11-22 14:00"),
        ("2026-11-22 14:00", None),
    ],
)
def test_quiet_hours_may_lie_within_a_day(at: str, until: str | None) -> None:
    assert _until(at, NOON) == until


def test_quiet_until_eight_means_eight_by_the_clock_on_the_morning_it_changes() -> None:
    assert _until("2026-10-24 22:00", NIGHT, BERLIN) == "2026-10-25 08:00"
    assert _until("2026-03-28 22:00", NIGHT, BERLIN) == "2026-03-29 08:00"
    nights = [
        quiet.quiet_until(_local(f"{day} 22:00", BERLIN), BERLIN, NIGHT, ())
        for day in ("2026-10-24", "2026-03-28", "2026-06-01")
    ]
    lengths = [
        night - _local(f"{day} 22:00", BERLIN).astimezone(UTC)
        for night, day in zip(nights, ("2026-10-24", "2026-03-28", "2026-06-01"), strict=True)
        if night is not None
    ]
    assert [round(length.total_seconds() / 3600) for length in lengths] == [11, 9, 10]


def test_an_end_that_the_clock_skips_is_the_moment_after_the_gap() -> None:
    skipped = Policy(quiet_from=time(1), quiet_to=time(2, 30))
    found = quiet.quiet_until(_local("2026-03-29 01:30", BERLIN), BERLIN, skipped, ())
    assert found == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert found.astimezone(BERLIN).hour == 3


def test_holidays_are_quiet_to_their_end_and_join_with_the_nights_around_them() -> None:
    policy = Policy(quiet_from=time(21), quiet_to=time(8), quiet_holidays=True)
    days = (date(2026, 10, 1), date(2026, 10, 2))
    assert _until("2026-10-01 12:00", policy, SHANGHAI, *days) == "2026-10-03 08:00"
    assert _until("2026-09-30 22:00", policy, SHANGHAI, *days) == "2026-10-03 08:00"
    assert _until("2026-10-01 12:00", NIGHT, SHANGHAI, *days) is None


@_BUSY
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.times(),
    st.times(),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 720),
)
def test_what_is_held_may_be_sent_when_it_is_released(
    at: datetime, start: time, end: time, zone_name: str, spread: int
) -> None:
    zone = ZoneInfo(zone_name)
    policy = Policy(start.replace(microsecond=0), end.replace(microsecond=0), spread_minutes=spread)
    wished = at.replace(tzinfo=UTC)
    released = quiet.not_before(wished, "key", zone, policy, ())
    if released is None:
        assert quiet.quiet_until(wished, zone, policy, ()) is None
    else:
        assert wished < released <= wished + timedelta(days=2)
        assert quiet.quiet_until(released, zone, policy, ()) is None


def test_a_morning_s_release_is_spread_and_never_into_the_next_quiet_time() -> None:
    at, key = _local("2026-11-22 22:00"), "key:{}"
    policy = Policy(quiet_from=time(21), quiet_to=time(8), spread_minutes=60)
    found = [quiet.not_before(at, key.format(n), SHANGHAI, policy, ()) for n in range(600)]
    eight = _local("2026-11-23 08:00").astimezone(UTC)
    minutes = [(one - eight).total_seconds() / 60 for one in found if one is not None]
    assert len(minutes) == 600
    assert 0 <= min(minutes) < 2
    assert 58 < max(minutes) < 60
    quarters = [sum(1 for one in minutes if 15 * n <= one < 15 * n + 15) for n in range(4)]
    assert min(quarters) > 110
    short = Policy(quiet_from=time(8, 10), quiet_to=time(8), spread_minutes=600)
    late = [quiet.not_before(at, key.format(n), SHANGHAI, short, ()) for n in range(200)]
    assert all(eight <= one < eight + timedelta(minutes=10) for one in late if one is not None)


def test_all_but_promotions_and_demands_pass_at_any_hour_unless_ruled_otherwise() -> None:
    assert {"outage", "safety", "reply"} <= set(CATEGORIES)
    night = _local("2026-11-22 03:00")
    held = [
        name
        for name in CATEGORIES
        if quiet.quiet_until(night, SHANGHAI, DEFAULT_POLICIES[name], ()) is not None
    ]
    assert held == ["dues", "promotion"]
