"""When a low balance is told, by the rules alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.dues.rules.prepaid import Movement, Rule, Watch, alarm, look, wants_cut

LIMIT = Decimal(50)
NEW = Watch()


def lines(*moves, first=1):
    return [Movement(first + n, Decimal(amount), kind) for n, (kind, amount) in enumerate(moves)]


def told(*moves, watch=NEW, crossings=True, limit=LIMIT):
    return look(watch, lines(*moves), limit, crossings=crossings)


def test_a_downward_crossing_is_told_once_and_a_top_up_makes_it_news_again():
    first = told(("top_up", 100), ("late_fee", -60))
    assert first.low_at == 2
    again = look(first.watch, lines(("late_fee", -5), first=3), LIMIT, crossings=True)
    assert again.low_at is None
    rearmed = look(again.watch, lines(("top_up", 30), first=4), LIMIT, crossings=True)
    assert rearmed.watch.told is False
    assert look(rearmed.watch, lines(("fee", -20), first=5), LIMIT, crossings=True).low_at == 5


def test_a_top_up_that_does_not_reach_the_threshold_is_no_new_crossing():
    first = told(("top_up", 100), ("fee", -90))
    small = look(first.watch, lines(("top_up", 20), ("fee", -5), first=3), LIMIT, crossings=True)
    assert (small.watch.balance, small.low_at) == (Decimal(25), None)


def test_every_months_issue_that_leaves_it_low_is_told():
    first = told(("top_up", 100), ("bill", -60))
    assert first.low_at == 2
    assert look(first.watch, lines(("bill", -10), first=3), LIMIT, crossings=True).low_at == 3


def test_in_arrears_the_debt_is_told_and_not_the_low_balance():
    assert told(("top_up", 100), ("bill", -120)).low_at is None
    assert told(("top_up", 100), ("bill", -100)).low_at == 2


def test_what_was_low_and_is_topped_up_by_now_is_not_told():
    assert told(("top_up", 100), ("bill", -80), ("top_up", 100)).low_at is None


def test_without_a_threshold_nothing_is_told():
    assert told(("top_up", 10), ("bill", -9), limit=None).low_at is None


def test_who_pays_afterwards_is_told_after_the_months_issue_only():
    assert told(("payment", 100), ("fee", -80), crossings=False).low_at is None
    assert told(("payment", 100), ("bill", -80), crossings=False).low_at == 2


def test_a_balance_brought_from_another_system_is_no_news():
    assert told(("opening", 20)).low_at is None


@given(
    st.lists(
        st.tuples(st.sampled_from(("top_up", "bill", "fee")), st.integers(1, 90)), max_size=25
    ),
    st.integers(0, 25),
)
def test_it_does_not_matter_into_how_many_looks_the_lines_fall(moves, cut):
    signed = [(kind, amount if kind == "top_up" else -amount) for kind, amount in moves]
    whole = lines(*signed)
    at_once = look(Watch(), whole, LIMIT, crossings=True)
    first = look(Watch(), whole[:cut], LIMIT, crossings=True)
    second = look(first.watch, whole[cut:], LIMIT, crossings=True)
    assert second.watch == at_once.watch
    if second.low_at is not None:
        assert at_once.low_at == second.low_at


SHARES = Rule(basis="share", steps=(Decimal("0.3"), Decimal("0.1")))
TOPPED = Watch(balance=Decimal(250), top_up=Decimal(1000), top_up_line_id=7)


def test_each_step_of_the_last_top_up_is_told_once():
    first = alarm(SHARES, TOPPED, Decimal(250), None)
    assert (first.step, first.threshold, first.measure) == (1, Decimal("0.3"), Decimal("0.25"))
    after = Watch(balance=Decimal(250), step=1, top_up=Decimal(1000))
    assert alarm(SHARES, after, Decimal(200), None) is None
    assert alarm(SHARES, after, Decimal(99), None).step == 2
    assert alarm(SHARES, TOPPED, Decimal(-5), None).measure == 0


def test_days_left_are_those_of_the_estimated_charge():
    rule = Rule(basis="days", steps=(Decimal(3), Decimal(1)))
    assert alarm(rule, TOPPED, Decimal(250), Decimal(100)).measure == Decimal("2.5")
    assert alarm(rule, TOPPED, Decimal(250), Decimal(50)) is None
    assert alarm(rule, TOPPED, Decimal(250), None) is None
    assert alarm(Rule(), TOPPED, Decimal(0), Decimal(100)) is None


def test_supply_is_cut_below_the_limit_of_the_class_only():
    assert wants_cut(Rule(cut="propose"), Decimal("-0.01"))
    assert not wants_cut(Rule(cut="propose"), Decimal(0))
    assert not wants_cut(Rule(cut="none"), Decimal(-500))
    assert wants_cut(Rule(cut="automatic", cut_below=Decimal(-100)), Decimal(-101))
