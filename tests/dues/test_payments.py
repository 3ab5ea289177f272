from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from server import clock
from server.billing.models import Bill, Journal
from server.billing.service import OpeningBalance, post_opening_balance, reconcile
from server.db import transaction
from server.dues.models import Allocation, LateFee, Payment
from server.dues.service import (
    NewPayment,
    assign,
    cancel_bill,
    credit_bill,
    receive,
    reverse_payment,
    settle,
)
from server.dues.service.reconcile import CHECKS
from server.errors import Conflict, Invalid
from server.notify.models import OutboxMessage
from tests.dues.world import NOW, actor, balance, bill, build, free_of, open_of, pay
from tests.metering.world import statements

ZERO = Decimal(0)
EARLY = datetime(2026, 11, 5, 2, tzinfo=UTC)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened
        # Bills of the world charge for no readings.
        assert {found.what for found in reconcile(opened, CHECKS)} <= {"bill.quantity"}


def test_a_payment_settles_the_oldest_bill_first_and_the_rest_is_credit(session):
    world = build(session)
    clock.set(EARLY)
    newer = bill(session, world, "80", due=date(2026, 12, 10))
    older = bill(session, world, "50")
    receipt = pay(session, world, "150")
    assert {(p.bill_id, p.part, p.amount) for p in receipt.settled} == {
        (older, "principal", Decimal(50)),
        (newer, "principal", Decimal(80)),
    }
    assert receipt.credit == 20
    assert balance(session, world) == 20
    third = bill(session, world, "15", due=date(2026, 12, 20), issued_at=NOW)
    settle(session, world.accounts)
    assert open_of(session, third) == (ZERO, ZERO)
    assert free_of(session, receipt.payment_id) == 5


def test_the_bill_the_payer_names_is_settled_before_older_ones(session):
    world = build(session)
    clock.set(EARLY)
    older, newer = bill(session, world, "50"), bill(session, world, "80", due=date(2026, 12, 1))
    pay(session, world, "90", bill_id=newer)
    assert (open_of(session, older)[0], open_of(session, newer)[0]) == (Decimal(40), ZERO)


def test_the_same_reference_is_one_payment_one_journal_and_one_notice(session):
    world = build(session)
    bill(session, world, "100")
    first = pay(session, world, "60", "bank-1")
    again = pay(session, world, "60.00", "bank-1")
    assert again.replayed
    assert not first.replayed
    assert (again.receipt_no, again.settled) == (first.receipt_no, first.settled)
    with pytest.raises(Conflict) as refused:
        pay(session, world, "61", "bank-1")
    assert refused.value.code == "payment.ref_reused"
    assert session.scalar(select(func.count()).where(Journal.kind == "payment")) == 1
    texts = session.scalars(
        select(OutboxMessage.text).where(OutboxMessage.event == "payment.received")
    ).all()
    assert len(texts) == 1
    assert "已交费60.00元" in texts[0]


def test_a_late_fee_is_charged_when_the_debt_is_paid_and_not_before(session):
    world = build(session)
    late = bill(session, world, "1000")
    assert balance(session, world) == -1000
    receipt = pay(session, world, "1010")
    assert [(p.part, p.amount) for p in receipt.settled] == [
        ("fee", Decimal(10)),
        ("principal", Decimal(1000)),
    ]
    assert balance(session, world) == 0
    assert open_of(session, late) == (ZERO, ZERO)
    (fee,) = session.scalars(select(LateFee)).all()
    assert fee.detail == [
        {
            "principal": "1000.0000",
            "from": "2026-11-10",
            "to": "2026-11-20",
            "days": 10,
            "rate": "0.001",
        }
    ]


def test_a_debt_paid_in_two_parts_pays_the_fee_of_each_days_principal(session):
    world = build(session)
    late = bill(session, world, "1000")
    pay(session, world, "510")  # 10 of fee for ten days, 500 of principal
    assert open_of(session, late) == (Decimal(500), ZERO)
    clock.set(NOW + timedelta(days=10))
    pay(session, world, "505")
    assert open_of(session, late) == (ZERO, ZERO)
    assert balance(session, world) == 0


