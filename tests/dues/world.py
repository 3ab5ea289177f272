"""A small company with accounts and bills of round amounts, without meters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server import clock, operator
from server.accounts.models import Account, Contact, Customer
from server.billing.models import Bill, BillLine, Tariff, TariffVersion
from server.billing.rules.chart import RECEIVABLE, REVENUE_ENERGY
from server.billing.service.ledger import Entry, Posting, balances, lock_accounts, post
from server.db import Session
from server.dues.models import Allocation, LateFee, Payment
from server.dues.service import NewPayment, Receipt, receive_one
from server.identity.actor import Actor
from server.identity.models import OrgUnit, Staff

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
DUE = date(2026, 11, 10)
CASHIER, CHIEF = 1, 2
_RIGHTS = {
    (resource, action): "all"
    for resource, actions in {
        "payment": ("view", "receive", "reverse", "assign", "refund", "approve"),
        "till": ("view", "use", "approve"),
        "dues": ("view", "dispute", "order", "rules"),
        "bills": ("view", "issue", "cancel"),
    }.items()
    for action in actions
}


def actor(staff_id: int = CASHIER) -> Actor:
    """A member of staff with every right of dues."""
    name = f"收费员{staff_id}"
    return Actor(kind="staff", id=staff_id, name=name, staff_id=staff_id, rights=_RIGHTS)


@dataclass
class World:
    """Ids of what :func:`build` made; lists run in step."""

    version_id: int
    accounts: list[int] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)


_count = itertools.count(1)


def build(session: Session, accounts: int = 1, account_class: str = "residential") -> World:
    """Found a company with accounts that owe nothing."""
    clock.set(NOW)
    operator.found(session, "海东供电", "CNY", "Asia/Shanghai", "zh_Hans")
    unit = OrgUnit(kind="office", code="T", name="营业厅")
    tariff = Tariff(code="t", name="居民")
    session.add_all([unit, tariff])
    session.flush()
    for staff_id in (CASHIER, CHIEF):
        session.add(
            Staff(
                id=staff_id,
                username=f"cashier{staff_id}",
                password="-",
                name=f"收费员{staff_id}",
                language="zh_Hans",
                org_unit_id=unit.id,
                active=True,
                fs_uniquifier=f"c{staff_id}",
            )
        )
    version = TariffVersion(tariff_id=tariff.id, valid_from=date(2020, 1, 1), definition={})
    session.add(version)
    session.flush()
    world = World(version.id)
    for n in range(accounts):
        customer = Customer(customer_no=f"C{n}", name=f"客户{n}")
        session.add(customer)
        session.flush()
        account = Account(
            account_no=f"1000{n:04}",
            customer_id=customer.id,
            account_class=account_class,
            tariff_code="t",
        )
        phone = f"+86120000{n:05}"
        contact = Contact(customer_id=customer.id, name=customer.name, phone=phone)
        session.add_all([account, contact])
        session.flush()
        world.accounts.append(account.id)
        world.numbers.append(account.account_no)
    return world


def bill(
    session: Session,
    world: World,
    total: str | Decimal,
    *,
    index: int = 0,
    due: date = DUE,
    issued_at: datetime | None = None,
) -> int:
    """Issue a bill over an amount; its id."""
    account_id = world.accounts[index]
    amount = Decimal(total)
    lock_accounts(session, [account_id])
    made = Bill(
        bill_no=f"B{next(_count):09}",
        account_id=account_id,
        period=f"{due:%Y-%m}",
        period_from=due.replace(day=1),
        period_to=due,
        quantity=amount,
        total=amount,
        balance_after=Decimal(0),
        due=due,
        issued_at=issued_at or datetime(2026, 10, 26, 2, tzinfo=UTC),
        tariff_version_id=world.version_id,
    )
    session.add(made)
    session.flush()
    session.add(
        BillLine(
            bill_id=made.id,
            position=1,
            component="energy",
            quantity=amount,
            price=Decimal(1),
            amount=amount,
            cumulative_before=Decimal(0),
        )
    )
    session.flush()
    sides = (
        Entry(RECEIVABLE, account_id, "CNY", debit=amount),
        Entry(REVENUE_ENERGY, account_id, "CNY", credit=amount),
    )
    post(session, [Posting(f"bill:{made.id}", "bill", sides)])
    return made.id


def pay(
    session: Session, world: World, amount: str | Decimal, ref: str = "", **more: Any
) -> Receipt:
    """Pay at the counter."""
    index = more.pop("index", 0)
    payment = NewPayment(
        external_ref=ref or f"ref-{next(_count)}",
        channel=more.pop("channel", "counter"),
        method=more.pop("method", "cash"),
        amount=Decimal(amount),
        account_id=world.accounts[index],
        account_no=world.numbers[index],
        **more,
    )
    return receive_one(session, payment, actor())


def balance(session: Session, world: World, index: int = 0) -> Decimal:
    """An account's balance in the customer's eyes."""
    account_id = world.accounts[index]
    return balances(session, [account_id], "CNY").get(account_id, Decimal(0))


def open_of(session: Session, bill_id: int) -> tuple[Decimal, Decimal]:
    """(principal, late fee) that is open of a bill, summed from its rows."""
    session.flush()
    total = session.scalar(select(Bill.total).where(Bill.id == bill_id)) or Decimal(0)
    settled = dict(
        session.execute(
            select(Allocation.part, func.sum(Allocation.amount))
            .where(Allocation.bill_id == bill_id)
            .group_by(Allocation.part)
        ).all()
    )
    fee = session.scalar(select(func.sum(LateFee.amount)).where(LateFee.bill_id == bill_id))
    zero = Decimal(0)
    return total - settled.get("principal", zero), (fee or zero) - settled.get("fee", zero)


def free_of(session: Session, payment_id: int) -> Decimal:
    """What a payment has not settled, summed from its rows."""
    payment = session.get_one(Payment, payment_id, populate_existing=True)
    spent = session.scalar(
        select(func.sum(Allocation.amount)).where(Allocation.payment_id == payment_id)
    )
    return payment.amount - (spent or Decimal(0))
