from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.metering.rules.consumption import (
    Dial,
    Method,
    RolloverGate,
    Use,
    between,
    parts_disagree,
    rolled_over,
    true_up,
)

FIVE = Dial("total", 5)
ONE = Decimal(1)


def test_the_use_is_the_difference_times_the_multiplier():
    assert between(Decimal(100), Decimal(150), FIVE, Decimal(30)) == Use(
        Decimal(1500), Method.DIFFERENCE
    )


def test_a_five_digit_dial_from_99800_to_00200_has_used_400():
    use = between(Decimal(99800), Decimal(200), FIVE, ONE, expected=Decimal(380))
    assert use == Use(Decimal(400), Method.ROLLOVER)


def test_a_rollover_is_believed_up_to_three_times_the_expected_use_or_the_floor():
    gate = RolloverGate(factor=Decimal(3), floor=Decimal(100))
    last, first = Decimal(99800), Decimal(100)
    assert between(last, first, FIVE, ONE, expected=Decimal(100), gate=gate) is not None
    assert between(last, first, FIVE, ONE, expected=Decimal("99.9"), gate=gate) is None
    assert between(last, first, FIVE, ONE, gate=gate) is None
    assert between(Decimal(99950), Decimal(50), FIVE, ONE, gate=gate) is not None


def test_the_gate_looks_at_the_quantity_after_the_multiplier():
    gate = RolloverGate(floor=Decimal(500))
    assert between(Decimal(99990), Decimal(10), FIVE, Decimal(30), gate=gate) is None


def test_a_lower_reading_after_an_estimate_is_never_a_rollover():
    assert between(Decimal(99990), Decimal(10), FIVE, ONE, previous_actual=False) is None


def test_an_estimate_that_was_too_high_becomes_a_credit():
    assert true_up(Decimal(500), Decimal(480), Decimal(2)).quantity == Decimal(-40)


def test_estimate_then_actual_bill_the_actual_difference_in_all():
    first = between(Decimal(100), Decimal(300), FIVE, ONE)
    second = true_up(Decimal(300), Decimal(250), ONE)
    assert first is not None
    assert first.quantity + second.quantity == 150


@given(
    start=st.integers(0, 99_999),
    steps=st.lists(st.integers(0, 400), min_size=1, max_size=12),
    multiplier=st.sampled_from([Decimal(1), Decimal(30), Decimal("0.01"), Decimal(120)]),
)
def test_extra_readings_split_a_period_without_changing_its_sum(start, steps, multiplier):
    gate = RolloverGate(floor=Decimal(10_000) * multiplier)
    position, parts = start, []
    for step in steps:
        after = (position + step) % 100_000
        use = between(Decimal(position), Decimal(after), FIVE, multiplier, gate=gate)
        assert use is not None
        parts.append(use.quantity)
        position = after
    whole = between(Decimal(start), Decimal(position), FIVE, multiplier, gate=gate)
    assert whole is not None
    assert sum(parts) == whole.quantity == sum(steps) * multiplier


@given(previous=st.integers(0, 99_999), current=st.integers(0, 99_999))
def test_a_confirmed_rollover_is_never_negative_and_below_one_turn(previous, current):
    use = rolled_over(Decimal(previous), Decimal(current), FIVE, ONE)
    assert 0 <= use.quantity < FIVE.modulus
    assert (use.method is Method.ROLLOVER) == (current < previous)


def test_a_dial_shows_only_what_its_digits_and_decimals_allow():
    dial = Dial("total", 4, decimals=1)
    assert dial.shows(Decimal("9999.9"))
    assert not dial.shows(Decimal(10_000))
    assert not dial.shows(Decimal("1.25"))
    assert not dial.shows(Decimal(-1))
    assert not dial.shows(Decimal("NaN"))


def test_time_of_use_registers_may_differ_by_one_step_for_each_register():
    dials = [Dial("total", 5), Dial("peak", 5), Dial("valley", 5)]

    def uses(total: int) -> dict[str, Use]:
        quantities = {"total": total, "peak": 60, "valley": 40}
        return {k: Use(Decimal(q * 30), Method.DIFFERENCE) for k, q in quantities.items()}

    assert parts_disagree(uses(103), dials, Decimal(30)) is None
    assert parts_disagree(uses(97), dials, Decimal(30)) is None
    assert parts_disagree(uses(104), dials, Decimal(30)) == (Decimal(120), Decimal(90))


def test_a_meter_without_time_of_use_has_nothing_to_compare():
    assert parts_disagree({"total": Use(ONE, Method.DIFFERENCE)}, [FIVE], ONE) is None
