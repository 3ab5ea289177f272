"""Statements that move messages from the queue to the socket and back. Core only: this is a hot path.

The predicates on `status` are literal, because a partial index is used for nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, literal_column, select, update

from server.db import Session, insert_rows, take_ids
from server.notify.models import GatewayLease, OutboxMessage, OutboxSegment

_M = OutboxMessage
_FIELDS = (_M.id, _M.priority, _M.phone, _M.text, _M.expires_at)


@dataclass(frozen=True, order=True)
class Claimed:
    """A message that this owner has claimed; sorts as the queue does."""

    priority: int
    id: int
    phone: str
    text: str
    expires_at: datetime | None

    def expired(self, now: datetime) -> bool:
        """Whether it is not worth sending any more."""
        return self.expires_at is not None and self.expires_at <= now


def _status(word: str) -> ColumnElement[bool]:
    return _M.status == literal_column(f"'{word}'")


_PICKED = (
    select(_M.id)
    .where(_status("queued"))
    .order_by(_M.priority, _M.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("picked")
)
CLAIM = (
    update(_M)
    .where(_M.id.in_(select(_PICKED.c.id)))
    .values(
        status="claimed",
        owner=bindparam("new_owner"),
        gateway_id=bindparam("new_gateway"),
        status_at=bindparam("at"),
    )
    .returning(*_FIELDS)
)
_ALIVE = select(GatewayLease.owner).where(GatewayLease.expires_at > bindparam("now"))
_DEAD = _M.owner.not_in(_ALIVE)


def claim(session: Session, gateway_id: int, owner: str, most: int, now: datetime) -> list[Claimed]:
    """Take up to `most` queued messages in the queue's order; those past their time expire instead."""
    values = {"most": most, "new_owner": owner, "new_gateway": gateway_id, "at": now}
    rows = session.connection().execute(CLAIM, values)
    claimed = sorted(
        Claimed(row.priority, row.id, row.phone, row.text, row.expires_at) for row in rows
    )
    move(session, "expired", [one.id for one in claimed if one.expired(now)], now)
    return [one for one in claimed if not one.expired(now)]


def move(
    session: Session,
    target: str,
    ids: Collection[int],
    now: datetime,
    *,
    sources: Sequence[str] = ("claimed",),
    **values: Any,
) -> set[int]:
    """Move messages to `target` if they are still in one of `sources`; the ids that moved."""
    if not ids:
        return set()
    statement = (
        update(_M)
        .where(_M.id.in_(sorted(ids)), _M.status.in_(sources))
        .values(status=target, status_at=now, **values)
        .returning(_M.id)
    )
    return set(session.connection().execute(statement).scalars())


def give_back(session: Session, ids: Collection[int], now: datetime) -> None:
    """Return claimed messages that were never handed to the socket."""
    move(session, "queued", ids, now, owner=None)


def mark_submitted(session: Session, owner: str, ids: Collection[int], now: datetime) -> set[int]:
    """Say, before the first octet leaves, that these messages may be with the carrier from now on."""
    if not ids:
        return set()
    statement = (
        update(_M)
        .where(_M.id.in_(sorted(ids)), _M.status == "claimed", _M.owner == owner)
        .values(status="submitted", status_at=now, attempts=_M.attempts + 1)
        .returning(_M.id)
    )
    return set(session.connection().execute(statement).scalars())


@dataclass(frozen=True)
class Part:
    """One part of a message that is to be sent under segment row `segment_id`."""

    message_id: int
    part: int
    segment_id: int


def open_segments(
    session: Session,
    gateway_id: int,
    messages: Sequence[Claimed],
    totals: dict[int, int],
    now: datetime,
) -> list[Part]:
    """Rows for the parts of `messages` that are still to be sent (`totals`: parts by message id).

    A part that was taken already is left out; one that was refused or never written keeps its row;
    one whose fate is unknown gets a second row, so that a late answer to the first still finds its own.
    """
    earlier = _earlier(session, [one.id for one in messages])
    again: list[Part] = []
    fresh: list[dict[str, Any]] = []
    for message in messages:
        for part in range(1, totals[message.id] + 1):
            segment = earlier.get((message.id, part))
            if segment is None or segment.status == "unknown":
                copy = 0 if segment is None else segment.copy + 1
                fresh.append({"message_id": message.id, "part": part, "copy": copy})
            elif segment.status in ("returned", "refused"):
                again.append(Part(message.id, part, segment.id))
    _submit_again(session, gateway_id, [one.segment_id for one in again], now)
    return sorted(
        again + _insert(session, gateway_id, fresh, now), key=lambda one: (one.message_id, one.part)
    )


def _earlier(session: Session, ids: Sequence[int]) -> dict[tuple[int, int], Any]:
    """The newest segment row of every part that was submitted before."""
    if not ids:
        return {}
    s = OutboxSegment
    statement = (
        select(s.id, s.message_id, s.part, s.copy, s.status)
        .where(s.message_id.in_(ids))
        .order_by(s.copy)
    )
    return {(row.message_id, row.part): row for row in session.connection().execute(statement)}


