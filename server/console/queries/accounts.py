"""Accounts: the list, and one from every side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer
from server.billing.models import AccountBalance, Bill, BillLine, Tariff, TariffVersion
from server.db import Session
from server.metering.models import Consumption, Reading
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


def bill(session: Session, seen: Scope, bill_id: int) -> Any:
    """A bill with account, customer, tariff; None when it is not visible."""
    return session.execute(
        select(Bill, Account, Customer, Tariff, TariffVersion)
        .join(Account, Account.id == Bill.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .join(TariffVersion, TariffVersion.id == Bill.tariff_version_id)
        .join(Tariff, Tariff.id == TariffVersion.tariff_id)
        .where(Bill.id == bill_id, seen.accounts())
    ).first()


def bill_lines(session: Session, bill_id: int) -> list[BillLine]:
    """The frozen lines of a bill."""
    return list(
        session.scalars(
            select(BillLine).where(BillLine.bill_id == bill_id).order_by(BillLine.position)
        )
    )


def bill_readings(session: Session, bill_id: int) -> list[Any]:
    """The readings a bill charges."""
    return list(
        session.execute(
            select(Reading, Consumption)
            .join(Consumption, Consumption.reading_id == Reading.id)
            .where(Consumption.bill_id == bill_id)
            .order_by(Reading.read_at)
            .limit(100)
        )
    )


def owing(session: Session, seen: Scope) -> tuple[int, Decimal]:
    """How many visible accounts owe, and how much together."""
    n, total = session.execute(
        select(func.count(), func.sum(AccountBalance.balance))
        .join(Account, Account.id == AccountBalance.account_id)
        .where(AccountBalance.balance < 0, IN_CURRENCY, seen.accounts())
    ).one()
    return n, -(total or Decimal(0))
