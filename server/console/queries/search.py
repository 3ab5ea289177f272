"""Finding things by number, serial, phone or name; every kind within the person's scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from server.accounts.models import (
    Account,
    Contact,
    Customer,
    Installation,
    Meter,
    Premise,
    ServicePoint,
)
from server.db import Session
from server.rounds.scope import Scope

LIMIT = 20


@dataclass(frozen=True)
class Hit:
    """An account and why it was found."""

    account_id: int
    account_no: str
    customer: str
    why: str
    detail: str


def accounts(session: Session, seen: Scope, text: str) -> list[Hit]:
    """Accounts by account, customer, point or meter number, phone, name or address.

    Numbers are looked up from their beginning (an index serves it), names anywhere.
    """
    hits: dict[int, Hit] = {}
    for why, statement, condition in _ways(text):
        rows = session.execute(statement.where(condition, seen.accounts()).limit(LIMIT))
        for row in rows:
            hit = Hit(row.id, row.account_no, row.name, why, row.detail or "")
            hits.setdefault(row.id, hit)
        if len(hits) >= LIMIT:
            break
    return list(hits.values())[:LIMIT]


def _ways(text: str) -> list[tuple[str, Any, Any]]:
    def columns(detail: Any) -> Any:
        return select(Account.id, Account.account_no, Customer.name, detail.label("detail")).join(
            Customer, Customer.id == Account.customer_id
        )

    start = _escaped(text) + "%"
    by_point = columns(ServicePoint.point_no).join(
        ServicePoint, ServicePoint.account_id == Account.id
    )
    by_meter = (
        columns(Meter.serial)
        .join(ServicePoint, ServicePoint.account_id == Account.id)
        .join(Installation, Installation.service_point_id == ServicePoint.id)
        .join(Meter, Meter.id == Installation.meter_id)
    )
    by_place = (
        columns(Premise.address)
        .join(ServicePoint, ServicePoint.account_id == Account.id)
        .join(Premise, Premise.id == ServicePoint.premise_id)
    )
    by_contact = columns(Contact.name).join(Contact, Contact.customer_id == Customer.id)
    ways = [
        ("account", columns(Account.account_no), Account.account_no.like(start, escape="\\")),
        ("meter", by_meter, Meter.serial.like(start, escape="\\")),
        ("point", by_point, ServicePoint.point_no.like(start, escape="\\")),
        (
            "customer",
            columns(Customer.customer_no),
            or_(
                Customer.customer_no.like(start, escape="\\"),
                Customer.name.like("%" + start, escape="\\"),
            ),
        ),
    ]
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) >= 5 and len(digits) >= len(text.strip()) - 4:
        phone = Contact.phone.like("%" + digits)
        ways.append(("phone", by_contact, phone))
    ways.append(("place", by_place, Premise.address.like("%" + start, escape="\\")))
    return ways


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