def _submit_again(session: Session, gateway_id: int, ids: Sequence[int], now: datetime) -> None:
    if ids:
        session.connection().execute(
            update(OutboxSegment)
            .where(OutboxSegment.id.in_(ids))
            .values(status="submitted", gateway_id=gateway_id, submitted_at=now, error=None)
        )


def _insert(
    session: Session, gateway_id: int, rows: list[dict[str, Any]], now: datetime
) -> list[Part]:
    if not rows:
        return []
    ids = take_ids(session, {OutboxSegment: len(rows)})[OutboxSegment]
    common = {
        "created_at": now,
        "gateway_id": gateway_id,
        "status": "submitted",
        "submitted_at": now,
    }
    insert_rows(
        session,
        OutboxSegment,
        [{"id": number, **row, **common} for number, row in zip(ids, rows, strict=True)],
    )
    return [
        Part(row["message_id"], row["part"], number) for number, row in zip(ids, rows, strict=True)
    ]


@dataclass(frozen=True)
class Due:
    """What a look without locks found to do."""

    queued: bool
    timed: bool


def look(session: Session, resend_before: datetime, now: datetime) -> Due:
    """Whether anything is queued, or due by time (see `timed`)."""
    row = session.execute(
        select(
            exists().where(_status("queued")).label("queued"),
            exists().where(_status("held"), _M.not_before <= now).label("held"),
            exists().where(_status("claimed"), _DEAD).label("claimed"),
            exists().where(_status("submitted"), _DEAD).label("submitted"),
            exists().where(*_resend(resend_before)).label("resend"),
            exists().where(_status("unknown"), _M.expires_at <= now).label("expired"),
        ),
        {"now": now},
    ).one()
    return Due(row.queued, any(row[1:]))


def timed(session: Session, resend_before: datetime, now: datetime) -> None:
    """What time alone brings about.

    Held messages whose time has come are queued, unknown ones whose time has passed expire. Unknown
    ones of the at-least-once class are queued once more, flagged, when nothing was heard since
    `resend_before`.
    """
    run = session.connection().execute
    run(
        update(_M)
        .where(_status("unknown"), _M.expires_at <= now)
        .values(status="expired", status_at=now)
    )
    run(
        update(_M)
        .where(_status("held"), _M.not_before <= now)
        .values(status="queued", status_at=now, owner=None)
    )
    _sort_out_the_dead(session, now)
    run(
        update(_M)
        .where(*_resend(resend_before))
        .values(
            status="queued",
            status_at=now,
            owner=None,
            copies=_M.copies + 1,
            possible_duplicate=True,
        )
    )


def _sort_out_the_dead(session: Session, now: datetime) -> None:
    """What an owner without a lease claimed goes back; what he submitted may be with the carrier."""
    run = session.connection().execute
    run(
        update(_M)
        .where(_status("claimed"), _DEAD)
        .values(status="queued", owner=None, status_at=now),
        {"now": now},
    )
    submitted = (
        update(_M)
        .where(_status("submitted"), _DEAD)
        .values(status="unknown", status_at=now)
        .returning(_M.id)
    )
    lost = set(run(submitted, {"now": now}).scalars())
    if lost:
        run(
            update(OutboxSegment)
            .where(OutboxSegment.message_id.in_(lost), OutboxSegment.status == "submitted")
            .values(status="unknown")
        )


def _resend(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        _status("unknown"),
        _M.status_at <= before,
        _M.delivery == "at_least_once",
        _M.copies == 0,
    )


def take_lease(
    session: Session, gateway_id: int, owners: Sequence[str], now: datetime, seconds: float
) -> bool:
    """Own the gateway's bind as the first of `owners` for `seconds`; False when another does.

    The further `owners` are earlier names of the same process.
    """
    lease = GatewayLease
    until = now + timedelta(seconds=seconds)
    row = {"gateway_id": gateway_id, "bind": 1, "owner": owners[0], "expires_at": until}
    insert_rows(session, lease, [{"created_at": now, **row}], on_conflict=("gateway_id", "bind"))
    statement = (
        update(lease)
        .where(
            lease.gateway_id == gateway_id,
            lease.bind == 1,
            lease.owner.in_(owners) | (lease.expires_at <= now),
        )
        .values(owner=owners[0], expires_at=until)
        .returning(lease.id)
    )
    return session.connection().execute(statement).scalar() is not None


def drop_lease(session: Session, gateway_id: int, owner: str, now: datetime) -> None:
    """Leave the bind to whoever comes next."""
    lease = GatewayLease
    session.connection().execute(
        update(lease)
        .where(lease.gateway_id == gateway_id, lease.owner == owner)
        .values(expires_at=now)
    )
