"""What can be seen of notices: lists for the console, counts for the operator, one message's whole story."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import false, func, literal_column, select
from sqlalchemy import text as sql

from server import clock
from server.db import Session
from server.errors import NotFound
from server.notify.models import (
    ENDED,
    ENDED_STATES,
    DeliveryReport,
    Gateway,
    GatewayLease,
    OutboxMessage,
    OutboxSegment,
)
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
    condition: list[Any] = [OutboxMessage.status == literal_column(f"'{status}'")]
    return [*condition, sql(ENDED)] if status in ENDED_STATES else condition


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


@dataclass(frozen=True)
class GatewayState:
    """How a gateway is; `alive` says whether a worker owns it now."""

    name: str
    kind: str
    enabled: bool
    simulated: bool
    alive: bool
    state: str
    detail: str
    state_at: datetime | None


def gateway_states(session: Session) -> list[GatewayState]:
    """Every gateway and how it is, in the order in which they take the queue."""
    alive = select(GatewayLease.gateway_id).where(GatewayLease.expires_at > clock.now())
    owned = set(session.scalars(alive))
    return [
        GatewayState(
            row.name,
            row.kind,
            row.enabled,
            row.simulated,
            row.id in owned,
            row.state if row.id in owned or row.state == "refused" else "stopped",
            row.detail,
            row.state_at,
        )
        for row in session.scalars(select(Gateway).order_by(Gateway.position, Gateway.id))
    ]


def trace(session: Session, message_id: int) -> dict[str, Any]:
    """One message with every submission and every report. Raises NotFound `notify.no_message`."""
    message = session.get(OutboxMessage, message_id)
    if message is None:
        raise NotFound("notify.no_message", f"There is no message {message_id}.")
    segments = session.scalars(
        select(OutboxSegment)
        .where(OutboxSegment.message_id == message_id)
        .order_by(OutboxSegment.part, OutboxSegment.copy)
    ).all()
    reports = session.scalars(
        select(DeliveryReport)
        .where(DeliveryReport.segment_id.in_([segment.id for segment in segments]))
        .order_by(DeliveryReport.id)
    ).all()
    return {
        "message": _columns(message),
        "segments": [_columns(segment) for segment in segments],
        "reports": [_columns(report) for report in reports],
    }


def _columns(row: Any) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}
