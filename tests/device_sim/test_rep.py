"""What stands on the dials, and what people make of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.handheld import Stop
from device_sim.rep import SKIPS, Dials, Habits, Rep, mistyped, out_of_range, shown, used
from tests.device_sim.stub_server import order, point

NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
CAREFUL = Habits(skip=0, fat_finger=0)


def dials_file(tmp_path, text):
    path = tmp_path / "dials.csv"
    path.write_text("meter_serial,kind,value,per_day,as_of\n" + text, encoding="utf-8")
    return path


def test_a_five_digit_dial_passes_through_zero():
    assert shown(Decimal(100200), 5) == "200"
    assert shown(Decimal("99999.99"), 5) == "99999"
    assert used(Decimal(200), Decimal(99800), 5) == 400


def test_a_dial_shows_its_decimals_and_never_rounds_up():
    assert shown(Decimal("12.999"), 4, 2) == "12.99"


@given(st.decimals(0, 10**12, places=4), st.integers(1, 8), st.integers(0, 3))
def test_whatever_was_used_a_dial_shows_a_number_that_fits_it(value, digits, decimals):
    text = shown(value, digits, decimals)
    assert 0 <= Decimal(text) < 10**digits
    assert len(text.partition(".")[2]) == decimals


def test_a_dial_turns_by_its_daily_use(tmp_path):
    path = dials_file(tmp_path, "M1,total,1000,24,2026-11-20T04:00:00+00:00\n")
    dials = Dials.load(path)
    assert dials.at("M1", "total", NOON) == 1024
    assert dials.at("M1", "total", NOON - timedelta(days=9)) == 1000
    assert dials.at("M2", "total", NOON) is None


def test_a_bad_row_of_the_dials_file_is_named(tmp_path):
    path = dials_file(tmp_path, "M1,total,1000,24,2026-11-20\nM2,total,many,24,2026-11-20\n")
    with pytest.raises(ValueError, match="row 3"):
        Dials.load(path)


def test_an_entry_is_out_of_range_by_the_use_since_the_previous_reading():
    limits = {"previous": "99900", "low": "50", "high": "400"}
    assert not out_of_range("100", limits, 5)
    assert out_of_range("99910", limits, 5)
    assert out_of_range("99800", limits, 5)
    assert not out_of_range("99800", {"previous": "99900", "low": None, "high": None}, 5)


def test_limits_are_units_of_supply_so_the_multiplier_counts(tmp_path):
    limits = {"previous": "100", "low": "50", "high": "400"}
    assert out_of_range("110", limits, 5)
    assert not out_of_range("110", limits, 5, Decimal(30))
    meter = {**point(1)["meter"], "multiplier": "50"}
    stop = Stop(order(1), point(1, meter=meter))
    assert value(Rep("s", habits=CAREFUL).decide(stop, NOON)) in range(1002, 1006)


@given(st.integers(0, 10**7).map(str), st.integers())
def test_a_slip_of_the_finger_is_always_another_number_of_equal_length(entry, seed):
    wrong = mistyped(entry, random.Random(seed))
    assert wrong != entry
    assert len(wrong) == len(entry)


def a_stop(number=1, **registers):
    registers = {"previous": "1000", "expected": "200", "low": "50", "high": "400", **registers}
    return Stop(order(number, registers={"total": registers}), point(number))


def value(decision):
    return Decimal(decision.registers[0]["value"])


def test_a_rep_reads_what_the_dials_show(tmp_path):
    dials = Dials.load(dials_file(tmp_path, "M1,total,1180,24,2026-11-20T04:00:00+00:00\n"))
    decision = Rep("s", dials, CAREFUL).decide(a_stop(), NOON)
    assert decision.registers == [{"kind": "total", "value": "1204"}]


def test_without_a_dials_file_the_use_is_near_the_expected():
    decision = Rep("s", habits=CAREFUL).decide(a_stop(), NOON)
    assert 1000 + 200 * 0.7 <= value(decision) <= 1000 + 200 * 1.3


def test_a_dial_that_rolled_over_is_read_as_it_stands():
    decision = Rep("s", habits=CAREFUL).decide(a_stop(previous="99950"), NOON)
    assert value(decision) < 300


def test_a_true_value_outside_the_limits_is_keyed_twice(tmp_path):
    dials = Dials.load(dials_file(tmp_path, "M1,total,3000,0,2026-11-20\n"))
    decision = Rep("s", dials, CAREFUL).decide(a_stop(), NOON)
    assert decision.registers == [{"kind": "total", "value": "3000", "second_entry": "3000"}]


def test_a_slip_outside_the_limits_is_caught_unless_the_person_is_hasty(tmp_path):
    dials = Dials.load(dials_file(tmp_path, "M1,total,1200,0,2026-11-20\n"))
    limits = {"low": "199", "high": "201"}
    careful = Rep("s", dials, Habits(skip=0, fat_finger=1, hasty=0)).decide(a_stop(**limits), NOON)
    hasty = Rep("s", dials, Habits(skip=0, fat_finger=1, hasty=1)).decide(a_stop(**limits), NOON)
    assert careful.registers == [{"kind": "total", "value": "1200"}]
    assert value(hasty) != 1200
    assert "second_entry" not in hasty.registers[0]


def test_the_same_person_does_the_same_at_the_same_order():
    habits = Habits(skip=0.3, fat_finger=0.3)
    stops = [a_stop(number) for number in range(1, 40)]
    one, other = Rep("a", habits=habits), Rep("a", habits=habits)
    forward = [one.decide(stop, NOON) for stop in stops]
    assert list(reversed([other.decide(stop, NOON) for stop in reversed(stops)])) == forward
    assert [Rep("b", habits=habits).decide(stop, NOON) for stop in stops] != forward
    assert {d.skip for d in forward if d.skip} <= set(SKIPS)


def test_a_point_without_a_meter_is_skipped_as_not_found():
    stop = Stop(order(1), point(1, meter=None))
    assert Rep("s", habits=CAREFUL).decide(stop, NOON).skip == "not_found"


def test_every_ordered_register_is_read_and_no_other():
    registers = [
        {"kind": kind, "integer_digits": 5, "decimals": 0} for kind in ("peak", "valley", "total")
    ]
    wanted = {kind: {"previous": "10", "expected": "5"} for kind in ("peak", "valley")}
    stop = Stop(
        order(1, registers=wanted), point(1, meter={"serial": "M1", "registers": registers})
    )
    decision = Rep("s", habits=CAREFUL).decide(stop, NOON)
    assert [r["kind"] for r in decision.registers] == ["peak", "valley"]
