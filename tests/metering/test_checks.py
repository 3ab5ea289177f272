from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.metering.rules.checks import judge
from server.metering.rules.consumption import Dial
from server.metering.rules.expectation import around
from server.metering.rules.findings import Capture, DialReading, Earlier, Later, LocationSignals
from server.metering.rules.limits import CheckLimits, LimitBook, Severity
from server.metering.rules.messages import MESSAGES

NOON = datetime(2026, 10, 31, 4, tzinfo=UTC)
MONTH = timedelta(days=31)
LIMITS = CheckLimits()


def dial(value, previous=1000, **more):
    given_dial: dict[str, Any] = {
        "kind": "total",
        "value": Decimal(value),
        "dial": Dial("total", 5),
        "previous": None if previous is None else Earlier(Decimal(previous), NOON - MONTH),
    }
    return DialReading(**(given_dial | more))


def capture(*dials, **more):
    zone = ZoneInfo("Asia/Shanghai")
    return Capture(read_at=NOON, received_at=NOON, dials=dials, zone=zone, **more)


def codes(found, limits=LIMITS):
    return [(f.rule, str(f.severity), f.code) for f in judge(found, limits).findings]


def test_a_usual_reading_has_no_findings():
    assert codes(capture(dial(1230, expectation=around(Decimal(220))))) == []


def test_a_meter_that_was_not_there_is_not_looked_at_further():
    found = capture(dial(5), problem="reading.not_installed")
    assert codes(found) == [("V1", "hold", "reading.not_installed")]


@pytest.mark.parametrize(
    ("value", "second", "finding"),
    [
        (1140, None, None),
        (1320, None, None),
        (1321, None, ("V8", "warn", "reading.high")),
        (1330, None, ("V8", "warn", "reading.high")),
        (1331, None, ("V8", "hold", "reading.high")),
        (1331, 1331, ("V8", "info", "reading.high")),
        (1331, 1332, ("V8", "hold", "reading.high")),
        (1139, None, ("V8", "warn", "reading.low")),
        (1129, None, ("V8", "hold", "reading.low")),
        (1129, 1129, ("V8", "info", "reading.low")),
    ],
)
def test_limits_warn_then_hold_and_a_value_keyed_twice_is_only_noted(value, second, finding):
    expectation = around(Decimal(200))
    twice = None if second is None else Decimal(second)
    found = codes(capture(dial(value, expectation=expectation, second_entry=twice)))
    within = expectation.low <= value - 1000 <= expectation.high
    assert found == ([] if within else [finding])


def test_zero_is_asked_about_and_is_not_also_low():
    found = capture(dial(1000, expectation=around(Decimal(200))))
    assert codes(found) == [("V7", "warn", "reading.zero")]


def test_a_value_keyed_twice_does_not_excuse_a_dial_that_ran_backwards():
    found = capture(dial(900, second_entry=Decimal(900)))
    assert codes(found) == [("V6", "hold", "reading.below_previous")]


def test_ten_minutes_in_the_future_are_allowed_and_no_more():
    allowed = replace(capture(dial(1100)), received_at=NOON - timedelta(minutes=10))
    beyond = replace(capture(dial(1100)), received_at=NOON - timedelta(minutes=11))
    assert codes(allowed) == []
    assert codes(beyond) == [("V3", "hold", "reading.future")]


def test_a_second_reading_of_an_order_wins_over_other_reasons_to_hold():
    found = judge(capture(dial(900, taken=True, same_time=True)), LIMITS)
    assert found.hold is not None
    assert found.hold.code == "reading.duplicate"


def test_a_late_reading_must_lie_between_its_neighbours():
    later = Later(Decimal(1200), NOON + MONTH)
    assert codes(capture(dial(1150, next=later))) == []
    assert codes(capture(dial(1250, next=later))) == [("V6", "hold", "reading.above_next")]
    billed = Later(Decimal(1200), NOON + MONTH, billed=True)
    assert codes(capture(dial(1150, next=billed))) == [("V3", "hold", "reading.before_previous")]


def test_the_checks_come_in_their_order():
    signals = LocationSignals(distance_m=900, accuracy_m=5, clock_skew_s=900)
    found = capture(
        dial(900, taken=True, unconfirmed_before=True),
        quality="system_estimate",
        estimates_before=2,
        signals=signals,
    )
    rules = [rule for rule, _, _ in codes(found)]
    assert rules == ["V4", "V5", "V6", "V10", "V12", "V12"]


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (LocationSignals(distance_m=50, accuracy_m=5), set()),
        (LocationSignals(distance_m=51, accuracy_m=5), {"reading.far"}),
        (LocationSignals(distance_m=99, accuracy_m=50), set()),
        (LocationSignals(distance_m=101, accuracy_m=50), {"reading.far"}),
        (LocationSignals(distance_m=1, accuracy_m=101), {"reading.inaccurate"}),
        (LocationSignals(absent="denied"), {"reading.no_fix"}),
        (LocationSignals(mock=True, distance_m=1), {"reading.mock"}),
        (LocationSignals(since_last_s=4.9), {"reading.hurried"}),
        (LocationSignals(since_last_s=5), set()),
        (LocationSignals(speed_kmh=121), {"reading.speed"}),
        (LocationSignals(clock_skew_s=-301), {"reading.clock"}),
        (LocationSignals(clock_skew_s=300), set()),
    ],
)
def test_place_and_pace_are_flagged(signals, expected):
    found = judge(capture(dial(1100), signals=signals), LIMITS)
    assert {f.code for f in found.findings} == expected
    assert found.hold is None


@pytest.mark.parametrize(("hour", "flagged"), [(5, True), (6, False), (20, False), (22, True)])
def test_working_hours_are_those_of_the_place(hour, flagged):
    at = datetime(2026, 10, 30, (hour - 8) % 24, 30, tzinfo=UTC)
    found = replace(capture(dial(1100), signals=LocationSignals()), read_at=at, received_at=NOON)
    assert (codes(found) == [("V12", "info", "reading.hours")]) is flagged


@given(
    distance=st.floats(0, 1e7),
    accuracy=st.floats(0, 1e5),
    pause=st.floats(-1e6, 1e6),
    speed=st.floats(0, 1e6),
    skew=st.floats(-1e9, 1e9),
    mock=st.booleans(),
)
def test_no_signal_ever_holds_a_reading(distance, accuracy, pause, speed, skew, mock):
    signals = LocationSignals(
        accuracy_m=accuracy,
        distance_m=distance,
        mock=mock,
        since_last_s=pause,
        speed_kmh=speed,
        clock_skew_s=skew,
    )
    found = judge(capture(dial(1100), signals=signals), LIMITS)
    assert found.hold is None


@given(value=st.decimals(allow_nan=True, allow_infinity=True), previous=st.integers(0, 99_999))
def test_whatever_is_keyed_gets_a_verdict_and_a_sentence(value, previous):
    found = judge(capture(dial(0, previous, expectation=around(Decimal(100)))), LIMITS)
    found = judge(capture(replace(dial(0, previous), value=value)), LIMITS)
    assert all(f.code in MESSAGES for f in found.findings)
    if value.is_finite() and not 0 <= value < 100_000:
        assert found.hold is not None


def test_limits_can_be_set_for_a_class():
    strict = CheckLimits(zero=Severity.HOLD)
    book = LimitBook(by_class={"industrial": strict})
    found = capture(dial(1000))
    assert judge(found, book.of("industrial")).hold is not None
    assert judge(found, book.of("residential")).hold is None
