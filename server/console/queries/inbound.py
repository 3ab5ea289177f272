"""Texts from phones, with who is behind the number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Contact, Customer
from server.db import Session
from server.desk import inbox
from server.notify.models import Gateway, InboundMessage, InboundPart
from server.rounds.scope import Scope

_I = InboundMessage


def listed(seen: Scope, state: str | None, phone: str | None) -> Select[*tuple[Any, ...]]:
    """The list, newest first when paged by id; without a state those that somebody must look at."""
    contact = (
        select(func.min(Contact.id))
        .where(Contact.phone == _I.phone)
        .correlate(_I)
        .scalar_subquery()
    )
    statement = (
        select(_I, Customer.name.label("customer"), Gateway.name.label("gateway"))
        .outerjoin(Contact, Contact.id == contact)
        .outerjoin(Customer, Customer.id == Contact.customer_id)
        .outerjoin(Gateway, Gateway.id == _I.gateway_id)
        .where(inbox.visible(seen, _I.phone))
    )
    if phone:
        return statement.where(_I.phone == phone)
    if state is None:
        return statement.where(inbox.OPEN)
    return statement if state == "all" else statement.where(_I.state == state)


def one(session: Session, seen: Scope, inbound_id: int) -> Any:
    """One visible text, or None."""
    return session.execute(listed(seen, "all", None).where(_I.id == inbound_id)).first()


def waiting(session: Session, seen: Scope) -> int:
    """How many texts somebody must look at."""
    rows = select(_I.id).where(inbox.OPEN, inbox.visible(seen, _I.phone)).limit(1000).subquery()
    return session.scalar(select(func.count()).select_from(rows)) or 0


def parts(session: Session, inbound_id: int) -> list[InboundPart]:
    """The parts that have come."""
    rows = session.scalars(
        select(InboundPart).where(InboundPart.message_id == inbound_id).order_by(InboundPart.part)
    )
    return list(rows)


def accounts(session: Session, seen: Scope, phone: str) -> list[Any]:
    """The visible accounts of the customers that a phone belongs to."""
    return list(
        session.execute(
            select(Account.id, Account.account_no, Customer.name)
            .join(Customer, Customer.id == Account.customer_id)
            .join(Contact, Contact.customer_id == Customer.id)
            .where(Contact.phone == phone, seen.accounts())
            .order_by(Account.id)
            .limit(10)
        )
    )
