"""Bills by published tariffs, to the last cent; each test names where the figures come from."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from server.billing.service.tariffs import SHIPPED
from tests.billing.tariffs import amounts, cost, shipped, shown, usage


# Zhejiang price bureau, notice on residential tiered prices: 0.538 yuan/kWh up to 2,760 kWh of a
# calendar year, 0.588 up to 4,800, 0.838 above; a year of 5,000 kWh is then 2,852.00 yuan.
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
def test_zhejiang_charges_by_the_calendar_year(before, quantity, total):
    charge = cost(shipped("zhejiang-residential"), usage(before=before, total=quantity))
    assert charge.total == Decimal(total)


def test_zhejiang_shows_a_line_for_each_tier():
    charge = cost(shipped("zhejiang-residential"), usage(total=5000))
    assert shown(charge, "quantity", "price", "before") == [
        (2760, "0.538", 0),
        (2040, "0.588", 2760),
        (200, "0.838", 4800),
    ]


# The same notice: peak/valley 0.568/0.288, 0.618/0.338 and 0.868/0.588 yuan/kWh in the tiers.
@pytest.mark.parametrize(
    ("before", "peak", "valley", "total"),
    [
        (0, 3000, 2000, "2442.00"),
        (0, 2760, 0, "1567.68"),  # 2760 × 0.568
        (2760, 100, 100, "95.60"),  # 100 × 0.618 + 100 × 0.338
        (4800, 100, 100, "145.60"),  # 100 × 0.868 + 100 × 0.588
    ],
)
def test_zhejiang_adds_the_step_of_the_tier_to_peak_and_valley(before, peak, valley, total):
    used = usage(before=before, peak=peak, valley=valley)
    assert cost(shipped("zhejiang-residential-tou"), used).total == Decimal(total)


# The same notice: a shared meter has no tiers, 0.558 yuan/kWh below 1 kV and 0.538 above.
def test_zhejiang_has_no_tiers_behind_a_shared_meter():
    versions = shipped("zhejiang-shared-meter")
    low = usage(total=10_000, account_class="shared_low_voltage")
    high = usage(total=10_000, account_class="shared_high_voltage")
    assert cost(versions, low).total == Decimal("5580.00")
    assert cost(versions, high).total == Decimal("5380.00")


# Taiwan Power Company, residential prices from 1 October 2025, summer June to September: 120 kWh
# at 1.78, the next 210 at 2.55, the next 170 at 3.80 …; bills are whole dollars.
@pytest.mark.parametrize(
    ("month", "quantity", "total"),
    [(7, 400, 1015), (7, 120, 214), (7, 500, 1395), (11, 400, 907), (7, 1200, 6127)],
)
def test_taiwan_charges_by_the_month_and_the_season(month, quantity, total):
    after = date(2026, month, 1) - timedelta(days=1)
    until = date(2026, month, 31 if month == 7 else 30)
    charge = cost(shipped("taiwan-residential"), usage(after, until, total=quantity))
    assert charge.total == total
    assert sum(line.amount for line in charge.lines) == total


# BC Hydro, "Residential tiered rate": 60 days x 22.1918 kWh = 1,332 kWh, 58 days 1,287 kWh;
# 10.97 and 14.08 cents.
@pytest.mark.parametrize(("days", "threshold"), [(60, 1332), (58, 1287)])
def test_bc_hydro_scales_the_threshold_by_days(days, threshold):
    after = date(2026, 1, 15)
    used = usage(after, after + timedelta(days=days), total=2000)
    first, second = cost(shipped("bc-hydro-residential"), used).lines
    assert (first.quantity, second.quantity) == (threshold, 2000 - threshold)
    assert first.amount == round(threshold * Decimal("0.1097"), 2)


# Oracle Utilities Customer Care and Billing, business process guide, proration: steps of 100 and
# 300 kWh for 30 days are 150 and 450 for 45 days.
def test_steps_grow_with_the_days():
    used = usage(date(2026, 1, 31), date(2026, 3, 17), total=500)
    lines = cost(shipped("proration-example"), used).lines
    assert [line.quantity for line in lines if line.component == "energy"] == [150, 300, 50]


# The same guide: a price that changes after 20 of 30 days counts 0.6667 and 0.3333.
def test_a_charge_that_changes_after_20_of_30_days_counts_two_thirds_and_one_third():
    used = usage(date(2026, 5, 31), date(2026, 6, 30), total=300)
    lines = cost(shipped("proration-example"), used).lines
    service = [line for line in lines if line.component == "service"]
    assert [round(line.quantity, 4) for line in service] == [Decimal("0.6667"), Decimal("0.3333")]
    assert [line.amount for line in service] == [Decimal("20.00"), Decimal("20.00")]
    assert [line.days for line in service] == [20, 10]


# Water Supplies Department, Hong Kong, domestic fresh water in four months: 12 m³ free, 31 at
# 4.16, 19 at 6.45, the remainder at 9.05; Drainage Services Department: 2.92 above 12 m³.
@pytest.mark.parametrize(
    ("quantity", "water", "sewage"),
    [(12, "0.00", "0.00"), (62, "251.51", "146.00"), (100, "595.41", "256.96")],
)
def test_hong_kong_gives_the_first_cubic_metres_free(quantity, water, sewage):
    used = usage(date(2026, 1, 31), date(2026, 5, 31), total=quantity)
    lines = cost(shipped("hong-kong-water"), used).lines
    sums = dict.fromkeys(("energy", "sewage"), Decimal(0))
    for line in lines:
        sums[line.component] += line.amount
    assert sums == {"energy": Decimal(water), "sewage": Decimal(sewage)}


# eGovernments Foundation, sample billing slab of its public water documentation: minimum 100;
# 2 up to 10 m³, 2.5 up to 20, 8 up to 30, 12 up to 40.
@pytest.mark.parametrize(
    ("quantity", "energy", "total"),
    [
        (25, "85.00", "100.00"),
        (10, "20.00", "100.00"),
        (20, "45.00", "100.00"),
        (30, "125.00", "125.00"),
        (40, "245.00", "245.00"),
    ],
)
def test_an_indian_city_charges_each_step_fully_and_at_least_the_minimum(quantity, energy, total):
    charge = cost(shipped("india-sample-water"), usage(total=quantity))
    assert sum(li.amount for li in charge.lines if li.kind == "energy") == Decimal(energy)
    assert charge.total == Decimal(total)
    assert ("minimum" in dict(amounts(charge))) == (Decimal(energy) < 100)


def test_every_tariff_that_comes_along_can_be_read_and_names_its_source():
    for path in sorted(SHIPPED.iterdir()):
        assert all(version.tariff.source for version in shipped(path.stem))
