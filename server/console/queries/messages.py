"""Messages to customers with their state and the whole story of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer
from server.console import entry
from server.console.paging import Reach
from server.console.queries.since import SLACK, ends, first_id, rows_before, rows_since
from server.console.show import midnight
from server.db import Session
from server.desk import texts
from server.notify import service
from server.notify.models import Gateway, OutboxMessage
from server.notify.queries import in_state
from server.notify.rules.states import STATES
from server.rounds.scope import Scope

_M = OutboxMessage
# States that have an index of their own: all but those in which most messages are.
INDEXED = frozenset(STATES) - {"accepted", "delivered"}


@dataclass(frozen=True)
class Filters:
    """What the search for messages asks: every part narrows it.

    `batch` is the token of one small sending, `sending` the key of one to very many.
    """

    status: str | None = None
    event: str | None = None
    gateway_id: int | None = None
    phone: str | None = None
    account_no: str | None = None
    account_id: int | None = None
    begin: datetime | None = None
    end: datetime | None = None
    batch: str | None = None
    sending: str | None = None


def listed(session: Session, seen: Scope, filters: Filters = Filters()) -> Select[*tuple[Any, ...]]:
    """The list, newest first when paged by ``OutboxMessage.id``."""
    return (
        select(
            _M,
            Account.account_no,
            Customer.name.label("customer"),
            Gateway.name.label("gateway"),
        )
        .outerjoin(Account, Account.id == _M.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .outerjoin(Gateway, Gateway.id == _M.gateway_id)
        .where(texts.visible(entry.actor(), seen), *_conditions(session, filters))
    )


def reach(session: Session, filters: Filters) -> Reach | None:
    """Bounds of a search by notice or gateway, which have no index: it would cost every sending.

    None where an index leads to what is searched for.
    """
    served = (filters.phone, filters.account_no, filters.account_id, filters.batch, filters.sending)
    if any(served) or filters.status in INDEXED:
        return None
    first, last = ends(session, _M.id)
    if filters.begin is not None:
        first = first_id(session, _M.id, _M.created_at, filters.begin)
    if filters.end is not None:
        last = first_id(session, _M.id, _M.created_at, filters.end)
    return Reach(max(first - SLACK, 0), last + SLACK)


def _conditions(session: Session, filters: Filters) -> list[Any]:
    found: list[Any] = in_state(filters.status) if filters.status else []
    for column, value in (
        (_M.event, filters.event),
        (_M.gateway_id, filters.gateway_id),
        (_M.account_id, filters.account_id),
    ):
        if value is not None:
            found.append(column == value)
    if filters.phone:
        found.append(_M.phone == texts.phone_of(filters.phone))
    if filters.account_no:
        number = select(Account.id).where(Account.account_no == filters.account_no)
        found.append(_M.account_id == number.scalar_subquery())
    if filters.begin is not None:
        found.append(rows_since(session, _M.id, _M.created_at, filters.begin))
    if filters.end is not None:
        found.append(rows_before(session, _M.id, _M.created_at, filters.end))
    found += _of_sending(filters)
    return found


def of_account(session: Session, seen: Scope, account_id: int, limit: int = 12) -> list[Any]:
    """The newest messages about an account."""
    statement = listed(session, seen, Filters(account_id=account_id))
    return list(session.execute(statement.order_by(_M.id.desc()).limit(limit)))


def one(session: Session, seen: Scope, message_id: int) -> Any:
    """One visible message with account, customer and gateway, or None."""
    return session.execute(listed(session, seen).where(_M.id == message_id)).first()


def counts(session: Session, seen: Scope, filters: Filters = Filters()) -> dict[str, int]:
    """Messages by state: those of one sending, else those written today."""
    which = _of_sending(filters) or [rows_since(session, _M.id, _M.created_at, midnight())]
    rows = session.execute(
        select(_M.status, func.count())
        .where(*which, texts.visible(entry.actor(), seen))
        .group_by(_M.status)
    )
    return {status: n for status, n in rows}


def _of_sending(filters: Filters) -> list[Any]:
    if filters.sending:
        return [service.keys_from(f"{filters.sending}:")]
    if filters.batch:
        return [texts.sent_by(entry.actor().staff_id, f"{filters.batch}:")]
    return []
