"""What an account was charged and what its year has used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import select

from server.billing.models import Bill, UsageYear
from server.db import Session
from server.desk.account.cut import Cut, cut

BILLS = 8


@dataclass(frozen=True)
class Billed:
    """A bill in one line."""

    id: int
    bill_no: str
    period: str
    period_from: date
    period_to: date
    status: str
    quantity: Decimal
    total: Decimal
    balance_after: Decimal
    due: date
    cancels_id: int | None


def bills(session: Session, account_id: int) -> Cut[Billed]:
    """The newest bills."""
    rows = session.execute(
        select(
            Bill.id,
            Bill.bill_no,
            Bill.period,
            Bill.period_from,
            Bill.period_to,
            Bill.status,
            Bill.quantity,
            Bill.total,
            Bill.balance_after,
            Bill.due,
            Bill.cancels_id,
        )
        .where(Bill.account_id == account_id)
        .order_by(Bill.id.desc())
        .limit(BILLS + 1)
    )
    return cut((Billed(*row) for row in rows), BILLS)


def year_use(session: Session, account_id: int, year: int) -> Decimal | None:
    """What the account has used in a calendar year, as its tiers count it."""
    return session.scalar(
        select(UsageYear.quantity).where(UsageYear.account_id == account_id, UsageYear.year == year)
    )
