"""Messages as lists and as counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import false, func, literal_column, select

from server.db import Session
from server.notify.models import Gateway, OutboxMessage
from server.notify.rules.states import STATES


@dataclass(frozen=True)
class MessageRow:
    """One line of the list of messages."""

    id: int
    created_at: datetime
    event: str
    phone: str
    account_id: int | None
    text: str
    segments: int
    status: str
    status_at: datetime
    error: str | None
    possible_duplicate: bool
    gateway: str | None


@dataclass(frozen=True)
class Page:
    """Some messages, newest first; `after` asks for the next page and is None on the last."""

    rows: list[MessageRow]
    after: int | None


def messages(
    session: Session,
    *,
    status: str | None = None,
    phone: str | None = None,
    account_id: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> Page:
    """Messages newest first, by state, phone or account; `after` is the last id of the page before."""
    m = OutboxMessage
    wanted: list[Any] = []
    if status is not None:
        wanted += in_state(status)
    if phone is not None:
        wanted.append(m.phone == phone)
    if account_id is not None:
        wanted.append(m.account_id == account_id)
    if after is not None:
        wanted.append(m.id < after)
    found = session.execute(
        select(*_COLUMNS)
        .outerjoin(Gateway, Gateway.id == m.gateway_id)
        .where(*wanted)
        .order_by(m.id.desc())
        .limit(limit + 1)
    )
    rows = [MessageRow(*tuple(row)) for row in found]
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def in_state(status: str) -> list[Any]:
    """Conditions on the state of a message, literal so that the partial indexes serve them."""
    if status not in STATES:
        return [false()]
    return [OutboxMessage.status == literal_column(f"'{status}'")]


_COLUMNS = (
    OutboxMessage.id,
    OutboxMessage.created_at,
    OutboxMessage.event,
    OutboxMessage.phone,
    OutboxMessage.account_id,
    OutboxMessage.text,
    OutboxMessage.segments,
    OutboxMessage.status,
    OutboxMessage.status_at,
    OutboxMessage.error,
    OutboxMessage.possible_duplicate,
    Gateway.name,
)


def counts(session: Session) -> dict[str, dict[str, int]]:
    """Messages by state and gateway: `{"all": {state: n}, gateway: {state: n}}`; `-` has none yet."""
    m = OutboxMessage
    rows = session.execute(
        select(Gateway.name, m.status, func.count())
        .select_from(m)
        .outerjoin(Gateway, Gateway.id == m.gateway_id)
        .group_by(Gateway.name, m.status)
    )
    found: dict[str, dict[str, int]] = {"all": {}}
    for gateway, status, number in rows:
        found.setdefault(gateway or "-", {})[status] = number
        found["all"][status] = found["all"].get(status, 0) + number
    return found
