"""Which gateway carries a message, as a pure rule."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.notify.rules import phones
from server.notify.rules.routing import PriceRow, Prices, Routes, Way, share

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
OLD = NOW - timedelta(days=900)
PHONE = "+8613812345678"

# A busy machine is no reason to fail.
_BUSY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

numbers = st.integers(0, 10**8 - 1).map(lambda n: f"+86138{n:08d}")
prices = st.decimals("0.01", "0.09", places=2)


def _routes(*ways: Way, rows: list[PriceRow] | None = None, frugal: str = "") -> Routes:
    return Routes(ways, Prices(rows or []), NOW, frozenset(frugal.split()))


def _price(gateway: int, price: str, prefix: str = "", **more: datetime) -> PriceRow:
    return PriceRow(gateway, prefix, Decimal(price), more.pop("valid_from", OLD), **more)


# --- business ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "phone", "category", "serves"),
    [
        (Way(1, "smpp"), PHONE, "bill", True),
        (Way(1, "smpp", categories=frozenset({"bill"})), PHONE, "bill", True),
        (Way(1, "smpp", categories=frozenset({"bill"})), PHONE, "promotion", False),
        (Way(1, "smpp", prefixes=("+86139", "+86138")), PHONE, "bill", True),
        (Way(1, "smpp", prefixes=("+44",)), PHONE, "bill", False),
        (Way(1, "email"), PHONE, "bill", False),
        (Way(1, "email"), "wang@example.org", "bill", True),
        (Way(1, "smpp"), "wang@example.org", "bill", False),
        (Way(1, "smpp", usable=False), PHONE, "bill", False),
    ],
)
def test_only_a_gateway_whose_business_it_is_is_chosen(
    way: Way, phone: str, category: str, serves: bool
) -> None:
    assert _routes(way).choose(phone, category) == (1 if serves else None)


# --- price ------------------------------------------------------------------------------------


def test_the_cheapest_for_the_number_is_chosen_whatever_its_weight() -> None:
    rows = [_price(1, "0.05"), _price(2, "0.04"), _price(1, "0.03", "+86138")]
    routes = _routes(Way(1, "smpp", weight=1), Way(2, "smpp", weight=1000), rows=rows)
    assert routes.choose(PHONE, "bill") == 1
    assert routes.choose("+8613912345678", "bill") == 2


def test_of_prices_for_one_number_the_longest_prefix_wins_even_when_it_is_dearer() -> None:
    rows = [_price(1, "0.01"), _price(1, "0.02", "+86"), _price(1, "0.09", "+861381234")]
    found = _routes(Way(1, "smpp"), rows=rows)
    assert found.price(1, PHONE, NOW) == Decimal("0.09")
    assert found.price(1, "+8613900000000", NOW) == Decimal("0.02")
    assert found.price(1, "+4479", NOW) == Decimal("0.01")
    assert found.price(2, PHONE, NOW) == 0


def test_a_price_holds_from_its_first_instant_until_before_its_last() -> None:
    change = NOW + timedelta(days=1)
    rows = [
        _price(1, "0.05", valid_to=change),
        _price(1, "0.06", valid_from=change),
        _price(1, "0.01", "+86", valid_to=NOW),
    ]
    found = Prices(rows)
    tick = timedelta(microseconds=1)
    assert found.at(1, PHONE, NOW - tick) == Decimal("0.01")
    assert found.at(1, PHONE, NOW) == Decimal("0.05"), "a prefix whose price has ended serves not"
    assert found.at(1, PHONE, change - tick) == Decimal("0.05")
    assert found.at(1, PHONE, change) == Decimal("0.06")
    assert found.at(1, PHONE, OLD - tick) == 0


@_BUSY
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4), st.sampled_from(["", "+86", "+8613", "+86138", "+861381"]), prices
        ),
        max_size=12,
    ),
    numbers,
)
def test_no_gateway_that_serves_is_cheaper_than_the_chosen(
    listed: list[tuple[int, str, Decimal]], phone: str
) -> None:
    rows = [PriceRow(gateway, prefix, price, OLD) for gateway, prefix, price in listed]
    routes = _routes(*(Way(number, "smpp") for number in range(1, 5)), rows=rows)
    chosen = routes.choose(phone, "bill")
    assert chosen is not None
    asked = {number: routes.price(number, phone, NOW) for number in range(1, 5)}
    assert asked[chosen] == min(asked.values())


# --- position and weight ----------------------------------------------------------------------


def test_among_equally_cheap_ones_the_operator_s_order_comes_first() -> None:
    routes = _routes(Way(1, "smpp", position=200), Way(2, "smpp", position=100))
    assert routes.choose(PHONE, "bill") == 2


def test_equals_share_by_weight() -> None:
    counts = Counter(share(f"+86138{n:08d}", {1: 100, 2: 300}) for n in range(4000))
    assert 0.22 < counts[1] / 4000 < 0.28


def test_a_gateway_without_weight_is_taken_only_when_there_is_no_other() -> None:
    assert {share(f"+86138{n:08d}", {1: 0, 2: 1}) for n in range(200)} == {2}
    assert share(PHONE, {1: 0}) == 1


@_BUSY
@given(numbers, st.dictionaries(st.integers(1, 20), st.integers(1, 500), min_size=2, max_size=6))
def test_a_phone_moves_only_when_its_own_gateway_goes(phone: str, weights: dict[int, int]) -> None:
    mine = share(phone, weights)
    for gone in weights.keys() - {mine}:
        left = {number: weight for number, weight in weights.items() if number != gone}
        assert share(phone, left) == mine


# --- away, next -------------------------------------------------------------------------------


def test_one_that_is_away_is_passed_over_and_taken_when_all_are_away() -> None:
    rows = [_price(1, "0.01"), _price(2, "0.05")]
    assert _routes(Way(1, "smpp", away=True), Way(2, "smpp"), rows=rows).choose(PHONE, "bill") == 2
    both = _routes(Way(1, "smpp", away=True), Way(2, "smpp", away=True), rows=rows)
    assert both.choose(PHONE, "bill") == 1
    assert both.next(PHONE, "bill", {1}) is None, "nobody fails over to one that is away"
    assert both.shut == {1, 2}


def test_the_next_is_the_best_that_was_not_tried() -> None:
    rows = [_price(1, "0.01"), _price(2, "0.02"), _price(3, "0.03")]
    routes = _routes(*(Way(number, "smpp") for number in (1, 2, 3)), rows=rows)
    assert routes.next(PHONE, "bill", {1}) == 2
    assert routes.next(PHONE, "bill", {1, 2}) == 3
    assert routes.next(PHONE, "bill", {1, 2, 3}) is None


def test_a_category_with_a_budget_never_moves_to_a_dearer_gateway() -> None:
    rows = [_price(1, "0.02"), _price(2, "0.03"), _price(3, "0.02")]
    ways = [Way(number, "smpp") for number in (1, 2, 3)]
    routes = _routes(*ways, rows=rows, frugal="promotion")
    assert routes.next(PHONE, "promotion", {1}) == 3
    assert routes.next(PHONE, "promotion", {1, 3}) is None
    assert routes.next(PHONE, "bill", {1, 3}) == 2


# --- what a number tells ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phone", "network", "zone"),
    [
        ("+8613812345678", "China Mobile", "Asia/Shanghai"),
        ("+8612000000001", "+86", "Asia/Shanghai"),
        ("+12125550123", "+1", "America/New_York"),
        ("wang@example.org", "e-mail", "Asia/Shanghai"),
        ("", "", "Asia/Shanghai"),
    ],
)
def test_a_number_tells_network_and_zone(phone: str, network: str, zone: str) -> None:
    assert phones.network(phone) == network
    assert phones.zone(phone, "Asia/Shanghai") == zone
