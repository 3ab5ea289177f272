"""Statements that move messages from the queue to the socket. Written by hand: this is a hot path.

The predicates on `status` are literal, because a partial index is used for nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select, update
from sqlalchemy.orm import aliased

from server.db import Many, Session, among, insert_rows, run
from server.notify.models import Gateway, GatewayLease, OutboxMessage, OutboxSegment

_M = OutboxMessage


class Claimed(NamedTuple):
    """A message that this owner may send now or keeps for later; sorts as the queue does.

    `fresh` says that it was never handed to a gateway before.
    """

    priority: int
    id: int
    phone: str
    text: str
    segments: int
    category: str
    expires_at: datetime | None
    fresh: bool


def in_status(word: str) -> ColumnElement[bool]:
    """The condition on a message's state, written out for the partial indexes."""
    return _M.status == literal_column(f"'{word}'")


_PICK = (
    select(
        *(_M.priority, _M.id, _M.phone, _M.text, _M.segments),
        *(_M.category, _M.expires_at, _M.owner.is_(None)),
    )
    .where(in_status("queued"), _M.gateway_id == bindparam("gateway"))
    .order_by(_M.priority, _M.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_OTHER = aliased(_M)
# Two binds of an account must not send two texts of one phone side by side.
_PICK_BESIDE_OTHERS = _PICK.where(
    ~select(_OTHER.id)
    .where(
        _OTHER.phone == _M.phone,
        _OTHER.gateway_id == _M.gateway_id,
        _OTHER.status.in_((literal_column("'claimed'"), literal_column("'submitted'"))),
        _OTHER.owner != bindparam("owner"),
    )
    .exists()
)
_ONE_BIND_AT_A_TIME = (
    select(Gateway.id).where(Gateway.id == bindparam("gateway")).with_for_update(key_share=True)
)


def pick(
    session: Session, gateway_id: int, owner: str, most: int, *, beside_others: bool = False
) -> list[Claimed]:
    """Up to `most` queued messages in the queue's order, locked until the transaction ends.

    `beside_others`: other binds of the account may send too, so their phones are left to them.
    """
    values: dict[str, Any] = {"gateway": gateway_id, "most": most}
    if beside_others:
        run(session, _ONE_BIND_AT_A_TIME, {"gateway": gateway_id})
        found = run(session, _PICK_BESIDE_OTHERS, {**values, "owner": owner})
    else:
        found = run(session, _PICK, values)
    return [Claimed(*row) for row in found]


_ANY = select(
    select(_M.id).where(in_status("queued"), _M.gateway_id == bindparam("gateway")).exists()
)


def any_queued(session: Session, gateway_id: int) -> bool:
    """Whether anything waits for this gateway; without locks."""
    return bool(run(session, _ANY, {"gateway": gateway_id})[0][0])


_CLAIM = Many(
    "UPDATE outbox_message SET status = 'claimed', owner = :owner, status_at = :at FROM {rows}"
    " WHERE outbox_message.id = x.id AND outbox_message.status = 'queued'",
    {"id": "bigint"},
    ["at"],
)
_SUBMIT = Many(
    "UPDATE outbox_message SET status = 'submitted', owner = :owner, status_at = :at,"
    " attempts = attempts + 1 FROM {rows}"
    " WHERE outbox_message.id = x.id AND outbox_message.status = 'queued'",
    {"id": "bigint"},
    ["at"],
)
_SUBMIT_CLAIMED = Many(
    "UPDATE outbox_message SET status = 'submitted', status_at = :at, attempts = attempts + 1"
    " FROM {rows} WHERE outbox_message.id = x.id AND outbox_message.status = 'claimed'"
    " AND outbox_message.owner = :owner RETURNING outbox_message.id",
    {"id": "bigint"},
    ["at"],
)


def keep(session: Session, owner: str, ids: Collection[int], now: datetime) -> None:
    """Claim picked messages that have to wait for their turn."""
    if ids:
        _CLAIM.run(session, [(one,) for one in ids], owner=owner, at=now)


def mark_submitted(
    session: Session,
    owner: str,
    picked: Collection[int],
    kept: Collection[int],
    now: datetime,
) -> set[int]:
    """Say, before the first octet leaves, that these messages may be with the carrier from now on.

    `picked` ones are locked by this transaction; `kept` ones were claimed in an earlier one and may
    have been taken from this owner since. Gives the ids that moved.
    """
    moved = set(picked)
    if picked:
        _SUBMIT.run(session, [(one,) for one in picked], owner=owner, at=now)
    if kept:
        rows = [(one,) for one in kept]
        moved.update(row[0] for row in _SUBMIT_CLAIMED.run(session, rows, owner=owner, at=now))
    return moved


def move(
    session: Session,
    target: str,
    ids: Collection[int],
    now: datetime,
    *,
    sources: Sequence[str] = ("claimed",),
    **values: Any,
) -> set[int]:
    """Move messages to `target` if they are still in one of `sources`; the ids that moved.

    Nobody takes `owner` away: a message without one was never handed to any gateway.
    """
    if not ids:
        return set()
    statement = (
        update(_M)
        .where(among(_M.id, ids), _M.status.in_(sources))
        .values(status=target, status_at=now, **values)
        .returning(_M.id)
    )
    return set(session.connection().execute(statement).scalars())


def give_back(session: Session, ids: Collection[int], now: datetime) -> None:
    """Return claimed messages that were never handed to the socket."""
    move(session, "queued", ids, now)


# --- segments -----------------------------------------------------------------------------


class Wanted(NamedTuple):
    """What is to be sent of a message: so many rows, each standing for `units` segments at a price."""

    message: Claimed
    parts: int
    units: int
    price: int


# Part, parts, copy, units and price.
_Alike = tuple[int, int, int, int, int]


class Part(NamedTuple):
    """One part of a message that is to be sent under segment row `segment_id`."""

    message_id: int
    part: int
    segment_id: int
    copy: int


_INSERT = Many(
    "INSERT INTO outbox_segment (created_at, message_id, part, parts, copy, gateway_id, status,"
    " submitted_at, units, price) SELECT :at, x.message_id, :part, :parts, :copy, :gateway,"
    " 'submitted', :at, :units, :price FROM {rows} RETURNING message_id, id",
    {"message_id": "bigint"},
    ["at"],
)
_AGAIN = Many(
    "UPDATE outbox_segment SET status = 'submitted', gateway_id = :gateway, submitted_at = :at,"
    " error = NULL, carrier_id = NULL, price = x.price FROM {rows} WHERE outbox_segment.id = x.id",
    {"id": "bigint", "price": "bigint"},
    ["at"],
)


def open_segments(
    session: Session, gateway_id: int, wanted: Sequence[Wanted], now: datetime
) -> list[Part]:
    """Rows for the parts that are still to be sent, in the order of the messages.

    A part that was taken already is left out; one that was refused or never written keeps its row;
    one whose fate is unknown gets a further row, so that a late answer to the first still finds its own.
    """
    earlier = _earlier(session, [one.message.id for one in wanted if not one.message.fresh])
    places: list[tuple[int, int, int]] = []
    rows: dict[tuple[int, int], int] = {}
    fresh: dict[_Alike, list[tuple[int]]] = defaultdict(list)
    again: list[tuple[int, int]] = []
    for one in wanted:
        number = one.message.id
        for part in range(1, one.parts + 1):
            segment = earlier.get((number, part)) if earlier else None
            if segment is None or segment.status == "unknown":
                copy = 0 if segment is None else segment.copy + 1
                fresh[part, one.parts, copy, one.units, one.price].append((number,))
                places.append((number, part, copy))
            elif segment.status in ("returned", "refused"):
                again.append((segment.id, one.price))
                rows[number, part] = segment.id
                places.append((number, part, segment.copy))
    if again:
        _AGAIN.run(session, again, gateway=gateway_id, at=now)
    for alike, numbers in fresh.items():
        rows.update(_insert(session, gateway_id, alike, numbers, now))
    return [Part(number, part, rows[number, part], copy) for number, part, copy in places]


def _insert(
    session: Session,
    gateway_id: int,
    alike: _Alike,
    message_ids: Sequence[tuple[int]],
    now: datetime,
) -> dict[tuple[int, int], int]:
    """Rows that differ by their message alone; their ids by message and part."""
    part, parts, copy, units, price = alike
    made = _INSERT.run(
        session,
        message_ids,
        part=part,
        parts=parts,
        copy=copy,
        units=units,
        price=price,
        gateway=gateway_id,
        at=now,
    )
    return {(message_id, part): number for message_id, number in made}


def _earlier(session: Session, ids: Sequence[int]) -> dict[tuple[int, int], Any]:
    """The newest segment row of every part that was submitted before."""
    if not ids:
        return {}
    s = OutboxSegment
    statement = (
        select(s.id, s.message_id, s.part, s.copy, s.status)
        .where(among(s.message_id, ids))
        .order_by(s.copy)
    )
    return {(row.message_id, row.part): row for row in session.connection().execute(statement)}


# --- leases -------------------------------------------------------------------------------


def take_lease(
    session: Session,
    gateway_id: int,
    owners: Sequence[str],
    now: datetime,
    seconds: float,
    bind: int = 1,
) -> bool:
    """Own a bind of the gateway as the first of `owners` for `seconds`; False when another does.

    The further `owners` are earlier names of the same process.
    """
    lease = GatewayLease
    until = now + timedelta(seconds=seconds)
    row = {"gateway_id": gateway_id, "bind": bind, "owner": owners[0], "expires_at": until}
    common = {"created_at": now, "state": "stopped", "detail": ""}
    insert_rows(session, lease, [{**common, **row}], on_conflict=("gateway_id", "bind"))
    statement = (
        update(lease)
        .where(
            lease.gateway_id == gateway_id,
            lease.bind == bind,
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
        .values(expires_at=now, state="stopped", state_at=now)
    )


def live_binds(session: Session, gateway_id: int, senders: int, now: datetime) -> int:
    """How many of the first `senders` binds of a gateway are owned by somebody now."""
    lease = GatewayLease
    found = session.connection().execute(
        select(func.count()).where(
            lease.gateway_id == gateway_id, lease.bind <= senders, lease.expires_at > now
        )
    )
    return int(found.scalar_one())
