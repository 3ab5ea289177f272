"""Messages to customers with their state and the whole story of one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, true

from server.accounts.models import Account, Customer
from server.console.queries.since import rows_since
from server.console.show import midnight
from server.db import Session
from server.notify.models import Gateway, OutboxMessage
from server.notify.queries import in_state
from server.rounds.scope import Scope


def visible(seen: Scope) -> ColumnElement[bool]:
    """Condition on ``outbox_message``: it is about a visible account."""
    if seen.sees_all:
        return true()
    return exists(
        select(Account.id)
        .where(Account.id == OutboxMessage.account_id, seen.accounts())
        .correlate(OutboxMessage)
    )


def listed(
    seen: Scope, status: str | None, account_id: int | None = None
) -> Select[*tuple[Any, ...]]:
    """The list, newest first when paged by ``OutboxMessage.id``."""
    statement = (
        select(
            OutboxMessage,
            Account.account_no,
            Customer.name.label("customer"),
            Gateway.name.label("gateway"),
        )
        .outerjoin(Account, Account.id == OutboxMessage.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .outerjoin(Gateway, Gateway.id == OutboxMessage.gateway_id)
        .where(visible(seen))
    )
    if status:
        statement = statement.where(*in_state(status))
    if account_id:
        statement = statement.where(OutboxMessage.account_id == account_id)
    return statement


def one(session: Session, seen: Scope, message_id: int) -> Any:
    """One visible message with account, customer and gateway, or None."""
    return session.execute(listed(seen, None).where(OutboxMessage.id == message_id)).first()


def counts_today(session: Session, seen: Scope) -> dict[str, int]:
    """Messages written today by state."""
    rows = session.execute(
        select(OutboxMessage.status, func.count())
        .where(
            rows_since(session, OutboxMessage.id, OutboxMessage.created_at, midnight()),
            visible(seen),
        )
        .group_by(OutboxMessage.status)
    )
    return {status: n for status, n in rows}
