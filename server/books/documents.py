"""A bill as other systems and printers take it: every line with what it was charged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from server.accounts.models import Account, Customer, Premise, ServicePoint
from server.billing.models import Bill, BillLine, Tariff, TariffVersion
from server.billing.service.corrections import credited
from server.db import Session
from server.errors import NotFound
from server.metering.models import Consumption, Reading
from server.rounds.scope import Scope


@dataclass(frozen=True, slots=True)
class Related:
    """A document that has to do with a bill: what it is to it, its number, id, total, reason."""

    what: str
    id: int
    bill_no: str
    total: Any
    reason: str | None


@dataclass(frozen=True, slots=True)
class BillDocument:
    """A bill with everything that explains it."""

    bill: Bill
    account: Account
    customer: Customer
    tariff: Tariff
    address: str | None
    lines: Sequence[tuple[BillLine, TariffVersion | None]]
    readings: Sequence[tuple[Consumption, Reading]]
    related: Sequence[Related]
    credited: Any


def of_number(session: Session, seen: Scope, bill_no: str) -> BillDocument:
    """The bill of a number.

    Raises:
        NotFound: ``bill.unknown`` when there is none, or it is out of scope.
    """
    return _whole(session, _visible(seen).where(Bill.bill_no == bill_no))


def of_id(session: Session, seen: Scope, bill_id: int) -> BillDocument:
    """The bill of an id; raises as :func:`of_number`."""
    return _whole(session, _visible(seen).where(Bill.id == bill_id))


def listed(seen: Scope) -> Any:
    """Bills with account and customer in a scope, to be filtered and paged."""
    return (
        select(Bill, Account, Customer)
        .join(Account, Account.id == Bill.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .where(seen.accounts())
    )


def _visible(seen: Scope) -> Any:
    return (
        select(Bill, Account, Customer, Tariff)
        .join(Account, Account.id == Bill.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .join(TariffVersion, TariffVersion.id == Bill.tariff_version_id)
        .join(Tariff, Tariff.id == TariffVersion.tariff_id)
        .where(seen.accounts())
    )


def _whole(session: Session, statement: Any) -> BillDocument:
    found = session.execute(statement).first()
    if found is None:
        raise NotFound("bill.unknown", "There is no such bill, or it is not yours to see.")
    bill, account, customer, tariff = found
    return BillDocument(
        bill=bill,
        account=account,
        customer=customer,
        tariff=tariff,
        address=_address(session, account.id),
        lines=_lines(session, bill),
        readings=_readings(session, bill.id),
        related=_related(session, bill),
        credited=credited(session, [bill.id]).get(bill.id),
    )


def _address(session: Session, account_id: int) -> str | None:
    return session.scalar(
        select(Premise.address)
        .join(ServicePoint, ServicePoint.premise_id == Premise.id)
        .where(ServicePoint.account_id == account_id)
        .order_by(ServicePoint.id)
        .limit(1)
    )


def _lines(session: Session, bill: Bill) -> list[tuple[BillLine, TariffVersion | None]]:
    """The lines with the tariff version each was charged by; a line's own stands before the bill's."""
    lines = session.scalars(
        select(BillLine).where(BillLine.bill_id == bill.id).order_by(BillLine.position)
    ).all()
    numbers = {line: line.tariff_version_id or bill.tariff_version_id for line in lines}
    versions = {
        version.id: version
        for version in session.scalars(
            select(TariffVersion).where(TariffVersion.id.in_(set(numbers.values())))
        )
    }
    return [(line, versions.get(number)) for line, number in numbers.items()]


def _readings(session: Session, bill_id: int) -> list[tuple[Consumption, Reading]]:
    rows = session.execute(
        select(Consumption, Reading)
        .join(Reading, Reading.id == Consumption.reading_id)
        .where(Consumption.bill_id == bill_id)
        .order_by(Consumption.to_at, Consumption.id)
    )
    return [(use, reading) for use, reading in rows]


def _related(session: Session, bill: Bill) -> list[Related]:
    """What this bill cancels, credits or replaces, and what does that to it."""
    towards = {
        "cancels": bill.cancels_id,
        "credits": bill.credits_id,
        "replaces": bill.replaces_id,
    }
    numbers = {number: what for what, number in towards.items() if number is not None}
    rows = session.scalars(
        select(Bill)
        .where(
            (Bill.id.in_(numbers))
            | (Bill.cancels_id == bill.id)
            | (Bill.credits_id == bill.id)
            | (Bill.replaces_id == bill.id)
        )
        .order_by(Bill.id)
    )
    return [
        Related(_word(numbers, bill, other), other.id, other.bill_no, other.total, other.reason)
        for other in rows
    ]


def _word(numbers: dict[int, str], bill: Bill, other: Bill) -> str:
    if other.id in numbers:
        return numbers[other.id]
    if other.cancels_id == bill.id:
        return "cancelled_by"
    return "credited_by" if other.credits_id == bill.id else "replaced_by"


def plain(document: BillDocument, currency: str) -> dict[str, Any]:
    """The document as JSON takes it; decimals are text."""
    bill = document.bill
    return {
        "bill_no": bill.bill_no,
        "kind": bill.kind,
        "status": bill.status,
        "account_no": document.account.account_no,
        "customer": document.customer.name,
        "address": document.address,
        "period": bill.period,
        "period_from": bill.period_from,
        "period_to": bill.period_to,
        "issued_at": bill.issued_at,
        "due": bill.due,
        "currency": currency,
        "quantity": bill.quantity,
        "total": bill.total,
        "credited": document.credited or 0,
        "balance_after": bill.balance_after,
        "estimated": bill.estimated,
        "reason": bill.reason,
        "tariff": document.tariff.code,
        "lines": [_plain_line(line, version) for line, version in document.lines],
        "related": [
            {"what": r.what, "bill_no": r.bill_no, "total": r.total, "reason": r.reason}
            for r in document.related
        ],
    }


def _plain_line(line: BillLine, version: TariffVersion | None) -> dict[str, Any]:
    return {
        "position": line.position,
        "component": line.component,
        "register": line.register_kind,
        "tariff_version": None if version is None else version.id,
        "tariff_valid_from": None if version is None else version.valid_from,
        "quantity": line.quantity,
        "price": line.price,
        "amount": line.amount,
        "year": line.usage_year,
        "cumulative_before": line.cumulative_before,
        "reading_from": line.reading_from,
        "reading_to": line.reading_to,
    }
