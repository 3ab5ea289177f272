"""What comes back from phones: stored before it is acknowledged, joined from its parts, each once.

A carrier that names its texts is believed: a name seen before is the same text and is dropped. One
that does not may deliver a text again after a broken line; what is equal in everything within a short
time is kept as a suspected repeat, which is shown and never carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import delete, func, literal_column, select, update

from server import clock
from server.db import Session, among, among_texts, insert_rows, take_ids, update_rows
from server.notify.models import Gateway, InboundMessage, InboundPart
from server.notify.rules import charsets
from server.notify.rules import inbound as rules
from server.notify.rules.inbound import Habits, InboundText, from_smpp

__all__ = ["InboundText", "close_incomplete", "forget", "from_smpp", "store"]

_TRIES = 3
_M, _P = InboundMessage, InboundPart


@dataclass(slots=True)
class _Part:
    """A part on its way into the tables.

    `own_id` is for the message that it begins or is: ids follow the order of arrival. `twin` is the
    message or part that it seems to repeat.
    """

    text: InboundText
    phone: str
    destination: str
    body: bytes
    charset: str
    fingerprint: int | None
    carrier_key: str | None
    own_id: int = 0
    message_id: int = 0
    twin: int | _Part | None = None

    @property
    def open_key(self) -> str:
        text = self.text
        return (
            f"{text.gateway_id}|{self.phone}|{self.destination}|{text.reference:x}|{text.total:x}"
        )


@dataclass(slots=True)
class _Joint:
    """A text in parts that is being put together; `first` began it just now, else it has its row."""

    id: int
    total: int
    first: _Part | None
    parts: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    closed: bool = False
    changed: bool = False

    @property
    def state(self) -> str:
        if len(self.parts) == self.total:
            return "received"
        return "incomplete" if self.closed else "partial"


def store(session: Session, texts: Sequence[InboundText]) -> None:
    """Keep texts of phones in the caller's transaction; acknowledge them after its commit.

    The number of statements does not grow with the texts. Two transactions that store one carrier
    id at the same time end in an IntegrityError for the second: the carrier delivers it again.
    """
    habits = _habits(session, {text.gateway_id for text in texts})
    parts = _unknown(session, [_part(text, habits[text.gateway_id]) for text in texts])
    if not parts:
        return
    now = clock.now()
    _find_twins(session, parts, habits)
    taken = take_ids(session, {_M: len(parts), _P: len(parts)})
    for part, number in zip(parts, taken[_M], strict=True):
        part.own_id = number
    _join(session, [part for part in parts if part.twin is None and part.text.total > 1], now)
    alone = [part for part in parts if not part.message_id]
    for part in alone:
        part.message_id = part.own_id
    # A repeat refers to a message that must stand before it.
    alone.sort(key=lambda part: part.twin is not None)
    insert_rows(session, _M, [_alone_row(part, now) for part in alone])
    insert_rows(
        session, _P, [_part_row(part, n, now) for part, n in zip(parts, taken[_P], strict=True)]
    )


def close_incomplete(session: Session, minutes: int) -> int:
    """Give up waiting for parts of texts whose first came more than `minutes` ago; how many."""
    before = clock.now() - timedelta(minutes=minutes)
    closed = session.execute(
        update(_M)
        .where(_M.state == literal_column("'partial'"), _M.received_at < before)
        .values(state="incomplete", open_key=None)
        .returning(_M.id)
    )
    return len(closed.all())


def forget(session: Session, days: int) -> int:
    """Take texts older than `days` out of the tables, leaving who, when and what became of it."""
    before = clock.now() - timedelta(days=days)
    old = (_M.received_at < before, _M.masked.is_(False))
    session.execute(delete(_P).where(_P.message_id.in_(select(_M.id).where(*old))))
    count = session.scalar(select(func.count()).select_from(_M).where(*old)) or 0
    session.execute(update(_M).where(*old).values(text="", masked=True))
    return count


# --- who, and what is known already --------------------------------------------------------


def _habits(session: Session, gateways: Collection[int]) -> dict[int, Habits]:
    rows = session.execute(select(Gateway.id, Gateway.config).where(Gateway.id.in_(gateways)))
    return {row.id: rules.habits(row.config) for row in rows}


def _part(text: InboundText, habits: Habits) -> _Part:
    text = rules.sounded(text)
    body, charset = rules.readable(text, habits.alphabet)
    named = bool(text.carrier_id)
    return _Part(
        text,
        rules.sender(text.phone, habits.country),
        rules.sender(text.to, habits.country),
        body,
        charset,
        None if named else rules.fingerprint(text),
        _carrier_key(text) if named else None,
    )


def _carrier_key(text: InboundText) -> str:
    name = str(text.carrier_id)
    if len(name) > 100 or not name.isprintable():
        name = blake2b(name.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
    return f"{text.gateway_id}:{name}"


def _unknown(session: Session, parts: list[_Part]) -> list[_Part]:
    """The parts whose carrier's id is new."""
    keys = {part.carrier_key for part in parts if part.carrier_key is not None}
    if not keys:
        return parts
    known: set[str | None] = set(
        session.scalars(select(_P.carrier_key).where(among_texts(_P.carrier_key, keys))).all()
    )
    fresh: list[_Part] = []
    for part in parts:
        if part.carrier_key is None or part.carrier_key not in known:
            fresh.append(part)
            known.add(part.carrier_key)
    return fresh


