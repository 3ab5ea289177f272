from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dues.rules.allocate import Owed, allocate
from server.dues.rules.ladder import DEFAULT_LADDERS, Taken, cut_day
from server.dues.rules.late_fee import LateFeeRules, Rates, late_fee
from server.dues.rules.settings import parse
from server.errors import Invalid

DUE = date(2026, 11, 10)
RULES = LateFeeRules()
WHOLE = LateFeeRules(carryover="whole")
CENTS = st.integers(1, 10**9).map(lambda n: Decimal(n) / 100)


def fee(total, due, through, *, paid=(), of="commercial", rules=RULES):
    return late_fee(Decimal(total), due, through, paid, of, rules).amount


def test_a_residential_debt_pays_one_permille_for_each_day_after_the_due_date():
    assert fee("1000", DUE, DUE + timedelta(days=10), of="residential") == Decimal("10.00")


def test_other_debts_pay_two_permille():
    assert fee("1000", DUE, DUE + timedelta(days=10)) == Decimal("20.00")


@pytest.mark.parametrize("day", [DUE - timedelta(days=400), DUE - timedelta(days=1), DUE])
def test_nothing_is_late_on_or_before_the_due_date(day):
    assert fee("1000000", DUE, day) == 0


def test_a_fee_below_the_minimum_is_the_minimum():
    assert fee("10", DUE, DUE + timedelta(days=1)) == Decimal("1.00")
    assert fee("0.01", DUE, DUE + timedelta(days=1), of="residential") == Decimal("1.00")


def test_a_debt_over_the_year_end_pays_more_from_january_on_or_for_all_its_days():
    end, start = date(2026, 12, 31), date(2026, 12, 21)
    assert fee("1000", start, end) == Decimal("20.00")
    assert fee("1000", start, end + timedelta(days=5)) == Decimal("35.00")
    assert fee("1000", start, end + timedelta(days=5), rules=WHOLE) == Decimal("45.00")


def test_of_a_debt_paid_in_parts_each_part_is_late_for_its_own_days():
    paid = [(DUE + timedelta(days=5), Decimal(400))]
    through = DUE + timedelta(days=10)
    assert fee("1000", DUE, through, paid=paid) == Decimal("16.00")  # 400×5 + 600×10 at 2‰


def test_a_payment_that_was_taken_back_leaves_no_trace_in_the_fee():
    day = DUE + timedelta(days=3)
    paid = [(day, Decimal(500)), (day, Decimal(-500))]
    through = DUE + timedelta(days=10)
    assert fee("1000", DUE, through, paid=paid) == fee("1000", DUE, through)


PAYMENTS = st.lists(st.tuples(st.integers(-20, 500), st.integers(1, 40)), max_size=5)


@given(CENTS, st.integers(0, 700), st.integers(0, 400), PAYMENTS, st.booleans(), st.booleans())
def test_the_late_fee_never_falls_with_the_days(total, days, more, parts, whole, residential):
    paid = [
        (DUE + timedelta(days=d), (total * p / 200).quantize(Decimal("0.01"))) for d, p in parts
    ]
    kind = "residential" if residential else "commercial"
    rules = WHOLE if whole else RULES
    first = fee(total, DUE, DUE + timedelta(days=days), paid=paid, of=kind, rules=rules)
    later = fee(total, DUE, DUE + timedelta(days=days + more), paid=paid, of=kind, rules=rules)
    assert 0 <= first <= later
    assert first == 0 or first >= Decimal("1.00")


@given(CENTS, st.integers(1, 600), st.integers(1, 600))
def test_there_is_no_fee_on_a_fee(total, days, more):
    """The fee is linear in the days within a year: nothing of it is added to the principal."""
    rules = LateFeeRules(default=Rates(Decimal("0.002"), Decimal("0.002")), minimum=Decimal(0))
    exact = total * Decimal("0.002")
    for n in (days, days + more):
        charged = fee(total, DUE, DUE + timedelta(days=n), rules=rules)
        assert abs(charged - exact * n) <= Decimal("0.005")


BILLS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 10**6), st.integers(0, 10**4)), max_size=6
)


