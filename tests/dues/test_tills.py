from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from server.billing.models import Bill, LedgerLine
from server.billing.service import reconcile
from server.db import transaction
from server.dues.models import Allocation, BankRow
from server.dues.service import NewPayment, bank_files, receive, refunds, tills
from server.dues.service.reconcile import CHECKS
from server.errors import Conflict, Forbidden, Invalid
from tests.dues.world import CASHIER, CHIEF, actor, balance, bill, build, free_of, pay


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened
        assert {found.what for found in reconcile(opened, CHECKS)} <= {"bill.quantity"}


def ledger(session, name):
    debit, credit = session.execute(
        select(func.sum(LedgerLine.debit), func.sum(LedgerLine.credit)).where(
            LedgerLine.ledger == name
        )
    ).one()
    return (debit or 0) - (credit or 0)


def test_a_till_is_opened_with_change_and_closed_against_counted_cash(session):
    world = build(session)
    till = tills.add_till(session, actor(CHIEF), "1", "一号窗口")
    opened = tills.open_till(session, actor(), till.id, Decimal(200))
    with pytest.raises(Conflict):
        tills.open_till(session, actor(CHIEF), till.id, Decimal(0))
    pay(session, world, "150", till_session_id=opened.id)
    pay(session, world, "70", method="card", till_session_id=opened.id)
    assert tills.cash_of(session, opened).expected == 350
    with pytest.raises(Forbidden):
        tills.close_till(session, actor(CHIEF), opened.id, Decimal(350))
    with pytest.raises(Invalid) as refused:
        tills.close_till(session, actor(), opened.id, Decimal(345))
    assert refused.value.code == "till.reason"
    closed = tills.close_till(session, actor(), opened.id, Decimal(345), "wrong change")
    assert (closed.status, closed.difference) == ("closed", Decimal(-5))
    assert ledger(session, "cash.difference") == 5
    assert ledger(session, "cash.counter") == 145
    again = tills.open_till(session, actor(), till.id, Decimal(100))
    waiting = tills.close_till(session, actor(), again.id, Decimal(150), "found money")
    assert waiting.status == "counted"
    with pytest.raises(Forbidden):
        tills.approve_till(session, actor(), again.id)
    assert tills.approve_till(session, actor(CHIEF), again.id).status == "closed"
    assert ledger(session, "cash.difference") == -45


def test_cash_of_the_door_is_the_reps_until_he_hands_it_in(session):
    world = build(session)
    pay(session, world, "80", channel="field", staff_id=7)
    pay(session, world, "20", channel="field", staff_id=7)
    pay(session, world, "50", channel="field", method="wallet", staff_id=7)
    assert [amount for _, _, amount in tills.reps_with_cash(session)] == [Decimal(100)]
    assert ledger(session, "cash.field") == 100
    with pytest.raises(Conflict):
        tills.hand_in(session, actor(), 7, Decimal(100))
    till = tills.add_till(session, actor(), "1", "一号窗口")
    opened = tills.open_till(session, actor(), till.id, Decimal(0))
    with pytest.raises(Invalid):
        tills.hand_in(session, actor(), 7, Decimal(90))
    tills.hand_in(session, actor(), 7, Decimal(90), "lost a note")
    assert tills.reps_with_cash(session) == []
    assert tills.cash_of(session, opened).expected == 90
    assert ledger(session, "cash.field") == 0
    assert ledger(session, "cash.difference") == 10
    assert tills.reps_with_cash(session) == []


def test_credit_is_paid_back_and_above_the_limit_a_second_person_says_yes(session):
    world = build(session)
    bill(session, world, "100")
    receipt = pay(session, world, "901")  # 1.00 of late fee, 800 of credit
    account = world.accounts[0]
    with pytest.raises(Conflict) as refused:
        refunds.ask_refund(session, actor(), account, Decimal(801), "transfer", "moved away")
    assert refused.value.code == "refund.too_much"
    with pytest.raises(Conflict) as refused:
        refunds.ask_refund(session, actor(), account, Decimal(10), "cash", "moved away")
    assert refused.value.code == "till.none_open"
    small = refunds.ask_refund(session, actor(), account, Decimal(100), "transfer", "asked for it")
    assert (small.status, balance(session, world)) == ("paid", Decimal(700))
    large = refunds.ask_refund(session, actor(), account, Decimal(700), "transfer", "moved away")
    assert (large.status, balance(session, world)) == ("asked", Decimal(700))
    with pytest.raises(Forbidden):
        refunds.decide_refund(session, actor(CASHIER), large.id, yes=True)
    assert refunds.decide_refund(session, actor(CHIEF), large.id, yes=True).status == "paid"
    assert balance(session, world) == 0
    assert free_of(session, receipt.payment_id) == 0
    with pytest.raises(Conflict):
        refunds.decide_refund(session, actor(CHIEF), large.id, yes=True)


FILE = """流水号,户号,金额,日期,付款人,账单号
T1,10000000,100.00,2026-11-18,王,{no}
T2,10000001,40,2026-11-18,李,{other}
T1,10000000,100.00,2026-11-18,王,{no}
T1,10000000,99.00,2026-11-18,王,
T3,99999999,12.50,2026-11-18,无名,
T4,10000001,12x,2026-11-18,李,
"""


def test_a_bank_file_is_matched_once_and_goes_on_where_it_stopped(session, monkeypatch):
    world = build(session, 2)
    first = bill(session, world, "99")
    second = bill(session, world, "60", index=1)
    numbers = {
        "no": session.get_one(Bill, first).bill_no,
        "other": session.get_one(Bill, second).bill_no,
    }
    content = FILE.format(**numbers).encode("gb18030")
    file = bank_files.take_file(session, actor(), "bank.csv", content)
    with pytest.raises(Conflict) as refused:
        bank_files.take_file(session, actor(), "again.csv", content)
    assert refused.value.code == "bank_file.known"
    monkeypatch.setattr(bank_files, "SLICE", 2)
    done = []
    while count := bank_files.match_slice(session):
        session.expire_all()
        done.append(count)
    assert done == [2, 2, 1]
    report = session.execute(
        select(BankRow.outcome).where(BankRow.bank_file_id == file.id).order_by(BankRow.position)
    ).scalars()
    assert list(report) == [
        "matched",
        "wrong_amount",
        "duplicate",
        "conflict",
        "unknown_account",
        "invalid",
    ]
    assert file.finished_at is not None
    assert balance(session, world) == 0
    assert ledger(session, "suspense") == Decimal("-12.50")
    again = NewPayment("bank:T1", "bank", "transfer", Decimal(1), world.accounts[0])
    [receipt] = receive(session, [again], actor())
    assert receipt.problem == "payment.ref_reused"
    assert session.scalar(select(func.sum(Allocation.amount))) == 100 + 40
