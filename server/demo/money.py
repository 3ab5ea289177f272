"""Money of the demo: a till at the counter, some payments, and one debtor who is being chased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from server import clock
from server.billing.models import AccountBalance, Bill, BillLine, TariffVersion
from server.billing.rules.chart import RECEIVABLE, REVENUE_FIXED
from server.billing.service.ledger import Entry, Posting, lock_accounts, post
from server.db import Session
from server.demo import people
from server.demo.plant import Point
from server.dues.service import counter, dunning, known, tills
from server.identity.models import Staff
from server.identity.service import actor_of

DEBT = Decimal("186.50")
DAYS_LATE = 33
_PAYING = 3


def write_money(session: Session, points: Sequence[Point]) -> None:
    """Open a till, take some payments and let one account fall behind."""
    staff = session.scalars(select(Staff).where(Staff.username == people.CASHIER)).one()
    cashier = actor_of(session, staff)
    chief = actor_of(
        session, session.scalars(select(Staff).where(Staff.username == people.ACCOUNTANT)).one()
    )
    till = tills.add_till(session, chief, "1", "营业厅一号窗口")
    tills.open_till(session, cashier, till.id, Decimal(200))
    ids = [point.account_id for point in points]
    owing = session.execute(
        select(AccountBalance.account_id, AccountBalance.balance)
        .where(AccountBalance.account_id.in_(ids), AccountBalance.balance < 0)
        .order_by(AccountBalance.account_id)
    ).all()
    for number, (account_id, balance) in enumerate(owing[:_PAYING]):
        method = "cash" if number < 2 else "wallet"
        counter.take(session, cashier, account_id, -balance, method, f"demo-{number}")
    _fall_behind(session, owing[_PAYING].account_id)


def _fall_behind(session: Session, account_id: int) -> None:
    """An old charge without use that nobody has paid, with the steps that were taken for it."""
    zone = known.zone_of(session)
    today = clock.now().astimezone(zone).date()
    due = today - timedelta(days=DAYS_LATE)
    issued = due - timedelta(days=15)
    balance = known.balances(session, [account_id])[account_id]
    lock_accounts(session, [account_id])
    bill = Bill(
        bill_no=f"{issued:%Y%m}000000001",
        account_id=account_id,
        period=f"{issued:%Y-%m}",
        period_from=issued.replace(day=1),
        period_to=issued,
        quantity=Decimal(0),
        total=DEBT,
        balance_after=balance - DEBT,
        due=due,
        issued_at=datetime(issued.year, issued.month, issued.day, 9, tzinfo=zone),
        tariff_version_id=session.scalars(select(TariffVersion.id)).first(),
    )
    session.add(bill)
    session.flush()
    session.add(
        BillLine(
            bill_id=bill.id,
            position=1,
            component="fixed",
            kind="fixed",
            quantity=Decimal(1),
            price=DEBT,
            amount=DEBT,
            cumulative_before=Decimal(0),
        )
    )
    sides = (
        Entry(RECEIVABLE, account_id, "CNY", debit=DEBT),
        Entry(REVENUE_FIXED, account_id, "CNY", credit=DEBT),
    )
    post(session, [Posting(f"bill:{bill.id}", "bill", sides)])
    for late in (3, 15, 31):
        dunning.steps_of(session, [account_id], due + timedelta(days=late), set())
