from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from server import clock
from server.billing.models import AccountBalance, Bill, BillLine, Journal, UsageYear
from server.billing.service import post_opening_usage, reconcile
from server.billing.service.corrections import cancel_bill, credit, decide
from server.db import transaction
from server.errors import Conflict, Forbidden, Invalid
from server.identity.actor import SYSTEM, Actor
from server.metering.models import Consumption
from server.review import ReviewItem
from tests.billing.test_bills import read_and_bill
from tests.metering.world import NOW, build, rows

NOVEMBER = datetime(2026, 11, 30, 3, tzinfo=UTC)
RIGHTS = {("bills", "cancel"): "all"}
CLERK = Actor(kind="staff", id=1, name="开票员", staff_id=1, rights=RIGHTS)
OTHER = Actor(kind="staff", id=2, name="主管", staff_id=2, rights=RIGHTS)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


def balance(session):
    return session.scalar(select(AccountBalance.balance).execution_options(populate_existing=True))


def used(session):
    return session.scalar(select(UsageYear.quantity))


def test_a_cancelled_bill_leaves_a_mirror_and_everything_else_as_it_was(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    done = cancel_bill(session, CLERK, bill.id, "misread")
    assert done.cancelled == (bill.id,)
    old, note = rows(session, Bill)
    assert (old.status, note.kind, note.cancels_id) == ("cancelled", "cancellation", bill.id)
    assert (note.total, note.quantity, note.reason) == (-old.total, -old.quantity, "misread")
    assert [line.amount for line in rows(session, BillLine)] == [
        Decimal("123.74"),
        Decimal("-123.74"),
    ]
    first, mirror = rows(session, Journal)
    assert mirror.reverses_id == first.id
    assert (balance(session), used(session)) == (0, 0)
    assert {use.bill_id for use in rows(session, Consumption)} == {None}
    assert reconcile(session) == []


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    before=st.sampled_from([0, 2500, 2700, 4600]),
    uses=st.lists(st.integers(0, 400), min_size=1, max_size=4),
    data=st.data(),
)
def test_r17_cancelling_and_billing_again_restores_the_year_and_every_cent(app, before, uses, data):
    with app.app_context(), transaction() as session:
        try:
            _cancel_and_bill_again(session, before, uses, data)
        finally:
            session.rollback()


def _cancel_and_bill_again(session, before, uses, data):
    world = build(session)
    post_opening_usage(session, {(world.accounts[0], 2026): Decimal(before)})
    value, bills = 1000, []
    for month, use in enumerate(uses):
        value += use
        at = datetime(2026, 5 + month, 28, 3, tzinfo=UTC)
        at = max(at, NOW.replace(day=1 + month))
        clock.set(NOW)
        bills += read_and_bill(session, world, value, at, reason="02")
    owed, year = balance(session), used(session)
    totals = [bill.total for bill in bills]
    chosen = data.draw(st.integers(0, len(bills) - 1))
    done = cancel_bill(session, CLERK, bills[chosen].id, "again", again=True)
    assert [bill.total for bill in done.issued] == totals[chosen:]
    assert (balance(session), used(session)) == (owed, year)
    assert reconcile(session) == []


def test_bills_that_stand_on_a_cancelled_one_go_with_it_and_are_charged_by_the_right_tiers(session):
    world = build(session)
    post_opening_usage(session, {(world.accounts[0], 2026): Decimal(2660)})
    first = read_and_bill(session, world, 1100)[0]
    clock.set(NOVEMBER)
    second = read_and_bill(session, world, 1300, NOVEMBER, reason="02")[0]
    done = cancel_bill(session, CLERK, first.id, "again", again=True)
    assert done.cancelled == (second.id, first.id)
    assert [bill.total for bill in done.issued] == [first.total, second.total]
    replaced = {bill.replaces_id for bill in rows(session, Bill) if bill.replaces_id}
    assert replaced == {first.id, second.id}
    assert reconcile(session) == []


def test_a_bill_is_cancelled_once_and_a_cancellation_never(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    (note,) = cancel_bill(session, CLERK, bill.id, "misread").notes
    for number in (bill.id, note):
        with pytest.raises(Conflict, match="cannot be cancelled"):
            cancel_bill(session, CLERK, number, "again")


def test_above_the_limit_a_second_person_decides(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    for _ in range(2):
        assert cancel_bill(session, CLERK, bill.id, "misread", limit=Decimal(100)).waits
    (item,) = rows(session, ReviewItem)
    assert (item.kind, item.reason) == ("bill_correction", "bill.cancel_above_limit")
    assert rows(session, Bill)[0].status == "issued"
    with pytest.raises(Forbidden, match="Somebody else"):
        decide(session, CLERK, item.id, "yes")
    assert decide(session, OTHER, item.id, "seen the photo").cancelled == (bill.id,)
    assert rows(session, Bill)[0].status == "cancelled"
    assert rows(session, ReviewItem)[0].status == "released"


def test_credit_notes_never_exceed_the_bill(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    credit(session, CLERK, bill.id, Decimal("100.00"), "goodwill")
    with pytest.raises(Conflict, match="more than is left"):
        credit(session, CLERK, bill.id, Decimal("23.75"), "goodwill")
    credit(session, CLERK, bill.id, Decimal("23.74"), "goodwill")
    assert balance(session) == 0
    assert used(session) == 230
    assert reconcile(session) == []


def test_a_bill_is_taken_back_with_the_notes_on_it_and_not_a_cent_more(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    credit(session, CLERK, bill.id, Decimal("23.74"), "goodwill")
    assert len(cancel_bill(session, CLERK, bill.id, "misread").notes) == 2
    assert (balance(session), used(session)) == (0, 0)
    assert reconcile(session) == []


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_correction_needs_a_reason_and_the_right(session, reason):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    with pytest.raises(Invalid, match="reason"):
        cancel_bill(session, CLERK, bill.id, reason)
    with pytest.raises(Invalid, match="above zero"):
        credit(session, SYSTEM, bill.id, Decimal(-1), "x")
    with pytest.raises(Forbidden):
        cancel_bill(session, Actor(kind="staff", id=3, name="抄表员", staff_id=3), bill.id, "x")


def test_reconcile_finds_a_bill_that_is_cancelled_without_a_cancellation(session):
    world = build(session)
    (bill,) = read_and_bill(session, world, 1230)
    session.execute(update(Bill).where(Bill.id == bill.id).values(status="cancelled"))
    assert "bill.cancellation" in {found.what for found in reconcile(session)}
