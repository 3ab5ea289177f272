from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.billing
from server.billing.rules.tariff import YearUse, parse, price, split_by_year
from server.errors import Invalid

FOLDER = Path(server.billing.__file__).parent / "tariffs"
ZHEJIANG = parse(
    json.loads((FOLDER / "zhejiang-residential.json").read_text("utf-8"))["definition"]
)
QUANTITIES = st.integers(0, 9_000).map(Decimal)


def charge(quantity: int | Decimal, before: int | Decimal = 0):
    return price(ZHEJIANG, [YearUse(2026, "total", Decimal(quantity), Decimal(before))])


# Golden figures: Zhejiang's published residential prices, by the rules of calendar-year tiers.
@pytest.mark.parametrize(
    ("before", "quantity", "total"),
    [
        (0, 5000, "2852.00"),
        (2700, 200, "114.60"),
        (0, 2760, "1484.88"),
        (0, 2761, "1485.47"),
        (2760, 1, "0.59"),
        (2759, 1, "0.54"),
        (0, 4800, "2684.40"),
        (0, 4801, "2685.24"),
        (4800, 1, "0.84"),
        (4799, 1, "0.59"),
        (0, 0, "0.00"),
    ],
)
def test_zhejiang_charges_to_the_cent(before, quantity, total):
    assert charge(quantity, before).total == Decimal(total)


def test_a_bill_over_all_tiers_has_a_line_for_each():
    lines = charge(5000).lines
    assert [(line.quantity, line.price, line.before) for line in lines] == [
        (Decimal(2760), Decimal("0.538"), Decimal(0)),
        (Decimal(2040), Decimal("0.588"), Decimal(2760)),
        (Decimal(200), Decimal("0.838"), Decimal(4800)),
    ]


def test_a_use_of_nothing_still_has_one_line():
    assert [line.amount for line in charge(0, 2760).lines] == [Decimal("0.00")]


@given(before=QUANTITIES, quantity=QUANTITIES)
def test_the_total_is_the_sum_of_its_rounded_lines(before, quantity):
    bill = charge(quantity, before)
    assert bill.total == sum(line.amount for line in bill.lines)
    assert sum(line.quantity for line in bill.lines) == quantity
    assert all(line.amount == line.amount.quantize(Decimal("0.01")) for line in bill.lines)


@given(before=QUANTITIES, first=QUANTITIES, second=QUANTITIES)
def test_two_bills_of_a_year_cost_what_one_would_but_for_rounding(before, first, second):
    apart = charge(first, before).total + charge(second, before + first).total
    together = charge(first + second, before).total
    assert abs(apart - together) <= Decimal("0.03")


@given(before=QUANTITIES, quantity=QUANTITIES)
def test_more_use_never_costs_less(before, quantity):
    assert charge(quantity + 1, before).total >= charge(quantity, before).total


@given(before=QUANTITIES, quantity=QUANTITIES)
def test_a_credit_takes_back_exactly_what_was_charged(before, quantity):
    forth = charge(quantity, before)
    back = charge(-quantity, before + quantity)
    assert back.total == -forth.total


def test_a_price_per_period_does_not_look_at_the_year():
    tariff = parse(
        {
            "currency": "CNY",
            "components": [{"code": "energy", "register": "total", "price": "0.5"}],
        }
    )
    use = YearUse(2026, "total", Decimal(10), Decimal(100_000))
    assert price(tariff, [use]).total == Decimal("5.00")


def test_every_mistake_of_a_tariff_is_listed():
    broken = {
        "currency": "",
        "rounding": {"exponent": 9, "mode": "up"},
        "colour": "red",
        "components": [
            {"code": "energy", "register": "gas", "tiers": [{"up_to": "10"}, {"up_to": 5.5}]},
            {"code": "energy", "price": "x"},
        ],
    }
    with pytest.raises(Invalid) as caught:
        parse(broken)
    assert caught.value.code == "tariff.invalid"
    where = {mistake["where"] for mistake in caught.value.details["mistakes"]}
    assert {
        "currency",
        "rounding.exponent",
        "rounding.mode",
        "tariff",
        "components",
        "components[0].register",
        "components[0].tiers[0].price",
        "components[0].tiers[1].up_to",
        "components[1].price",
    } <= where


def test_a_use_within_one_year_is_not_split():
    assert split_by_year(date(2026, 1, 31), date(2026, 2, 28), Decimal(90)) == [(2026, Decimal(90))]


def test_a_use_across_new_year_is_split_by_days_and_the_read_day_belongs_to_the_earlier_bill():
    assert split_by_year(date(2026, 12, 21), date(2027, 1, 20), Decimal(300)) == [
        (2026, Decimal(100)),
        (2027, Decimal(200)),
    ]
    assert split_by_year(date(2026, 12, 31), date(2027, 1, 31), Decimal(310)) == [
        (2027, Decimal(310))
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
