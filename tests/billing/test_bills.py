from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DatabaseError

from server import clock
from server.accounts.models import Account, Contact
from server.billing.models import (
    AccountBalance,
    Bill,
    BillLine,
    Journal,
    LedgerLine,
    TariffVersion,
    UsageYear,
)
from server.billing.rules.classes import BillingRules, ClassRule
from server.billing.service import (
    OpeningBalance,
    bill_judged,
    bill_points,
    post_opening_balance,
    post_opening_usage,
    put_tariff,
    read_tariff_file,
    reconcile,
)
from server.billing.service.tariffs import SHIPPED
from server.db import transaction
from server.errors import Conflict, Invalid
from server.metering.models import Consumption, Reading
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service import open_orders, record
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from tests.metering.world import DUE, NOW, build, october, rows, statements

WIDE = LimitBook(CheckLimits(slack=Decimal(100_000)))


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


def read_and_bill(session, world, value, at=NOW, **more):
    return bill_judged(session, record(session, [world.capture(0, value, at, **more)], WIDE))


def test_a_reading_of_a_read_and_bill_route_becomes_a_bill_a_journal_and_a_notice(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    (bill,) = read_and_bill(session, world, 1230)
    (row,) = rows(session, Bill)
    assert (bill.total, bill.quantity, bill.balance_after) == (
        Decimal("123.74"),
        Decimal(230),
        Decimal("-123.74"),
    )
    assert (row.period, row.period_from, row.period_to) == (
        "2026-10",
        date(2026, 10, 1),
        date(2026, 10, 31),
    )
    assert (row.bill_no, row.due) == (f"202610{row.id:09d}", date(2026, 11, 15))
    (line,) = rows(session, BillLine)
    assert (line.quantity, line.price, line.amount) == (230, Decimal("0.538"), Decimal("123.74"))
    assert (line.reading_from, line.reading_to, line.cumulative_before) == (1000, 1230, 0)
    (journal,) = rows(session, Journal)
    assert journal.source_key == f"bill:{row.id}"
    sides = {(li.ledger, li.debit, li.credit) for li in rows(session, LedgerLine)}
    assert sides == {
        ("receivable", Decimal("123.74"), 0),
        ("revenue.energy", 0, Decimal("123.74")),
    }
    (balance,) = rows(session, AccountBalance)
    assert (balance.balance, balance.unit) == (Decimal("-123.74"), "CNY")
    (year,) = rows(session, UsageYear)
    assert (year.year, year.quantity) == (2026, 230)
    (message,) = rows(session, OutboxMessage)
    assert message.key == f"bill.issued:{row.id}:+8612000000000"
    assert "123.74" in message.text
    assert reconcile(session) == []


def test_a_route_that_does_not_bill_at_once_leaves_the_use_unbilled(session):
    world = build(session, read_and_bill=False)
    assert read_and_bill(session, world, 1230) == []
    assert rows(session, Bill) == []
    assert [bill.total for bill in bill_points(session, world.points)] == [Decimal("123.74")]


@pytest.mark.parametrize("case", ["held", "interim"])
def test_what_is_held_or_read_without_billing_is_not_billed(session, case):
    world = build(session)
    more = {"reason": "09"} if case == "interim" else {}
    assert read_and_bill(session, world, 900 if case == "held" else 1100, **more) == []
    assert rows(session, Bill) == []


def test_a_use_is_billed_once(session):
    world = build(session)
    read_and_bill(session, world, 1230)
    assert bill_points(session, world.points) == []
    assert len(rows(session, Journal)) == 1


def test_uses_left_over_from_interim_readings_are_on_the_next_bill(session):
    world = build(session)
    read_and_bill(session, world, 1100, october(15), reason="09")
    (bill,) = read_and_bill(session, world, 1230)
    assert (bill.quantity, bill.total) == (Decimal(230), Decimal("123.74"))
    (line,) = rows(session, BillLine)
    assert (line.reading_from, line.reading_to) == (1000, 1230)
    assert {use.bill_id for use in rows(session, Consumption)} == {bill.id}


def test_the_tiers_are_filled_by_the_year_so_far(session):
    world = build(session)
    post_opening_usage(session, {(world.accounts[0], 2026): Decimal(2700)})
    (bill,) = read_and_bill(session, world, 1200)
    assert bill.total == Decimal("114.60")
    assert [line.quantity for line in rows(session, BillLine)] == [60, 140]
    assert [line.cumulative_before for line in rows(session, BillLine)] == [2700, 2760]
    assert rows(session, UsageYear)[0].quantity == 2900
    assert reconcile(session) == []


def test_a_use_across_new_year_fills_the_tiers_of_both_years(session):
    world = build(session)
    read_and_bill(session, world, 1000, datetime(2026, 10, 31, 2, tzinfo=UTC))
    clock.set(datetime(2027, 1, 31, 3, tzinfo=UTC))
    (bill,) = read_and_bill(session, world, 1920, datetime(2027, 1, 31, 2, tzinfo=UTC))
    assert bill.quantity == 920
    years = {row.year: row.quantity for row in rows(session, UsageYear)}
    assert years == {2026: 610, 2027: 310}
    assert reconcile(session) == []


def test_an_account_in_credit_gets_a_bill_and_no_notice(session):
    world = build(session)
    post_opening_balance(session, [OpeningBalance(world.accounts[0], Decimal("123.74"))])
    (bill,) = read_and_bill(session, world, 1230)
    assert bill.balance_after == 0
    assert rows(session, OutboxMessage) == []
    assert reconcile(session) == []


def test_the_rule_of_the_class_decides_about_due_date_and_notice(session):
    world = build(session)
    rules = BillingRules(by_class={"residential": ClassRule(due_days=30, notice_below=None)})
    judged = record(session, [world.capture(0, 1230)])
    (bill,) = bill_judged(session, judged, rules)
    assert bill.due == date(2026, 11, 30)
    assert rows(session, OutboxMessage) == []


def test_every_default_contact_with_a_phone_gets_one_notice(session):
    world = build(session)
    customer = rows(session, Account)[0].customer_id
    more = [("+8612000009998", True), ("+8612000009997", False), (None, True)]
    for phone, is_default in more:
        session.add(Contact(customer_id=customer, name="x", phone=phone, is_default=is_default))
    session.flush()
    read_and_bill(session, world, 1230)
    phones = {message.phone for message in rows(session, OutboxMessage)}
    assert phones == {"+8612000000000", "+8612000009998"}


def test_an_account_without_a_valid_tariff_is_reviewed_and_its_neighbours_are_billed(session):
    world = build(session, points=2)
    session.execute(
        update(Account).where(Account.id == world.accounts[0]).values(tariff_code="none")
    )
    judged = record(session, [world.capture(0, 1230), world.capture(1, 1230)])
    issued = bill_judged(session, judged)
    assert [bill.account_id for bill in issued] == [world.accounts[1]]
    (item,) = rows(session, ReviewItem)
    assert (item.reason, item.subject_id) == ("billing.no_tariff", str(world.accounts[0]))


def test_an_estimate_that_was_too_high_is_credited_and_the_year_is_right(session):
    world = build(session)
    read_and_bill(session, world, 1300, october(15), quality="office_estimate", source="office")
    judged = record(session, [world.capture(0, 1250)])
    assert (judged[0].verdict, judged[0].code) == ("held", "reading.below_previous")


def test_the_version_of_the_read_date_is_charged(session):
    world = build(session)
    new = read_tariff_file(SHIPPED / "zhejiang-residential.yaml")
    definition = {
        "currency": "CNY",
        "components": [{"code": "energy", "basis": "calendar_year", "price": "1"}],
    }
    put_tariff(session, new | {"valid_from": "2026-11-01", "definition": definition})
    read_and_bill(session, world, 1100)
    clock.set(datetime(2026, 11, 30, 3, tzinfo=UTC))
    read_and_bill(session, world, 1200, datetime(2026, 11, 30, 2, tzinfo=UTC))
    assert [bill.total for bill in rows(session, Bill)] == [Decimal("53.80"), Decimal(100)]
    first, second = rows(session, TariffVersion)
    assert (first.valid_to, second.valid_to) == (date(2026, 10, 31), None)


def test_the_same_tariff_version_again_is_harmless_and_another_one_is_refused(session):
    build(session)
    shipped = read_tariff_file(SHIPPED / "zhejiang-residential.yaml")
    assert put_tariff(session, shipped) == rows(session, TariffVersion)[0].id
    other = {"currency": "CNY", "components": [{"code": "energy", "price": "1"}]}
    with pytest.raises(Conflict) as caught:
        put_tariff(session, shipped | {"definition": other})
    assert caught.value.code == "tariff.version_exists"
    with pytest.raises(Invalid) as caught_too:
        put_tariff(session, shipped | {"definition": {"currency": "CNY"}})
    assert caught_too.value.code == "tariff.invalid"


def test_an_opening_balance_is_posted_once_for_ever(session):
    world = build(session, points=3)
    amounts = [Decimal("12.50"), Decimal("-7.25"), Decimal(0)]
    given = [OpeningBalance(a, m) for a, m in zip(world.accounts, amounts, strict=True)]
    assert post_opening_balance(session, given) == 3
    assert post_opening_balance(session, given) == 0
    assert [row.balance for row in rows(session, AccountBalance)] == amounts
    assert reconcile(session) == []


def test_opening_usage_set_again_corrects_it(session):
    world = build(session)
    key = (world.accounts[0], 2026)
    post_opening_usage(session, {key: Decimal(2700)})
    read_and_bill(session, world, 1100)
    post_opening_usage(session, {key: Decimal(2600)})
    (year,) = rows(session, UsageYear)
    assert (year.opening, year.quantity) == (2600, 2700)
    assert reconcile(session) == []


def test_the_statements_of_an_issue_do_not_grow_with_the_bills(session):
    world = build(session, points=60)
    session.flush()
    counts = []
    for part in (
        range(1),
        range(1, 4),
        range(4, 54),
    ):  # the first fills what is kept by the process
        judged = record(session, [world.capture(i, 1230) for i in part])
        with statements() as sent:
            assert len(bill_judged(session, judged)) == len(part)
        counts.append(len(sent))
    assert counts[1] == counts[2] <= 20
    assert reconcile(session) == []


def test_reconcile_says_where_the_books_differ(session):
    world = build(session, points=3)
    judged = record(session, [world.capture(i, 1230) for i in range(3)])
    bills = bill_judged(session, judged)
    first, second, third = world.accounts
    session.execute(
        update(AccountBalance)
        .where(AccountBalance.account_id == first)
        .values(balance=Decimal(-1), last_line_id=1)
    )
    session.execute(delete(AccountBalance).where(AccountBalance.account_id == second))
    session.execute(
        update(UsageYear).where(UsageYear.account_id == third).values(quantity=Decimal(5))
    )
    session.add(
        LedgerLine(
            journal_id=rows(session, Journal)[0].id,
            ledger="late_fee",
            unit="CNY",
            debit=Decimal(1),
        )
    )
    session.execute(
        update(Consumption).where(Consumption.bill_id == bills[0].id).values(bill_id=None)
    )
    session.flush()
    found = {(d.what, d.subject.split()[1]) for d in reconcile(session)}
    assert {
        ("balance", str(first)),
        ("balance", str(second)),
        ("usage_year", str(third)),
        ("journal.unbalanced", str(rows(session, Journal)[0].id)),
        ("bill.quantity", bills[0].bill_no),
    } <= found


def test_reconcile_says_which_use_lies_between_readings_that_do_not_count(session):
    world = build(session, points=2)
    bill_judged(session, record(session, [world.capture(i, 1230) for i in range(2)]))
    wrong, doubled = sorted(rows(session, Consumption), key=lambda use: use.service_point_id)
    session.execute(
        update(Reading).where(Reading.id == wrong.reading_id).values(status="superseded")
    )
    session.execute(
        insert(Consumption).values(
            service_point_id=doubled.service_point_id,
            account_id=doubled.account_id,
            register_kind="total",
            reading_id=doubled.previous_reading_id,
            previous_reading_id=doubled.previous_reading_id,
            from_at=doubled.from_at,
            to_at=doubled.to_at,
            quantity=Decimal(1),
            method="difference",
            status="active",
        )
    )
    found = [(d.what, d.subject) for d in reconcile(session)]
    assert ("use", f"use {wrong.id}") in found
    assert ("use.twice", f"reading {doubled.previous_reading_id}") in found


@pytest.mark.parametrize("table", [Bill, BillLine, Journal, LedgerLine])
def test_what_has_been_posted_cannot_be_changed_or_deleted(app, table):
    with app.app_context(), transaction() as session:
        world = build(session)
        read_and_bill(session, world, 1230)
    columns: dict[type, dict[str, Any]] = {
        Bill: {"total": Decimal(1)},
        BillLine: {"amount": Decimal(1)},
        Journal: {"source_key": "other"},
        LedgerLine: {"debit": Decimal(1), "credit": Decimal(0)},
    }
    for statement in (update(table).values(**columns[table]), delete(table)):
        with (
            pytest.raises(DatabaseError, match=r"append-only|FOREIGN KEY|foreign key"),
            app.app_context(),
            transaction() as session,
        ):
            session.execute(statement)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_any_split_of_a_year_bills_its_whole_quantity_and_the_books_agree(app, steps):
    with app.app_context(), transaction() as session:
        world = build(session, digits=6)
        value, issued = 1000, []
        for day, step in enumerate(steps, start=1):
            value += step
            issued += read_and_bill(session, world, value, october(day))
        assert sum(bill.quantity for bill in issued) == sum(steps)
        assert rows(session, UsageYear)[0].quantity == sum(steps)
        assert reconcile(session) == []
        session.rollback()
