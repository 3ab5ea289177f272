"""One notice to very many phones: announced in one transaction, made into messages in slices.

`announce` writes down what is said and to whom in the caller's transaction, so that an outage and the
word about it stand or fall together. The worker then makes messages, a slice in each transaction, and
moves the mark `through` in the same: killed at any point it goes on where it was, and the keys of the
messages keep every phone to one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, literal, select, update

from server import clock
from server.db import Session, insert_new, insert_rows
from server.errors import Conflict, DomainError, Invalid, NotFound
from server.notify import setup
from server.notify.models import FanOut, FanOutRecipient, OutboxMessage
from server.notify.rules import events, mails, segments, states
from server.notify.rules.phones import key_part
from server.notify.service.messages import Notice, class_of, enqueue_worded
from server.notify.service.wording import wording

AT_ONCE = 5000
# A message's key is that of the fan-out, a colon and the recipient, 200 characters in all.
_LONGEST_KEY = 160
_R = FanOutRecipient
_F = FanOut


@dataclass(frozen=True)
class Announcement:
    """What is said to everybody. `key` names it for ever; the rest is as in `Notice`.

    `other` holds data of languages in which it differs from `data`. What is queued never costs more
    than `budget`.
    """

    key: str
    event: str
    data: Mapping[str, Any]
    category: str | None = None
    priority: int | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    other: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budget: Decimal | None = None


@dataclass(frozen=True)
class Recipient:
    """One who is to hear it; of two with the same phone one is kept."""

    phone: str
    language: str | None = None
    contact_id: int | None = None
    account_id: int | None = None


def announce(
    session: Session,
    announcement: Announcement,
    recipients: Select[*tuple[Any, ...]] | Iterable[Recipient],
    staff_id: int | None = None,
) -> int:
    """Have a notice sent to all recipients and return the id of the fan-out.

    Args:
        recipients: a query with the columns phone, language, contact_id, account_id, which is never
            read into memory, or any number of recipients.

    A key that was announced before is that fan-out; its recipients stay as they were.

    Raises Invalid as `enqueue` does, or Conflict `notify.key_reused` when the key names another text.
    """
    row = _row(session, announcement, staff_id)
    if not insert_new(session, _F, [row], ("key",), "key"):
        return _earlier(session, row)
    number = session.scalars(select(_F.id).where(_F.key == announcement.key)).one()
    if isinstance(recipients, Select):
        total = _copy(session, number, recipients)
    else:
        total = _list(session, number, iter(recipients))
    session.execute(update(_F).where(_F.id == number).values(total=total))
    return number


def next_slice(session: Session, most: int = AT_ONCE) -> int | None:
    """Make the next messages of some open fan-out: how many, or None when nothing is left to do.

    Several workers share the work. A fan-out that meets its budget, or a mistake, stops with the
    code; what was queued stays queued.
    """
    fan_out = session.scalar(
        select(_F)
        .where(_F.status == "open")
        .order_by(_F.priority, _F.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if fan_out is None:
        return None
    rows = session.execute(
        select(_R.phone, _R.language, _R.contact_id, _R.account_id)
        .where(_R.fan_out_id == fan_out.id, _R.phone > fan_out.through)
        .order_by(_R.phone)
        .limit(most)
    ).all()
    if rows:
        _make(session, fan_out, _notices(fan_out, rows))
    if len(rows) < most and fan_out.status == "open":
        _end(session, fan_out, "done")
    session.flush()
    return 0 if fan_out.status == "stopped" else len(rows)


def resume_fan_out(session: Session, fan_out_id: int) -> None:
    """Let a fan-out that was stopped go on with those who have not been told.

    Raises NotFound `notify.no_fan_out`, or Conflict `notify.not_stopped`.
    """
    fan_out = _locked(session, fan_out_id)
    if fan_out.status != "stopped":
        raise Conflict("notify.not_stopped", f"The fan-out {fan_out_id} is {fan_out.status}.")
    fan_out.status, fan_out.error = "open", None
    session.flush()


def cancel_fan_out(session: Session, fan_out_id: int) -> int:
    """Let nothing more of a fan-out out: it ends, and its waiting messages are withdrawn; how many.

    Raises NotFound `notify.no_fan_out`.
    """
    fan_out = _locked(session, fan_out_id)
    if fan_out.status in ("open", "stopped"):
        _end(session, fan_out, "cancelled")
        session.flush()
    m = OutboxMessage
    gone = session.execute(
        update(m)
        .where(keys_from(f"{fan_out.key}:"), m.status.in_(states.sources("cancelled")))
        .values(status="cancelled", status_at=clock.now())
        .returning(m.id)
    )
    return len(gone.scalars().all())


def keys_from(beginning: str) -> ColumnElement[bool]:
    """Condition on `outbox_message`: its key begins so; served by the index of keys."""
    key = OutboxMessage.key
    return (key >= beginning) & (key < beginning + "\U0010ffff")


def _locked(session: Session, fan_out_id: int) -> FanOut:
    fan_out = session.get(_F, fan_out_id, with_for_update=True)
    if fan_out is None:
        raise NotFound("notify.no_fan_out", f"There is no fan-out {fan_out_id}.")
    return fan_out


def _row(session: Session, announcement: Announcement, staff_id: int | None) -> dict[str, Any]:
    """The fan-out's row, with its text in every language."""
    if not 0 < len(announcement.key) <= _LONGEST_KEY:
        raise Invalid("notify.bad_key", f"A fan-out's key has 1 to {_LONGEST_KEY} characters.")
    event = events.event(announcement.event)
    category, priority, _ = class_of(event, announcement.category, announcement.priority)
    words = wording(session, setup.token(session))
    data = {one: announcement.other.get(one, announcement.data) for one in events.LANGUAGES}
    texts = {
        variant: words.text(event, variant, data[mails.language_of(variant)])
        for variant in mails.VARIANTS
    }
    for language in events.LANGUAGES:
        segments.split(texts[language])  # refuses one that is too long, before anybody is told
    return {
        "created_at": clock.now(),
        "key": announcement.key,
        "event": event.name,
        "category": category,
        "priority": priority,
        "texts": texts,
        "not_before": announcement.not_before,
        "expires_at": announcement.expires_at,
        "status": "open",
        "total": 0,
        "made": 0,
        "cost": Decimal(0),
        "budget": announcement.budget,
        "through": "",
        "staff_id": staff_id,
    }


