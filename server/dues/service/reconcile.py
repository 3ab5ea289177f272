"""Proving dues: what is settled is never more than came in, nor than was asked."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import String, cast, func, or_, select

from server.billing.models import Journal, LedgerLine
from server.billing.rules.chart import RECEIVABLE, REVENUE_LATE_FEE, SUSPENSE
from server.billing.service.reconcile import Check, Difference
from server.db import Money, Session
from server.dues.models import Allocation, LateFee, Payment, Refund
from server.dues.service import known

_ZERO = 0


def _payments(session: Session) -> Iterator[Difference]:
    """No payment settles more than it is, and one that was taken back settles nothing."""
    spent = func.sum(Allocation.amount, type_=Money())
    rows = session.execute(
        select(Payment.receipt_no, Payment.amount, spent)
        .join(Allocation, Allocation.payment_id == Payment.id)
        .group_by(Payment.id, Payment.receipt_no, Payment.amount, Payment.status)
        .having(
            or_(spent > Payment.amount, spent < 0, (Payment.status != "received") & (spent != 0))
        )
    )
    for receipt_no, amount, settled in rows:
        yield Difference("payment.settled", f"payment {receipt_no}", amount, settled)


def _bills(session: Session) -> Iterator[Difference]:
    """No bill is settled with more than it asks, and none that is cancelled is settled at all."""
    for bill_no, asked, settled in session.execute(known.OVER_SETTLED):
        yield Difference("bill.settled", f"bill {bill_no}", asked, settled)


def _fees(session: Session) -> Iterator[Difference]:
    """Late fees are what the ledger says of them, by account."""
    posted = (
        select(
            LedgerLine.account_id,
            func.sum(LedgerLine.credit - LedgerLine.debit, type_=Money()).label("posted"),
        )
        .where(LedgerLine.ledger == REVENUE_LATE_FEE)
        .group_by(LedgerLine.account_id)
        .subquery()
    )
    charged = (
        select(LateFee.account_id, func.sum(LateFee.amount, type_=Money()).label("charged"))
        .group_by(LateFee.account_id)
        .subquery()
    )
    rows = session.execute(
        select(posted.c.account_id, posted.c.posted, charged.c.charged)
        .outerjoin(charged, charged.c.account_id == posted.c.account_id)
        .where(or_(charged.c.charged.is_(None), charged.c.charged != posted.c.posted))
    )
    for account_id, in_ledger, in_rows in rows:
        yield Difference("late_fee", f"account {account_id}", in_rows, in_ledger)


def _journals(session: Session) -> Iterator[Difference]:
    """A payment's journal brings in just what the payment says."""
    credit = (
        select(func.sum(LedgerLine.credit, type_=Money()))
        .where(
            LedgerLine.journal_id == Payment.journal_id,
            or_(LedgerLine.ledger == RECEIVABLE, LedgerLine.ledger == SUSPENSE),
        )
        .correlate(Payment)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Payment.receipt_no, Payment.amount, credit).where(
            or_(credit.is_(None), credit != Payment.amount)
        )
    )
    for receipt_no, amount, posted in rows:
        yield Difference("payment.journal", f"payment {receipt_no}", amount, posted)


def _suspense(session: Session) -> Iterator[Difference]:
    """What stands in suspense is what waits there."""
    stands = session.scalar(
        select(func.sum(LedgerLine.credit - LedgerLine.debit, type_=Money())).where(
            LedgerLine.ledger == SUSPENSE
        )
    )
    waits = session.scalar(
        select(func.sum(Payment.amount, type_=Money())).where(Payment.status == "suspense")
    )
    if (stands or _ZERO) != (waits or _ZERO):
        yield Difference("suspense", "all", waits, stands)


def _refunds(session: Session) -> Iterator[Difference]:
    """Every refund that was paid has its journal and comes from credit."""
    taken = (
        select(func.sum(Allocation.amount, type_=Money()))
        .where(Allocation.refund_id == Refund.id)
        .correlate(Refund)
        .scalar_subquery()
    )
    rows = session.execute(
        select(cast(Refund.id, String), Refund.amount, taken)
        .outerjoin(Journal, Journal.id == Refund.journal_id)
        .where(
            Refund.status == "paid",
            or_(Journal.id.is_(None), taken.is_(None), taken != Refund.amount),
        )
    )
    for number, amount, found in rows:
        yield Difference("refund", f"refund {number}", amount, found)


CHECKS: tuple[Check, ...] = (_payments, _bills, _fees, _journals, _suspense, _refunds)
"""What dues adds to the proof of the books."""