@given(st.integers(0, 3 * 10**6), BILLS, st.sampled_from(["fee_first", "principal_first"]))
def test_shares_are_never_more_than_the_credit_nor_than_is_open(amount, bills, order):
    owed = [
        Owed(n, DUE + timedelta(days=d), Decimal(p), Decimal(f))
        for n, (d, p, f) in enumerate(bills)
    ]
    shares, rest = allocate(Decimal(amount), owed, order)
    assert sum(share.amount for share in shares) + rest == amount
    assert rest >= 0
    for bill in owed:
        of = {s.part: s.amount for s in shares if s.bill_id == bill.bill_id}
        assert of.get("principal", 0) <= bill.principal
        assert of.get("fee", 0) <= bill.fee
    assert rest == 0 or all(
        sum(s.amount for s in shares if s.bill_id == b.bill_id) == b.principal + b.fee for b in owed
    )


def test_the_bill_the_customer_names_comes_first_then_the_oldest_due():
    old, new = (
        Owed(1, DUE, Decimal(50), Decimal(2)),
        Owed(2, date(2027, 1, 1), Decimal(70), Decimal(0)),
    )
    shares, rest = allocate(Decimal(100), [new, old], "fee_first", directed=2)
    said = [(s.bill_id, s.part, s.amount) for s in shares]
    assert said == [
        (2, "principal", Decimal(70)),
        (1, "fee", Decimal(2)),
        (1, "principal", Decimal(28)),
    ]
    assert rest == 0
    shares, _ = allocate(Decimal(10), [new, old], "principal_first")
    assert [(s.bill_id, s.part, s.amount) for s in shares] == [(1, "principal", Decimal(10))]


def test_the_ladder_goes_one_step_at_a_time_and_waits_for_the_notice_to_run_out():
    ladder = DEFAULT_LADDERS["residential"]
    taken: dict[str, Taken] = {}
    found = []
    for n in range(120):
        today = DUE + timedelta(days=n)
        step = ladder.next(DUE, today, taken)
        if step is not None:
            until = cut_day(today, step.notice_days, ()) if step.notice_days else None
            taken[step.name] = Taken(today, until)
            found.append((step.name, n))
    assert found == [("reminder", 3), ("demand", 15), ("cut_notice", 31), ("disconnect", 38)]


def test_a_debt_that_is_known_late_still_gets_every_step_with_its_time():
    ladder = DEFAULT_LADDERS["default"]
    today = DUE + timedelta(days=200)
    assert ladder.next(DUE, today, {}).name == "reminder"
    taken = {"reminder": Taken(today)}
    assert ladder.next(DUE, today, taken) is None
    assert ladder.next(DUE, today + timedelta(days=7), taken).name == "demand"


def test_a_notice_never_runs_out_on_a_holiday():
    holidays = {DUE + timedelta(days=7), DUE + timedelta(days=8)}
    assert cut_day(DUE, 7, holidays) == DUE + timedelta(days=9)


def test_the_rules_are_read_from_data():
    rules = parse(
        {
            "late_fee": {"carryover": "whole", "classes": {"industrial": {"current": "0.004"}}},
            "allocation": "principal_first",
            "refund_limit": "500",
        }
    )
    assert rules.late_fee.of("industrial") == Rates(Decimal("0.004"), Decimal("0.004"))
    assert rules.late_fee.of("residential").current == Decimal("0.001")
    assert (rules.allocation, rules.refund_limit) == ("principal_first", Decimal(500))


def test_every_mistake_of_the_rules_is_told_at_once():
    steps = [
        {
            "name": "cut",
            "kind": "notice",
            "event": "dues.cut_notice",
            "after_due": 20,
            "notice_days": 2,
        },
        {"name": "off", "kind": "proposal", "after_due": 20},
    ]
    with pytest.raises(Invalid) as refused:
        parse(
            {
                "late_fee": {"carryover": "never", "minimum": "x"},
                "allocation": "any",
                "ladders": {"residential": {"steps": steps}},
                "colour": "red",
            }
        )
    problems = refused.value.details["problems"]
    assert "the rules: colour is not known" in problems
    assert "late_fee.minimum must be a number of 0 or more" in problems
    assert "ladders.residential: the notice of disconnection must be 7 days or longer" in problems
    assert "ladders.residential: nothing is cut before a debt is overdue for 30 days" in problems
    assert "ladders.residential: a demand must come before the notice of disconnection" in problems
    assert len(problems) == 7
