"""Accounts: the list, and one from every side."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import (
    Account,
    Contact,
    Customer,
    Installation,
    Meter,
    NetworkNode,
    Premise,
    ServicePoint,
    ServicePointNode,
)
from server.billing.models import AccountBalance, Bill, BillLine, Tariff, TariffVersion, UsageYear
from server.console.show import zone
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


def one(session: Session, seen: Scope, account_id: int) -> Any:
    """An account with its customer and balance, or None."""
    return session.execute(
        select(Account, Customer, AccountBalance.balance)
        .join(Customer, Customer.id == Account.customer_id)
        .outerjoin(AccountBalance, IN_CURRENCY)
        .where(Account.id == account_id, seen.accounts())
    ).first()


@dataclass(frozen=True)
class Around:
    """What belongs to an account."""

    contacts: list[Contact]
    points: list[Any]
    bills: list[Bill]
    readings: list[Any]
    months: list[tuple[str, Decimal | None, Decimal | None]]
    year_quantity: Decimal | None


def around(session: Session, account: Account) -> Around:
    """Contacts, service points, bills, readings and use by month of an account."""
    points = _points(session, account.id)
    return Around(
        contacts=list(
            session.scalars(
                select(Contact)
                .where(Contact.customer_id == account.customer_id)
                .order_by(Contact.is_default.desc(), Contact.id)
            )
        ),
        points=points,
        bills=list(
            session.scalars(
                select(Bill).where(Bill.account_id == account.id).order_by(Bill.id.desc()).limit(24)
            )
        ),
        readings=_readings(session, account.id),
        months=_months(session, account.id),
        year_quantity=_year(session, account.id),
    )


def _points(session: Session, account_id: int) -> list[Any]:
    return list(
        session.execute(
            select(ServicePoint, Premise, Meter, Installation, NetworkNode.name.label("node"))
            .join(Premise, Premise.id == ServicePoint.premise_id)
            .outerjoin(
                Installation,
                (Installation.service_point_id == ServicePoint.id)
                & Installation.removed_at.is_(None),
            )
            .outerjoin(Meter, Meter.id == Installation.meter_id)
            .outerjoin(
                ServicePointNode,
                (ServicePointNode.service_point_id == ServicePoint.id)
                & ServicePointNode.valid_to.is_(None),
            )
            .outerjoin(NetworkNode, NetworkNode.id == ServicePointNode.node_id)
            .where(ServicePoint.account_id == account_id)
            .order_by(ServicePoint.point_no)
            .limit(100)
        )
    )


def _readings(session: Session, account_id: int) -> list[Any]:
    return list(
        session.execute(
            select(Reading, Consumption.quantity)
            .join(ServicePoint, ServicePoint.id == Reading.service_point_id)
            .outerjoin(
                Consumption,
                (Consumption.reading_id == Reading.id) & (Consumption.status != "superseded"),
            )
            .where(ServicePoint.account_id == account_id)
            .order_by(Reading.read_at.desc(), Reading.id.desc())
            .limit(13)
        )
    )


def _months(session: Session, account_id: int) -> list[tuple[str, Decimal | None, Decimal | None]]:
    """Use by the month in which it was read: (month, last year, this year), twelve months."""
    rows = session.execute(
        select(Consumption.to_at, Consumption.quantity)
        .where(
            Consumption.account_id == account_id,
            Consumption.status != "superseded",
            Consumption.register_kind == "total",
        )
        .order_by(Consumption.to_at.desc())
        .limit(60)
    ).all()
    if not rows:
        return []
    newest = rows[0].to_at.astimezone(zone())
    used: dict[tuple[int, int], Decimal] = {}
    for to_at, quantity in rows:
        local = to_at.astimezone(zone())
        used[local.year, local.month] = used.get((local.year, local.month), Decimal(0)) + quantity
    months = []
    for back in range(11, -1, -1):
        index = newest.year * 12 + newest.month - 1 - back
        year, month = index // 12, index % 12 + 1
        months.append((str(month), used.get((year - 1, month)), used.get((year, month))))
    return months


def _year(session: Session, account_id: int) -> Decimal | None:
    return session.execute(
        select(UsageYear.quantity)
        .where(UsageYear.account_id == account_id)
        .order_by(UsageYear.year.desc())
        .limit(1)
    ).scalar()


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
