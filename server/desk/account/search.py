"""Finding accounts by number, serial, phone, name or address; every kind within the person's scope.

Numbers, phones and the beginnings of names are found by indexes. Only when these find nothing, names
and addresses are searched for the words anywhere in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

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
from server.desk import audience
from server.rounds.scope import Scope

LIMIT = 20
_SHORTEST_PHONE = 5
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Hit:
    """An account and why it was found."""

    account_id: int
    account_no: str
    customer: str
    status: str
    why: str
    detail: str


def accounts(session: Session, seen: Scope, text: str, *, anywhere: bool = False) -> list[Hit]:
    """Accounts by account, customer, point or meter number, phone, name or address, the best first.

    Args:
        anywhere: look for the words inside names and addresses even when some begin with them.
    """
    hits: dict[int, Hit] = {}
    text = text.strip()
    for ways in (_by_index(text), _anywhere(text)) if text else ():
        for why, statement in ways:
            rows = session.execute(statement.where(seen.accounts()).limit(LIMIT))
            for row in rows:
                hit = Hit(row.id, row.account_no, row.name, row.status, why, row.detail or "")
                hits.setdefault(row.id, hit)
            if len(hits) >= LIMIT:
                break
        if hits and not anywhere:
            break
    return list(hits.values())[:LIMIT]


def _by_index(text: str) -> Iterator[tuple[str, Select[Any]]]:
    """What begins with the text, or is the phone it writes."""
    yield "account", _columns(Account.account_no).where(_begins(Account.account_no, text))
    yield "meter", _by_meter().where(_begins(Meter.serial, text))
    yield "point", _by_point().where(_begins(ServicePoint.point_no, text))
    yield "customer", _columns(Customer.customer_no).where(_begins(Customer.customer_no, text))
    phone = audience.number(text)
    if phone is not None:
        yield "phone", _by_contact().where(Contact.phone == phone)
    yield "customer", _columns(Customer.customer_no).where(_begins(Customer.name, text))
    yield "place", _by_place().where(_begins(Premise.address, text))


def _anywhere(text: str) -> Iterator[tuple[str, Select[Any]]]:
    """What holds the text somewhere, and phones that end with its digits."""
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) >= _SHORTEST_PHONE and len(digits) >= len(text) - 4:
        yield "phone", _by_contact().where(Contact.phone.like("%" + digits))
    inside = "%" + _escaped(text) + "%"
    by_name = _columns(Customer.customer_no)
    yield "customer", by_name.where(Customer.name.like(inside, escape="\\"))
    yield "contact", _by_contact().where(Contact.name.like(inside, escape="\\"))
    yield "place", _by_place().where(Premise.address.like(inside, escape="\\"))


def _begins(column: Any, text: str) -> ColumnElement[bool]:
    """Condition on a column that is sorted by code points: it begins with the text."""
    return and_(column >= text, column < text + _LAST)


def _columns(detail: Any) -> Select[Any]:
    return select(
        Account.id, Account.account_no, Account.status, Customer.name, detail.label("detail")
    ).join(Customer, Customer.id == Account.customer_id)


def _by_point() -> Select[Any]:
    return _columns(ServicePoint.point_no).join(ServicePoint, ServicePoint.account_id == Account.id)


def _by_meter() -> Select[Any]:
    return (
        _columns(Meter.serial)
        .join(ServicePoint, ServicePoint.account_id == Account.id)
        .join(Installation, Installation.service_point_id == ServicePoint.id)
        .join(Meter, Meter.id == Installation.meter_id)
    )


def _by_place() -> Select[Any]:
    return (
        _columns(Premise.address)
        .join(ServicePoint, ServicePoint.account_id == Account.id)
        .join(Premise, Premise.id == ServicePoint.premise_id)
    )


def _by_contact() -> Select[Any]:
    return _columns(Contact.name).join(Contact, Contact.customer_id == Customer.id)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def id_of(session: Session, seen: Scope, account_no: str) -> int | None:
    """The id of a visible account by its number, or None."""
    return session.scalar(
        select(Account.id).where(Account.account_no == account_no, seen.accounts())
    )
