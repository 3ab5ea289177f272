"""What happens at the same moment: on both databases, with threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from server.billing.service import reconcile
from server.billing.service.ledger import lock_accounts
from server.db import Session, carry_out, snapshot, transaction
from server.dues.models import Allocation, LateFee, Payment
from server.dues.service import (
    NewPayment,
    Receipt,
    cancel_bill,
    counter,
    receive_one,
    settle,
    tills,
)
from server.dues.service.reconcile import CHECKS
from server.errors import Conflict
from tests.dues.world import CHIEF, World, actor, balance, bill, build, open_of

T = TypeVar("T")
ZERO = Decimal(0)


@dataclass
class Indebted(World):
    """A company whose one account owes a bill."""

    bill: int = field(kw_only=True)


def together(app, *works: Callable[[Session], T]) -> list[T | str]:
    """Run each in its own transaction, all at once; what each returns, or the code of its conflict."""
    start = threading.Barrier(len(works))
    said: dict[int, T | str] = {}

    def run(place: int, work: Callable[[Session], T]) -> None:
        with app.app_context():
            start.wait(60)
            try:
                said[place] = carry_out(work, tries=5)
            except Conflict as error:
                said[place] = error.code

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [said[place] for place in range(len(works))]


def receipts_of(app, *works: Callable[[Session], Receipt]) -> list[Receipt]:
    """Run each as :func:`together` does, where none may be refused."""
    said = together(app, *works)
    receipts = [receipt for receipt in said if isinstance(receipt, Receipt)]
    assert len(receipts) == len(works), said
    return receipts


@pytest.fixture
def world(app):
    with app.app_context():
        with transaction() as session:
            made = build(session)
            indebted = Indebted(**vars(made), bill=bill(session, made, "1000"))
        yield indebted
        with snapshot() as session:
            assert {found.what for found in reconcile(session, CHECKS)} <= {"bill.quantity"}


def payment(world, ref, amount="1010"):
    return NewPayment(ref, "api", "wallet", Decimal(amount), world.accounts[0])


def test_two_clerks_who_take_money_for_one_bill_settle_it_once(app, world):
    with transaction() as session:
        line = counter.last_line(session, world.accounts[0])
        for number in (1, CHIEF):
            till = tills.add_till(session, actor(), str(number), "窗口")
            tills.open_till(session, actor(number), till.id, Decimal(0))

    def clerk(number):
        def work(session):
            who, account = actor(number), world.accounts[0]
            amount = Decimal(1010)
            key = f"form-{number}"
            return counter.take(session, who, account, amount, "cash", key, seen=line).receipt_no

        return work

    said = together(app, clerk(1), clerk(CHIEF))
    assert said.count("payment.account_moved") == 1
    with snapshot() as session:
        assert open_of(session, world.bill) == (ZERO, ZERO)
        assert balance(session, world) == 0
    # Without the look at what the page was made from, the second payment becomes credit.
    receipts = receipts_of(
        app,
        *(lambda s, ref=ref: receive_one(s, payment(world, ref), actor()) for ref in ("a", "b")),
    )
    assert len({receipt.receipt_no for receipt in receipts}) == 2
    with snapshot() as session:
        assert balance(session, world) == 2020


def test_the_same_reference_told_twice_at_once_is_one_payment(app, world):
    def work(session):
        return receive_one(session, payment(world, "same"), actor())

    first, second = receipts_of(app, work, work)
    assert first.receipt_no == second.receipt_no
    assert {first.replayed, second.replayed} == {True, False}
    with snapshot() as session:
        assert session.scalar(select(func.count(Payment.id))) == 1


def test_a_payment_and_a_bill_at_once_leave_the_same_books_whoever_comes_first(app, world):
    def issue(session):
        lock_accounts(session, world.accounts)
        number = bill(session, world, "200", due=date(2026, 12, 10))
        settle(session, world.accounts)
        return number

    number, _ = together(app, issue, lambda s: receive_one(s, payment(world, "p", "1300"), actor()))
    assert isinstance(number, int), number
    with snapshot() as session:
        assert open_of(session, world.bill) == (ZERO, ZERO)
        assert open_of(session, number) == (ZERO, ZERO)
        assert balance(session, world) == 90


def test_a_bill_cancelled_while_its_late_fee_is_computed_keeps_no_fee(app, world):
    together(
        app,
        lambda s: cancel_bill(s, actor(), world.bill, "misread"),
        lambda s: receive_one(s, payment(world, "p"), actor()),
    )
    with snapshot() as session:
        assert session.scalar(select(func.sum(LateFee.amount))) in (None, 0)
        assert session.scalar(select(func.sum(Allocation.amount))) in (None, 0)
        assert balance(session, world) == 1010
