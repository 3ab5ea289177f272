"""Accounts: the list, and one from every side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer
from server.billing.models import AccountBalance
from server.db import Session
from server.operator import Operator
from server.rounds.scope import Scope

IN_CURRENCY = (AccountBalance.account_id == Account.id) & (
    AccountBalance.unit == select(Operator.currency).scalar_subquery()
)


def listed(seen: Scope, status: str | None = None) -> Select[*tuple[Any, ...]]:
    """The list, by account number."""
    statement = (
        select(Account, Customer.name.label("customer"), AccountBalance.balance)
        .join(Customer, Customer.id == Account.customer_id)
        .outerjoin(AccountBalance, IN_CURRENCY)
        .where(seen.accounts())
    )
    return statement.where(Account.status == status) if status else statement


def one(session: Session, seen: Scope, account_id: int) -> int | None:
    """The id of an account if it is visible."""
    return session.scalar(select(Account.id).where(Account.id == account_id, seen.accounts()))


def named(session: Session, seen: Scope, account_id: int) -> Any:
    """Id, number and customer's name of a visible account, or None."""
    return session.execute(
        select(Account.id, Account.account_no, Customer.name)
        .join(Customer, Customer.id == Account.customer_id)
        .where(Account.id == account_id, seen.accounts())
    ).first()


def owing(session: Session, seen: Scope) -> tuple[int, Decimal]:
    """How many visible accounts owe, and how much together."""
    n, total = session.execute(
        select(func.count(), func.sum(AccountBalance.balance))
        .join(Account, Account.id == AccountBalance.account_id)
        .where(AccountBalance.balance < 0, IN_CURRENCY, seen.accounts())
    ).one()
    return n, -(total or Decimal(0))
