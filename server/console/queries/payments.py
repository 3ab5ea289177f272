"""What the pages of payments list: tills, money in suspense, bank files, refunds, debts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer
from server.db import Session
from server.dues.models import (
    BankFile,
    BankRow,
    DisconnectProposal,
    Dispute,
    Payment,
    Refund,
    Till,
    TillSession,
)
from server.identity.models import Staff
from server.rounds.scope import Scope


def account(session: Session, seen: Scope, account_id: int) -> Any:
    """An account with its customer; None when it is not visible."""
    return session.execute(
        select(Account, Customer)
        .join(Customer, Customer.id == Account.customer_id)
        .where(Account.id == account_id, seen.accounts())
    ).first()


def of_account(session: Session, account_id: int, most: int = 20) -> Sequence[Payment]:
    """The newest payments of an account."""
    return session.scalars(
        select(Payment)
        .where(Payment.account_id == account_id)
        .order_by(Payment.id.desc())
        .limit(most)
    ).all()


def one(session: Session, seen: Scope, payment_id: int) -> Any:
    """A payment with account, customer and who took it; None when it is not visible."""
    return session.execute(
        select(Payment, Account, Customer, Staff.name.label("staff"))
        .outerjoin(Account, Account.id == Payment.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .outerjoin(Staff, Staff.id == Payment.staff_id)
        .where(Payment.id == payment_id, seen.accounts())
    ).first()


def listed(seen: Scope, status: str | None) -> Select[*tuple[Any, ...]]:
    """Payments, for a page of them."""
    statement = (
        select(Payment, Account.account_no, Customer.name.label("customer"))
        .outerjoin(Account, Account.id == Payment.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .where(seen.accounts())
    )
    return statement.where(Payment.status == status) if status else statement


def tills(session: Session) -> Sequence[Any]:
    """Every till with its session that is not closed and the cashier's name."""
    return session.execute(
        select(Till, TillSession, Staff.name.label("cashier"))
        .outerjoin(TillSession, (TillSession.till_id == Till.id) & (TillSession.status != "closed"))
        .outerjoin(Staff, Staff.id == TillSession.staff_id)
        .where(Till.active.is_(True))
        .order_by(Till.code)
    ).all()


def sessions(session: Session, most: int = 30) -> Sequence[Any]:
    """The newest closed sessions of tills."""
    return session.execute(
        select(TillSession, Till, Staff.name.label("cashier"))
        .join(Till, Till.id == TillSession.till_id)
        .outerjoin(Staff, Staff.id == TillSession.staff_id)
        .where(TillSession.status == "closed")
        .order_by(TillSession.id.desc())
        .limit(most)
    ).all()


def till_session(session: Session, session_id: int) -> Any:
    """A session of a till with till and cashier."""
    return session.execute(
        select(TillSession, Till, Staff.name.label("cashier"))
        .join(Till, Till.id == TillSession.till_id)
        .outerjoin(Staff, Staff.id == TillSession.staff_id)
        .where(TillSession.id == session_id)
    ).first()


def of_session(session: Session, session_id: int) -> Sequence[Any]:
    """The payments of a till session, the newest first."""
    return session.execute(
        select(Payment, Account.account_no)
        .outerjoin(Account, Account.id == Payment.account_id)
        .where(Payment.till_session_id == session_id)
        .order_by(Payment.id.desc())
        .limit(200)
    ).all()


def names(session: Session, staff_ids: Sequence[int]) -> dict[int, str]:
    """The names of staff."""
    rows = session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(staff_ids)))
    return {staff_id: name for staff_id, name in rows}


def refunds(session: Session, seen: Scope) -> Sequence[Any]:
    """Refunds that wait for a second person."""
    return session.execute(
        select(Refund, Account, Customer.name.label("customer"), Staff.name.label("staff"))
        .join(Account, Account.id == Refund.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .outerjoin(Staff, Staff.id == Refund.asked_by_id)
        .where(Refund.status == "asked", seen.accounts())
        .order_by(Refund.id)
        .limit(200)
    ).all()


def files(session: Session) -> Sequence[Any]:
    """The newest bank files with how many of their rows are done."""
    done = (
        select(func.count())
        .where(BankRow.bank_file_id == BankFile.id, BankRow.outcome.is_not(None))
        .scalar_subquery()
    )
    return session.execute(
        select(BankFile, done.label("done")).order_by(BankFile.id.desc()).limit(30)
    ).all()


def file_rows(file_id: int, outcome: str | None) -> Select[Any]:
    """The rows of a file, of one outcome when that is wanted."""
    statement = select(BankRow).where(BankRow.bank_file_id == file_id)
    if outcome == "waiting":
        return statement.where(BankRow.outcome.is_(None))
    return statement.where(BankRow.outcome == outcome) if outcome else statement


def proposals(seen: Scope) -> Select[*tuple[Any, ...]]:
    """Open proposals to disconnect, for a page of them."""
    return (
        select(DisconnectProposal, Account, Customer.name.label("customer"))
        .join(Account, Account.id == DisconnectProposal.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .where(DisconnectProposal.state.in_(("proposed", "ordered")), seen.accounts())
    )


def disputes(session: Session, seen: Scope) -> Sequence[Any]:
    """Open disputes, the oldest first."""
    return session.execute(
        select(Dispute, Account, Customer.name.label("customer"))
        .join(Account, Account.id == Dispute.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .where(Dispute.closed_at.is_(None), seen.accounts())
        .order_by(Dispute.id)
        .limit(200)
    ).all()
