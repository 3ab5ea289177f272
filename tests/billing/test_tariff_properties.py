"""What holds for every quantity, every split of a period and every way of rounding."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.billing.rules.tariff import Charge, Part, Usage, Version, charge, split_by_year
from server.billing.rules.tariff.model import ROUNDING_MODES, ROUNDING_ORDERS
from tests.billing.tariffs import cost, shipped, usage, version

ZHEJIANG = shipped("zhejiang-residential")
CENT = Decimal("0.01")
START = date(2025, 10, 31)
QUANTITIES = st.integers(0, 9_000).map(Decimal)
FINE = st.decimals(0, 9_000, places=3, allow_nan=False)
SPLITS = st.lists(st.integers(1, 40), min_size=1, max_size=8)

RICH: dict[str, Any] = {
    "seasons": {"warm": {"from": "05-16", "to": "10-15"}, "cold": {"from": "10-16", "to": "05-15"}},
    "components": [
        {
            "code": "warm",
            "season": "warm",
            "basis": "calendar_year",
            "tiers": [{"up_to": 700, "price": "0.51"}, {"price": "0.617"}],
        },
        {
            "code": "cold",
            "season": "cold",
            "basis": "calendar_year",
            "tiers": [{"up_to": 700, "price": "0.47"}, {"price": "0.5317"}],
        },
        {"code": "grid", "kind": "fixed", "price": "0.35", "per": "day"},
        {"code": "rent", "kind": "fixed", "price": "7.30", "per": "month"},
        {"code": "fund", "kind": "surcharge", "price": "0.0254"},
        {"code": "loyal", "kind": "discount", "percent": "1.5", "of": ["warm", "cold"]},
        {"code": "vat", "kind": "tax", "percent": 13},
    ],
}


def exact(priced: Charge) -> Decimal:
    """What the lines say before anything is rounded."""
    return sum((line.quantity * line.price for line in priced.lines), Decimal(0))


@given(before=QUANTITIES, quantity=FINE)
def test_the_short_way_charges_what_the_long_way_does(before, quantity):
    used = usage(before=before, total=quantity)
    half = usage(before=before, total=quantity / 2)
    twice = Usage(half.after, half.until, half.parts * 2, half.year_to_date)
    short, long = charge(ZHEJIANG, used), charge(ZHEJIANG, twice)
    if quantity:
        assert short == long


@given(before=QUANTITIES, quantity=QUANTITIES)
def test_more_use_never_costs_less_and_one_more_costs_at_most_the_highest_price(before, quantity):
    one_more = cost(ZHEJIANG, usage(before=before, total=quantity + 1)).total
    step = one_more - cost(ZHEJIANG, usage(before=before, total=quantity)).total
    assert 0 <= step <= Decimal("0.838") + 2 * CENT


@given(before=QUANTITIES, quantity=FINE, more=st.decimals("0.001", 1, places=3))
def test_the_charge_has_no_jump(before, quantity, more):
    low, high = (
        exact(cost(ZHEJIANG, usage(before=before, total=q))) for q in (quantity, quantity + more)
    )
    assert 0 <= high - low <= more * Decimal("0.838")


@given(before=QUANTITIES, quantity=QUANTITIES)
def test_a_credit_takes_back_exactly_what_was_charged(before, quantity):
    forth = cost(ZHEJIANG, usage(before=before, total=quantity))
    back = cost(ZHEJIANG, usage(before=before + quantity, total=-quantity))
    assert back.total == -forth.total


@given(before=QUANTITIES, first=QUANTITIES, second=QUANTITIES)
def test_two_bills_of_a_year_cost_what_one_would(before, first, second):
    apart = [
        cost(ZHEJIANG, usage(before=before, total=first)),
        cost(ZHEJIANG, usage(before=before + first, total=second)),
    ]
    together = cost(ZHEJIANG, usage(before=before, total=first + second))
    assert sum(map(exact, apart)) == exact(together)
    assert abs(sum(each.total for each in apart) - together.total) <= 3 * CENT


@settings(max_examples=60, deadline=None)
@given(lengths=SPLITS, per_day=st.integers(0, 60), order=st.sampled_from(ROUNDING_ORDERS))
def test_any_split_of_a_period_costs_what_the_whole_would(lengths, per_day, order):
    """Seasons, years, days, months, taxes: an even use is split into bills at any days."""
    tariff = version({**RICH, "rounding": {"order": order}})
    whole = charge([tariff], _even(START, sum(lengths), per_day, {}))
    apart, years, after = [], defaultdict[int, Decimal](Decimal), START
    for days in lengths:
        bill = charge([tariff], _even(after, days, per_day, dict(years)))
        for line in bill.lines:
            if line.year is not None:
                years[line.year] += line.quantity
        apart.append(bill)
        after += timedelta(days=days)
    assert sum(years.values()) == per_day * sum(lengths)
    lines = sum(len(bill.lines) for bill in apart) + len(whole.lines)
    assert abs(sum(bill.total for bill in apart) - whole.total) <= lines * CENT


def _even(after: date, days: int, per_day: int, years: dict[int, Decimal]) -> Usage:
    until = after + timedelta(days=days)
    return Usage(after, until, (Part("total", after, until, Decimal(per_day * days)),), years)


@settings(max_examples=80, deadline=None)
@given(
    order=st.sampled_from(ROUNDING_ORDERS),
    mode=st.sampled_from(sorted(ROUNDING_MODES)),
    exponent=st.integers(0, 4),
    quantity=st.decimals(-500, 3000, places=3, allow_nan=False),
    before=QUANTITIES,
)
def test_the_lines_add_up_to_the_total_under_every_rounding(
    order, mode, exponent, quantity, before
):
    rounding = {"order": order, "mode": mode, "exponent": exponent}
    used = usage(date(2026, 4, 20), date(2026, 6, 3), before, total=quantity)
    bill = cost(version({**RICH, "rounding": rounding}), used)
    assert sum(line.amount for line in bill.lines) == bill.total
    step = Decimal(1).scaleb(-exponent)
    assert bill.total == bill.total.quantize(step)
    places = step if order == "lines_then_sum" else Decimal("0.0001")
    for line in bill.lines:
        assert line.amount == (line.quantity * line.price).quantize(places, ROUNDING_MODES[mode])
        for figure in (line.quantity, line.price, line.before):
            assert figure == figure.quantize(Decimal("0.000001"))
    if order == "sum_then_round":
        plain = [line for line in bill.lines if line.kind != "rounding"]
        whole = sum((line.quantity * line.price for line in plain), Decimal(0))
        assert bill.total == whole.quantize(step, ROUNDING_MODES[mode])


@given(
    peak=st.integers(0, 4000),
    flat=st.integers(0, 4000),
    valley=st.integers(0, 4000),
    before=QUANTITIES,
)
def test_tiers_split_between_registers_add_up_both_ways(peak, flat, valley, before):
    steps = [
        {"up_to": 3120, "prices": {"peak": "0.677", "flat": "0.6", "valley": "0.337"}},
        {"up_to": 4800, "prices": {"peak": "0.737", "flat": "0.65", "valley": "0.387"}},
        {"prices": {"peak": "1.037", "flat": "0.95", "valley": "0.637"}},
    ]
    energy = {"code": "energy", "basis": "calendar_year", "tiers": steps}
    tariff = version({"components": [energy]})
    bill = cost(tariff, usage(before=before, peak=peak, flat=flat, valley=valley))
    total = Decimal(peak + flat + valley)
    by_register, by_tier = (
        defaultdict[str, Decimal](Decimal),
        defaultdict[Decimal, Decimal](Decimal),
    )
    for line in bill.lines:
        assert line.quantity >= 0
        by_register[str(line.register_kind)] += line.quantity
        by_tier[line.before] += line.quantity
    for register, counted in (("peak", peak), ("flat", flat), ("valley", valley)):
        assert by_register.get(register, 0) == counted
    inside = max(Decimal(0), min(before + total, Decimal(3120)) - before)
    if inside:
        assert by_tier[before] == inside


@settings(max_examples=60)
@given(
    days=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    quantity=st.decimals(0, 2000, places=2, allow_nan=False),
)
def test_a_price_that_does_not_change_costs_the_same_in_one_version_and_in_many(days, quantity):
    body = {
        "components": [
            {
                "code": "energy",
                "basis": "days",
                "normal_days": 30,
                "tiers": [{"up_to": 100, "price": "0.4"}, {"price": "0.7"}],
            }
        ]
    }
    starts, day = [], START
    for each in days:
        starts.append(day + timedelta(days=1))
        day += timedelta(days=each)
    many = [version(body, start, number) for number, start in enumerate(starts)]
    many[0] = version(body, date(2000, 1, 1), 0)
    used = usage(START, day, total=quantity)
    one, split = cost(many[0], used), cost(_ended(many), used)
    assert sum(line.quantity for line in split.lines) == quantity
    assert abs(split.total - one.total) <= CENT * len(split.lines)


def _ended(versions: list[Version]) -> list[Version]:
    ends = [each.valid_from - timedelta(days=1) for each in versions[1:]]
    return [
        Version(each.id, each.valid_from, end, each.tariff)
        for each, end in zip(versions, [*ends, None], strict=True)
    ]


@given(
    start=st.dates(date(2020, 1, 1), date(2025, 12, 31)),
    days=st.integers(1, 1200),
    quantity=st.integers(-500, 50_000).map(Decimal),
)
def test_the_shares_of_the_years_add_up(start, days, quantity):
    shares = split_by_year(start, start + timedelta(days=days), quantity)
    assert sum(share for _, share in shares) == quantity
    years = [year for year, _ in shares]
    assert years == sorted(set(years))
