"""What each part of a tariff does to a bill."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from server.billing.rules.tariff import Part, Usage, charge, parse, split_by_year
from server.errors import Invalid
from tests.billing.tariffs import amounts, cost, shown, usage, version

TIERS = [{"up_to": "100", "price": "0.5"}, {"up_to": "200", "price": "0.6"}, {"price": "0.9"}]
JUNE = (date(2026, 5, 31), date(2026, 6, 30))


def tariff(
    *components: dict[str, Any], start: date = date(2000, 1, 1), number: int = 1, **more: Any
):
    return version({"components": list(components), **more}, start, number)


def energy(**more: Any) -> dict[str, Any]:
    return {"code": "energy", "price": "0.5", **more}


def years(*arguments: Any) -> list[Any]:
    return list(split_by_year(*arguments))


def quantities(priced, component="energy") -> list[Any]:
    return [line.quantity for line in priced.lines if line.component == component]


# --- tiers --------------------------------------------------------------------------------


def tiered(**more: Any) -> dict[str, Any]:
    return {"code": "energy", "tiers": TIERS, **more}


@pytest.mark.parametrize(
    ("quantity", "total"),
    [(100, "50.00"), (101, "60.60"), (200, "120.00"), (201, "180.90"), (0, "0.00")],
)
def test_a_slab_charges_the_whole_quantity_at_the_price_it_reaches(quantity, total):
    assert cost(tariff(tiered(blocks="slab")), usage(total=quantity)).total == Decimal(total)


def test_a_slab_at_its_boundary_stays_there_when_the_price_changes_in_between():
    old = tariff(tiered(blocks="slab"))
    new = tariff(tiered(blocks="slab"), start=date(2026, 6, 18), number=2)
    assert cost([old, new], usage(*JUNE, total=100)).total == Decimal("50.00")


def test_falling_prices_are_charged_like_rising_ones():
    falling = [{"up_to": 100, "price": "0.9"}, {"price": "0.4"}]
    assert cost(tariff(tiered(tiers=falling)), usage(total=150)).total == Decimal("110.00")


def test_a_first_block_can_have_a_flat_amount():
    flat = tariff(tiered(tiers=[{"up_to": 10, "amount": "25"}, {"price": "3"}]))
    for quantity, total in ((0, "25.00"), (4, "25.00"), (10, "25.00"), (12, "31.00")):
        bill = cost(flat, usage(total=quantity))
        assert bill.total == Decimal(total)
        assert sum(line.quantity for line in bill.lines if line.year is not None) == quantity


def test_a_flat_amount_is_shared_by_days_when_the_price_changes():
    block = [{"up_to": 10, "amount": "30"}, {"price": "3"}]
    new = tariff(
        tiered(tiers=[{"up_to": 10, "amount": "60"}, {"price": "3"}]), start=date(2026, 6, 21)
    )
    bill = cost([tariff(tiered(tiers=block)), new], usage(*JUNE, total=9))
    assert bill.total == Decimal("40.00")


def test_boundaries_scale_with_the_days_of_the_period():
    scaled = tariff(tiered(basis="days", normal_days="30"))
    bill = cost(scaled, usage(date(2026, 1, 31), date(2026, 3, 17), total=400))
    assert quantities(bill) == [150, 150, 100]


def test_a_credit_takes_back_the_dearest_units_first():
    yearly = tariff(tiered(basis="calendar_year"))
    bill = cost(yearly, usage(before=250, total=-100))
    assert shown(bill, "quantity", "amount") == [
        (-50, "-45.00"),
        (-50, "-30.00"),
    ]


@pytest.mark.parametrize(
    ("persons", "first"), [(None, 100), (4, 100), (5, 160), (6, 200), (7, 250)]
)
def test_a_large_household_gets_more_of_the_cheap_tiers(persons, first):
    allowances = [
        {"persons": 5, "add": 20, "add_each": 40},
        {"persons": 7, "add": 150},
    ]
    many = tariff(tiered(basis="calendar_year", allowances=allowances))
    bill = cost(many, usage(household=persons, total=1000))
    assert quantities(bill) == [first, 100, 900 - first]


@pytest.mark.parametrize(
    ("since", "first"), [(date(2026, 7, 20), 50), (date(2026, 1, 1), 100), (date(2025, 12, 1), 100)]
)
def test_a_new_account_has_a_twelfth_of_the_year_s_tiers_for_each_month(since, first):
    new = tariff(tiered(basis="calendar_year", new_account="twelfths"))
    assert quantities(cost(new, usage(total=100, since=since)))[0] == first


# --- registers ----------------------------------------------------------------------------


def test_each_register_has_its_price_and_others_are_free():
    prices = {"sharp": "1.2", "peak": "0.9", "flat": "0.6", "valley": "0.3"}
    used = usage(sharp=10, peak=20, flat=30, valley=40, reactive=50)
    bill = cost(tariff({"code": "energy", "prices": prices}), used)
    assert shown(bill, "register_kind", "amount") == [
        ("sharp", "12.00"),
        ("peak", "18.00"),
        ("flat", "18.00"),
        ("valley", "12.00"),
    ]


def test_steps_on_top_fill_by_all_registers_together():
    base = {"code": "energy", "prices": {"peak": "0.6", "valley": "0.3"}}
    step = {"code": "step", "kind": "surcharge", "register": "sum", "basis": "calendar_year"}
    tiers = [{"up_to": 100, "price": 0}, {"price": "0.1"}]
    bill = cost(tariff(base, {**step, "tiers": tiers}), usage(before=50, peak=60, valley=40))
    assert quantities(bill, "step") == [50, 50]
    assert bill.total == Decimal("53.00")
    assert sum(line.quantity for line in bill.lines if line.year == 2026) == 100


def test_steps_that_differ_are_split_in_proportion_to_the_registers():
    tiers = [
        {"up_to": 100, "prices": {"peak": "0.6", "valley": "0.3"}},
        {"prices": {"peak": "0.8", "valley": "0.4"}},
    ]
    bill = cost(tariff(tiered(tiers=tiers)), usage(peak=150, valley=50))
    assert shown(bill, "register_kind", "quantity", "amount") == [
        ("peak", 75, "45.00"),
        ("valley", 25, "7.50"),
        ("peak", 75, "60.00"),
        ("valley", 25, "10.00"),
    ]


# --- time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "after", "until", "amount"),
    [
        ({"per": "day"}, *JUNE, "90.00"),
        ({"per": "period"}, *JUNE, "3.00"),
        ({"per": "month"}, *JUNE, "3.00"),
        ({"per": "month"}, date(2026, 6, 15), date(2026, 7, 31), "4.50"),
        (
            {"per": "month", "part_months": "thirtieths"},
            date(2026, 7, 16),
            date(2026, 7, 31),
            "1.50",
        ),
        (
            {"per": "month", "part_months": "month_ends"},
            date(2026, 5, 25),
            date(2026, 7, 25),
            "6.00",
        ),
    ],
)
def test_a_fixed_charge_counts_days_months_or_periods(fields, after, until, amount):
    fixed = {"code": "fixed", "kind": "fixed", "price": "3", **fields}
    bill = cost(tariff(fixed), usage(after, until, total=1))
    assert amounts(bill) == [("fixed", amount)]


def test_two_readings_of_one_day_cost_energy_and_no_second_day():
    fixed = {"code": "fixed", "kind": "fixed", "price": "3", "per": "day"}
    day = date(2026, 6, 30)
    bill = cost(tariff(tiered(basis="calendar_year"), fixed), usage(day, day, before=90, total=20))
    assert amounts(bill) == [("energy", "5.00"), ("energy", "6.00")]


def test_seasons_split_a_period_and_its_boundaries_by_days():
    seasons = {
        "summer": {"from": "06-01", "to": "09-30"},
        "other": {"from": "10-01", "to": "05-31"},
    }
    summer = {
        "code": "summer",
        "season": "summer",
        "tiers": [{"up_to": 90, "price": 1}, {"price": 2}],
    }
    other = {"code": "other", "season": "other", "price": "0.5"}
    both = tariff(summer, other, seasons=seasons)
    bill = cost(both, usage(date(2026, 9, 20), date(2026, 10, 20), total=180))
    assert shown(bill, "component", "quantity", "days") == [
        ("summer", 30, 10),
        ("summer", 30, 10),
        ("other", 120, 20),
    ]
    assert sum(line.quantity for line in bill.lines if line.year == 2026) == 180


def test_a_season_over_new_year_keeps_the_years_apart():
    seasons = {"winter": {"from": "11-15", "to": "03-15"}, "rest": {"from": "03-16", "to": "11-14"}}
    winter = tiered(code="winter", season="winter", basis="calendar_year")
    rest = tiered(code="rest", season="rest", basis="calendar_year")
    used = usage(date(2026, 12, 21), date(2027, 1, 20), year={2026: 150}, total=300)
    bill = cost(tariff(winter, rest, seasons=seasons), used)
    assert shown(bill, "component", "year", "quantity", "before") == [
        ("winter", 2026, 50, 150),
        ("winter", 2026, 50, 200),
        ("winter", 2027, 100, 0),
        ("winter", 2027, 100, 100),
    ]


def changed(how: str = "split") -> list[Any]:
    old = tariff(energy())
    return [old, tariff(energy(price="0.8"), start=date(2026, 6, 21), number=2, change=how)]


@pytest.mark.parametrize(
    ("how", "lines"),
    [
        ("split", [(200, "0.5", 1), (100, "0.8", 2)]),
        ("value_at_start", [(300, "0.5", 1)]),
        ("value_at_end", [(300, "0.8", 2)]),
    ],
)
def test_a_price_change_within_a_period_says_itself_how_it_counts(how, lines):
    bill = cost(changed(how), usage(*JUNE, total=300))
    assert shown(bill, "quantity", "price", "version") == lines


def test_a_change_on_the_first_day_or_after_the_last_is_none():
    versions = changed()
    later = usage(date(2026, 6, 20), date(2026, 7, 20), total=30)
    earlier = usage(date(2026, 5, 20), date(2026, 6, 20), total=30)
    assert [line.version for line in cost(versions, later).lines] == [2]
    assert [line.version for line in cost(versions, earlier).lines] == [1]


def test_a_tariff_that_begins_within_a_period_holds_for_all_of_it():
    late = tariff(energy(), start=date(2026, 6, 21))
    assert cost(late, usage(*JUNE, total=300)).total == Decimal("150.00")


def test_a_year_goes_on_across_a_price_change():
    old = tariff(tiered(basis="calendar_year"))
    new = tariff(
        tiered(basis="calendar_year", tiers=[{"up_to": 200, "price": 1}, {"price": 2}]),
        start=date(2026, 6, 21),
        number=2,
    )
    bill = cost([old, new], usage(*JUNE, before=150, total=90))
    assert shown(bill, "version", "quantity", "before") == [
        (1, 50, 150),
        (1, 10, 200),
        (2, 30, 210),
    ]


def test_no_version_on_the_last_day_is_refused():
    with pytest.raises(Invalid) as caught:
        cost(tariff(energy(), start=date(2026, 7, 1)), usage(*JUNE, total=1))
    assert caught.value.code == "tariff.not_valid"


def test_a_change_of_currency_within_a_period_is_refused():
    other = version({"currency": "EUR", "components": [energy()]}, date(2026, 6, 21), 2)
    with pytest.raises(Invalid) as caught:
        cost([tariff(energy()), other], usage(*JUNE, total=1))
    assert caught.value.code == "tariff.currencies"


def test_several_uses_of_a_period_are_split_each_by_its_own_days():
    first, middle, last = JUNE[0], date(2026, 6, 20), JUNE[1]
    parts = (Part("total", first, middle, Decimal(20)), Part("total", middle, last, Decimal(100)))
    bill = charge(changed(), Usage(first, last, parts))
    assert [line.quantity for line in bill.lines] == [20, 100]


def test_a_use_across_new_year_is_split_by_days_and_the_read_day_belongs_to_the_earlier_bill():
    assert years(date(2026, 12, 21), date(2027, 1, 20), Decimal(300)) == [
        (2026, 100),
        (2027, 200),
    ]
    assert years(date(2026, 12, 31), date(2027, 1, 31), Decimal(310)) == [(2027, 310)]
    assert years(date(2026, 1, 31), date(2026, 2, 28), Decimal(90)) == [(2026, 90)]


# --- amounts ------------------------------------------------------------------------------


def test_a_minimum_adds_what_is_missing_and_does_not_eat_a_credit():
    least = {"code": "minimum", "kind": "minimum", "amount": "100"}
    with_least = tariff(energy(), least)
    for quantity, total in ((10, "100.00"), (200, "100.00"), (201, "100.50"), (-10, "95.00")):
        assert cost(with_least, usage(total=quantity)).total == Decimal(total)


def test_a_minimum_can_be_for_each_month_and_for_named_components():
    rent = {"code": "rent", "kind": "fixed", "price": "5", "per": "month"}
    least = {"code": "least", "kind": "minimum", "amount": "8", "per": "month", "of": ["rent"]}
    bill = cost(tariff(energy(), rent, least), usage(date(2026, 5, 31), date(2026, 7, 31), total=2))
    assert amounts(bill) == [("energy", "1.00"), ("rent", "10.00"), ("least", "6.00")]


def test_taxes_surcharges_and_discounts_are_per_unit_or_percent():
    bill = cost(
        tariff(
            energy(),
            {"code": "fund", "kind": "surcharge", "price": "0.02"},
            {"code": "green", "kind": "surcharge", "percent": "10", "of": ["energy"]},
            {"code": "club", "kind": "discount", "percent": "5", "of": ["energy"]},
            {"code": "bonus", "kind": "discount", "price": "1", "per": "period"},
            {"code": "vat", "kind": "tax", "percent": "13"},
        ),
        usage(total=100),
    )
    assert amounts(bill) == [
        ("energy", "50.00"),
        ("fund", "2.00"),
        ("green", "5.00"),
        ("club", "-2.50"),
        ("bonus", "-1.00"),
        ("vat", "6.96"),
    ]
    assert bill.total == Decimal("60.46")


@pytest.mark.parametrize(("each_line", "vat"), [("no", ["0.05"]), ("yes", ["0.02", "0.02"])])
def test_a_tax_is_on_the_sum_or_on_each_line(each_line, vat):
    tax = {"code": "vat", "kind": "tax", "percent": "13", "each_line": each_line}
    flat = {"code": "flat", "kind": "fixed", "price": "0.18", "per": "period"}
    bill = cost(tariff(energy(price="0.18"), flat, tax), usage(total=1))
    assert [amount for code, amount in amounts(bill) if code == "vat"] == vat


def test_components_of_other_classes_are_left_out():
    both = tariff(
        energy(code="home", classes="residential"),
        energy(code="shop", classes=["commercial", "industrial"], price=1),
    )
    for account_class, codes in (("residential", ["home"]), ("industrial", ["shop"]), (None, [])):
        bill = cost(both, usage(total=1, account_class=account_class))
        assert [line.component for line in bill.lines] == codes


@pytest.mark.parametrize(
    ("order", "mode", "exponent", "total"),
    [
        ("lines_then_sum", "half_up", 2, "0.51"),
        ("lines_then_sum", "half_even", 2, "0.48"),
        ("lines_then_sum", "down", 2, "0.48"),
        ("sum_then_round", "half_up", 2, "0.50"),
        ("sum_then_round", "down", 1, "0.4"),
        ("sum_then_round", "half_up", 0, "0"),
        ("lines_then_sum", "half_up", 4, "0.4950"),
    ],
)
def test_rounding_is_the_tariff_s(order, mode, exponent, total):
    rounding = {"order": order, "mode": mode, "exponent": exponent}
    parts = [energy(code=f"e{i}", price="0.165") for i in range(3)]
    bill = cost(tariff(*parts, rounding=rounding), usage(total=1))
    assert str(bill.total) == total
    assert sum(line.amount for line in bill.lines) == bill.total


def test_a_tariff_is_known_by_what_it_says_not_by_how_numbers_are_written():
    body = {"currency": "CNY", "components": [energy(price="0.50")]}
    again = {"currency": "CNY", "components": [energy(price=Decimal("0.5"))], "source": "x"}
    assert parse(body) == parse(again)
    assert parse(body) != parse({"currency": "CNY", "components": [energy(price="0.51")]})


def test_a_span_of_many_years_is_split_into_each_of_them():
    after = date(2023, 12, 31)
    bill = cost(
        tariff(tiered(basis="calendar_year")),
        usage(after, after + timedelta(days=366 + 365), year={}, total=731),
    )
    assert {line.year: line.days for line in bill.lines} == {2024: 366, 2025: 365}
