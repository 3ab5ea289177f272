"""Counts and totals of billing for the operator's view."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select

from server.billing.models import AccountBalance, Bill, LedgerLine
from server.billing.rules.chart import RECEIVABLE
from server.db import Money, Session


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """The ledger at a glance; ``balanced`` and ``agrees`` must both be true.

    ``agrees`` compares the sum of the cached balances with the receivable; it is quick and sees
    less than ``service.reconcile``.
    """

    lines: int
    debit: Decimal
    credit: Decimal
    receivable: Decimal
    cached: Decimal

    @property
    def balanced(self) -> bool:
        """Whether all debits equal all credits."""
        return self.debit == self.credit

    @property
    def agrees(self) -> bool:
        """Whether the cached balances add up to the receivable."""
        return self.receivable == self.cached


def bills_by_status(session: Session) -> dict[str, int]:
    """How many bills there are in each status."""
    rows = session.execute(select(Bill.status, func.count()).group_by(Bill.status))
    return {status: count for status, count in rows}


def ledger_totals(session: Session, unit: str) -> LedgerTotals:
    """The totals of the ledger in one unit."""
    lines, debit, credit = session.execute(
        select(func.count(), func.sum(LedgerLine.debit), func.sum(LedgerLine.credit)).where(
            LedgerLine.unit == unit
        )
    ).one()
    receivable = session.scalar(
        select(func.sum(LedgerLine.credit - LedgerLine.debit, type_=Money)).where(
            LedgerLine.unit == unit, LedgerLine.ledger == RECEIVABLE
        )
    )
    cached = session.scalar(
        select(func.sum(AccountBalance.balance)).where(AccountBalance.unit == unit)
    )
    zero = Decimal(0)
    return LedgerTotals(lines, debit or zero, credit or zero, receivable or zero, cached or zero)