def _earlier(session: Session, row: Mapping[str, Any]) -> int:
    known = session.execute(select(_F.id, _F.event, _F.texts).where(_F.key == row["key"])).one()
    if (known.event, known.texts) != (row["event"], row["texts"]):
        raise Conflict(
            "notify.key_reused",
            f"The key {row['key']} belongs to another notice already.",
            {"key": row["key"]},
        )
    return int(known.id)


def _copy(session: Session, number: int, recipients: Select[*tuple[Any, ...]]) -> int:
    """Copy the recipients inside the database, one of each phone; how many."""
    given = recipients.subquery()
    source = (
        select(
            literal(number),
            given.c.phone,
            func.min(given.c.language),
            func.min(given.c.contact_id),
            func.min(given.c.account_id),
        )
        .where(given.c.phone.is_not(None))
        .group_by(given.c.phone)
    )
    columns = ["fan_out_id", "phone", "language", "contact_id", "account_id"]
    session.execute(insert(_R).from_select(columns, source))
    return _count(session, number)


def _list(session: Session, number: int, recipients: Iterator[Recipient]) -> int:
    """Write recipients down slice by slice, one of each phone; how many."""
    while some := list(islice(recipients, AT_ONCE)):
        rows = [
            {
                "fan_out_id": number,
                "phone": one.phone,
                "language": one.language,
                "contact_id": one.contact_id,
                "account_id": one.account_id,
            }
            for one in some
        ]
        insert_rows(session, _R, rows, on_conflict=("fan_out_id", "phone"))
    return _count(session, number)


def _count(session: Session, number: int) -> int:
    counted = select(func.count()).select_from(_R).where(_R.fan_out_id == number)
    return int(session.scalar(counted) or 0)


def _notices(fan_out: FanOut, rows: Sequence[Any]) -> list[Notice]:
    """What each recipient is told."""
    # Read once: a mapped attribute costs more than all the rest of a notice.
    event, key, texts, category = fan_out.event, fan_out.key, fan_out.texts, fan_out.category
    times, priority = (fan_out.not_before, fan_out.expires_at), fan_out.priority
    return [
        Notice(
            *(event, f"{key}:{key_part(phone)}", phone, language, texts, contact_id, account_id),
            *(*times, category, priority),
        )
        for phone, language, contact_id, account_id in rows
    ]


def _make(session: Session, fan_out: FanOut, notices: list[Notice]) -> None:
    try:
        with session.begin_nested():
            cost = fan_out.cost + enqueue_worded(session, notices, fan_out.texts)
            if fan_out.budget is not None and cost > fan_out.budget:
                raise Conflict("message.over_budget", "It would cost more than it may.")
    except DomainError as problem:
        fan_out.status, fan_out.error = "stopped", problem.code
    else:
        fan_out.through, fan_out.cost = notices[-1].phone, cost
        fan_out.made += len(notices)


def _end(session: Session, fan_out: FanOut, status: str) -> None:
    fan_out.status, fan_out.finished_at = status, clock.now()
    session.execute(delete(_R).where(_R.fan_out_id == fan_out.id))