def _find_twins(session: Session, parts: list[_Part], habits: Mapping[int, Habits]) -> None:
    """Note what each part repeats, in the tables or among the parts before it."""
    prints = [part.fingerprint for part in parts if part.fingerprint is not None]
    if not prints:
        return
    rows = session.execute(
        select(_P.fingerprint, _P.message_id, _P.received_at)
        .where(among(_P.fingerprint, prints))
        .order_by(_P.received_at)
    )
    seen: dict[int, tuple[datetime, int | _Part]] = {
        row.fingerprint: (row.received_at, row.message_id) for row in rows
    }
    for part in parts:
        if part.fingerprint is None:
            continue
        window = habits[part.text.gateway_id].repeat_seconds
        at, twin = seen.get(part.fingerprint, (None, None))
        if at is not None and abs((part.text.received_at - at).total_seconds()) <= window:
            part.twin = twin
        else:
            seen[part.fingerprint] = part.text.received_at, part


# --- texts in parts ------------------------------------------------------------------------


def _join(session: Session, parts: list[_Part], now: datetime) -> None:
    """Put parts to the texts they belong to, and write those texts."""
    if not parts:
        return
    open_now = _open(session, parts, now)
    joints = list(open_now.values())
    for part in parts:
        joint = open_now.get(part.open_key)
        known = joint.parts.get(part.text.part) if joint else None
        if joint is not None and known == (part.body, part.charset):
            part.twin = joint.id
            continue
        if joint is None or known is not None:
            if joint is not None:  # its reference is in use again: no more parts will come for it
                joint.closed = joint.changed = True
            joint = open_now[part.open_key] = _Joint(part.own_id, part.text.total, part)
            joints.append(joint)
        joint.parts[part.text.part] = part.body, part.charset
        joint.changed = True
        part.message_id = joint.id
        if joint.state == "received":
            del open_now[part.open_key]
    keys = {joint.id: key for key, joint in open_now.items()}
    stored = [_joint_row(one, keys) for one in joints if one.first is None and one.changed]
    update_rows(session, _M, ("id",), stored)
    begun = [_message_row(one.first, now, **_joint_row(one, keys)) for one in joints if one.first]
    insert_rows(session, _M, begun)


def _open(session: Session, parts: list[_Part], now: datetime) -> dict[str, _Joint]:
    """The open texts of the parts, locked; those that are not there are begun."""
    firsts: dict[str, _Part] = {}
    for part in parts:
        firsts.setdefault(part.open_key, part)
    found: dict[str, _Joint] = {}
    for _ in range(_TRIES):  # one may be completed by somebody else while we wait for its lock
        missing = sorted(firsts.keys() - found.keys())
        if not missing:
            break
        rows = [_message_row(firsts[key], now, open_key=key) for key in missing]
        insert_rows(session, _M, rows, on_conflict=("open_key",))
        locked = session.execute(
            select(_M.id, _M.open_key, _M.total)
            .where(among_texts(_M.open_key, missing))
            .order_by(_M.open_key)
            .with_for_update()
        )
        for row in locked:
            found[row.open_key] = _Joint(row.id, row.total, None)
    by_id = {joint.id: joint for joint in found.values()}
    stored = session.execute(
        select(_P.message_id, _P.part, _P.body, _P.charset).where(among(_P.message_id, by_id))
    )
    for message_id, number, body, charset in stored:
        by_id[message_id].parts[number] = body, charset
    return found


# --- rows ----------------------------------------------------------------------------------


def _message_row(part: _Part, now: datetime, **values: Any) -> dict[str, Any]:
    """The message that a part begins."""
    return {
        "id": part.own_id,
        "created_at": now,
        "gateway_id": part.text.gateway_id,
        "phone": part.phone,
        "destination": part.destination,
        "text": "",
        "damaged": False,
        "masked": False,
        "total": part.text.total,
        "arrived": 0,
        "open_key": None,
        "state": "partial",
        "repeat_of_id": None,
        "received_at": part.text.received_at,
        **values,
    }


def _alone_row(part: _Part, now: datetime) -> dict[str, Any]:
    read = charsets.decode(part.body, part.charset)
    twin = part.twin.message_id if isinstance(part.twin, _Part) else part.twin
    return _message_row(
        part,
        now,
        text=read.text,
        damaged=read.damaged,
        arrived=1,
        state="received" if twin is None else "repeat",
        repeat_of_id=twin,
    )


def _joint_row(joint: _Joint, keys: Mapping[int, str]) -> dict[str, Any]:
    read = rules.joined(joint.parts, joint.total)
    return {
        "id": joint.id,
        "text": read.text,
        "damaged": read.damaged,
        "arrived": len(joint.parts),
        "state": joint.state,
        "open_key": keys.get(joint.id),
    }


def _part_row(part: _Part, number: int, now: datetime) -> dict[str, Any]:
    original = part.twin is None
    return {
        "id": number,
        "created_at": now,
        "message_id": part.message_id,
        "part": part.text.part,
        "charset": part.charset,
        "body": part.body,
        "fingerprint": part.fingerprint if original else None,
        "carrier_key": part.carrier_key,
        "received_at": part.text.received_at,
    }