def test_a_payment_of_the_door_that_comes_late_makes_the_fee_what_it_should_have_been(session):
    world = build(session)
    late = bill(session, world, "1000")
    pay(session, world, "510")
    before = session.scalar(select(func.sum(LateFee.amount)))
    assert before == 10
    door = datetime(2026, 11, 11, 2, tzinfo=UTC)
    pay(session, world, "400", "door-1", channel="field", said_at=door)
    # The door's 400 paid 1.00 of fee and 399 of principal: 399 for one day, 601 for ten.
    assert session.scalar(select(func.sum(LateFee.amount))) == Decimal("6.41")
    principal, fee = open_of(session, late)
    assert fee == 0
    assert balance(session, world) == -principal


def test_a_reversed_payment_opens_the_bill_again_as_if_it_had_never_been_made(session):
    world = build(session)
    late = bill(session, world, "1000")
    receipt = pay(session, world, "1010", method="cheque")
    reverse_payment(session, actor(), receipt.payment_id, "退票")
    assert open_of(session, late)[0] == 1000
    with pytest.raises(Conflict):
        reverse_payment(session, actor(), receipt.payment_id, "退票")
    clock.set(NOW + timedelta(days=5))
    pay(session, world, "1015")
    assert open_of(session, late) == (ZERO, ZERO)
    assert balance(session, world) == 0


def test_a_cancelled_bill_gives_back_what_was_paid_and_its_late_fee(session):
    world = build(session)
    wrong, right = bill(session, world, "1000"), bill(session, world, "300", due=date(2026, 12, 9))
    receipt = pay(session, world, "1010")
    assert open_of(session, right) == (Decimal(300), ZERO)
    cancel_bill(session, actor(), wrong, "misread")
    assert open_of(session, right) == (ZERO, ZERO)
    assert free_of(session, receipt.payment_id) == 710
    assert balance(session, world) == 710
    assert session.scalar(select(func.sum(LateFee.amount))) == 0


def test_a_credit_note_on_a_paid_bill_makes_credit_and_takes_the_fee_down(session):
    world = build(session)
    late = bill(session, world, "1000")
    receipt = pay(session, world, "1010")
    credit_bill(session, actor(), late, Decimal(400), "half of it was not ours")
    settled = session.scalar(select(func.sum(Allocation.amount)).where(Allocation.bill_id == late))
    assert settled == 606
    assert free_of(session, receipt.payment_id) == 404
    assert balance(session, world) == 404


def test_money_for_an_unknown_account_waits_in_suspense_until_it_is_assigned(session):
    world = build(session)
    owed = bill(session, world, "100", due=date(2026, 12, 1))
    unknown = NewPayment("bank-9", "bank", "transfer", Decimal(100), None, "99999999")
    [receipt] = receive(session, [unknown], actor())
    assert receipt.status == "suspense"
    with pytest.raises(Invalid):
        assign(session, actor(), receipt.payment_id, world.accounts[0], " ")
    assign(session, actor(), receipt.payment_id, world.accounts[0], "two digits swapped")
    assert open_of(session, owed) == (ZERO, ZERO)
    assert balance(session, world) == 0
    with pytest.raises(Conflict):
        assign(session, actor(), receipt.payment_id, world.accounts[0], "again")
    assert session.get_one(Payment, receipt.payment_id).status == "received"


def test_debt_from_before_this_system_is_settled_before_bills_without_one(session):
    world = build(session)
    post_opening_balance(session, [OpeningBalance(world.accounts[0], Decimal(-30))])
    owed = bill(session, world, "100", due=date(2026, 12, 1))
    receipt = pay(session, world, "50")
    assert open_of(session, owed)[0] == 80
    assert (receipt.credit, receipt.earlier) == (ZERO, Decimal(30))
    assert balance(session, world) == -80


def test_a_batch_of_payments_costs_as_many_statements_as_one(session):
    world = build(session, 12)
    for index in range(12):
        bill(session, world, "100", index=index)

    def batch(first, last):
        return [
            NewPayment(f"b{n}", "bank", "transfer", Decimal(101), world.accounts[n], None)
            for n in range(first, last)
        ]

    receive(session, batch(0, 1), actor())  # what is read once in a transaction
    with statements() as one:
        receive(session, batch(1, 2), actor())
    with statements() as ten:
        receive(session, batch(2, 12), actor())
    assert len(ten) <= len(one) + 1
    assert session.scalar(select(func.count(Bill.id))) == 12
