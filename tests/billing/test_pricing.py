"""Bills by every kind of tariff, from readings to stored lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from server.accounts.models import Account
from server.billing.models import Bill, BillLine, TariffVersion, UsageYear
from server.billing.rules.tariff import parse
from server.billing.rules.tariff.money import round_line
from server.billing.service import (
    bill_judged,
    post_opening_usage,
    put_tariff,
    read_tariff_file,
    reconcile,
)
from server.billing.service.tariffs import SHIPPED
from server.db import Session, transaction
from server.errors import Invalid
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service import DialEntry, record
from server.review import ReviewItem
from tests.metering.world import World, build, rows

WIDE = LimitBook(CheckLimits(slack=Decimal(100_000)))


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context(), transaction() as opened:
        yield opened


def use(
    session: Session, world: World, code: str, *versions: dict[str, Any], **account: Any
) -> None:
    """Give the account a tariff with these versions."""
    body = {"currency": "CNY"}
    dated = [{"valid_from": each.pop("valid_from"), "definition": body | each} for each in versions]
    if dated:
        put_tariff(session, {"code": code, "name": code, "versions": dated})
    session.execute(
        update(Account).where(Account.id == world.accounts[0]).values(tariff_code=code, **account)
    )


def read(session: Session, world: World, **registers: int) -> Any:
    entries = tuple(DialEntry(kind, Decimal(value)) for kind, value in registers.items())
    (judged,) = record(session, [world.capture(0, 0, registers=entries)], WIDE)
    return bill_judged(session, [judged])


def computed_again(session: Session) -> Decimal:
    """The total of the stored lines by the rounding of their tariff."""
    versions = {row.id: parse(row.definition) for row in rows(session, TariffVersion)}
    lines = rows(session, BillLine)
    for line in lines:
        rounding = versions[line.tariff_version_id].rounding
        assert line.amount == round_line(line.quantity * line.price, rounding)
    return sum((line.amount for line in lines), Decimal(0))


def test_a_price_that_changes_within_the_period_is_split_and_every_line_says_its_version(session):
    world = build(session)
    fixed = {"code": "grid", "kind": "fixed", "price": "0.31", "per": "day"}
    vat = {"code": "vat", "kind": "tax", "percent": "13"}
    tiers = [{"up_to": 100, "price": "0.5"}, {"price": "0.7"}]
    energy = {"code": "energy", "basis": "calendar_year", "tiers": tiers}
    dearer = {**energy, "tiers": [{"up_to": 200, "price": "0.6"}, {"price": "0.9"}]}
    use(
        session,
        world,
        "changing",
        {"valid_from": "2026-01-01", "components": [energy, fixed, vat]},
        {"valid_from": "2026-10-12", "components": [dearer, fixed, vat]},
    )
    post_opening_usage(session, {(world.accounts[0], 2026): Decimal(50)})
    (issued,) = read(session, world, total=1310)
    (bill,) = rows(session, Bill)
    first, second = rows(session, TariffVersion)[-2:]
    assert [
        (li.component, li.kind, li.tariff_version_id, li.days, li.quantity, li.cumulative_before)
        for li in rows(session, BillLine)
    ] == [
        ("energy", "energy", first.id, 11, 50, 50),
        ("energy", "energy", first.id, 11, 60, 100),
        ("grid", "fixed", first.id, 11, 11, 0),
        ("vat", "tax", first.id, 11, Decimal("70.41"), 0),
        ("energy", "energy", second.id, 20, 40, 160),
        ("energy", "energy", second.id, 20, 160, 200),
        ("grid", "fixed", second.id, 20, 20, 0),
        ("vat", "tax", second.id, 20, Decimal("174.20"), 0),
    ]
    assert issued.quantity == 310
    assert bill.tariff_version_id == second.id
    assert computed_again(session) == bill.total == Decimal("276.41")
    assert rows(session, UsageYear)[0].quantity == 360
    assert reconcile(session) == []


def test_time_of_use_fills_the_year_s_tiers_with_all_registers(session):
    world = build(session, kinds=("total", "peak", "valley"))
    put_tariff(session, read_tariff_file(SHIPPED / "zhejiang-residential-tou.yaml"))
    use(session, world, "zhejiang-residential-tou")
    post_opening_usage(session, {(world.accounts[0], 2026): Decimal(2700)})
    (issued,) = read(session, world, total=1200, peak=1120, valley=1080)
    assert issued.quantity == 200
    assert computed_again(session) == issued.total == Decimal("98.20")
    assert {row.year: row.quantity for row in rows(session, UsageYear)} == {2026: 2900}
    assert reconcile(session) == []


def test_a_large_new_household_gets_its_allowance_and_its_part_of_the_year(session):
    world = build(session)
    energy = {
        "code": "energy",
        "basis": "calendar_year",
        "new_account": "twelfths",
        "allowances": [{"persons": 5, "add": 1200}],
        "tiers": [{"up_to": 1200, "price": "0.5"}, {"price": "1"}],
    }
    given = {"household": 6, "supplied_since": date(2026, 9, 8)}
    use(session, world, "families", {"valid_from": "2026-01-01", "components": [energy]}, **given)
    (issued,) = read(session, world, total=2000)
    assert [line.quantity for line in rows(session, BillLine)] == [800, 200]
    assert issued.total == Decimal("600.00")


def test_a_tariff_without_a_price_for_the_class_is_reviewed(session):
    world = build(session)
    shop = {"code": "energy", "price": "1", "classes": "commercial"}
    use(session, world, "shops", {"valid_from": "2026-01-01", "components": [shop]})
    assert read(session, world, total=1100) == []
    assert [item.reason for item in rows(session, ReviewItem)] == ["billing.no_tariff"]


def test_a_tariff_in_another_currency_is_refused(session):
    build(session)
    with pytest.raises(Invalid) as caught:
        put_tariff(session, read_tariff_file(SHIPPED / "taiwan-residential.yaml"))
    assert caught.value.code == "tariff.currency"


def test_the_sum_alone_is_rounded_when_the_tariff_says_so(session):
    world = build(session)
    rounding = {"order": "sum_then_round", "exponent": 1, "mode": "down"}
    energy = {"code": "energy", "price": "0.5381"}
    version = {"valid_from": "2026-01-01", "rounding": rounding, "components": [energy]}
    use(session, world, "coarse", version)
    (issued,) = read(session, world, total=1103)
    assert issued.total == Decimal("55.4")
    assert [(li.component, li.amount) for li in rows(session, BillLine)] == [
        ("energy", Decimal("55.4243")),
        ("rounding", Decimal("-0.0243")),
    ]
    assert computed_again(session) == issued.total
    assert reconcile(session) == []
