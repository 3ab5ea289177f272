"""Texts that a person or another system has sent: each judged by itself, each under a key of its own.

Keys stand under the name of whoever sent them (`by:<staff id>:<key>`), so two callers never meet.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ColumnElement, exists, false, or_, select, true

from server import audit
from server.accounts.models import Account, Contact
from server.db import Session, among, among_texts
from server.desk import audience
from server.desk.audience import Recipient
from server.errors import DomainError, Invalid, NotFound
from server.identity.actor import Actor
from server.notify import service
from server.notify.models import OutboxMessage
from server.notify.rules import events
from server.notify.rules.phones import is_phone
from server.rounds.scope import Scope

FREE = "message.free"
KEY_LENGTH = 120


@dataclass(frozen=True)
class Wanted:
    """One text as asked for: to a phone, a contact or an account; of an event with data, or free words.

    A `key` given twice with the same content is one message; without one every call is a new message.
    """

    key: str | None = None
    phone: str | None = None
    contact_id: int | None = None
    account_no: str | None = None
    event: str = FREE
    data: Mapping[str, Any] = field(default_factory=dict)
    language: str | None = None
    category: str | None = None
    priority: int | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None


@dataclass
class Outcome:
    """What became of one: a message, or why not; `replayed` when it was there already."""

    key: str
    id: int | None = None
    replayed: bool = False
    status: str | None = None
    segments: int | None = None
    refused: DomainError | None = None


def send(session: Session, actor: Actor, seen: Scope, wanted: Sequence[Wanted]) -> list[Outcome]:
    """Queue texts in the caller's transaction; a bad one says why and stops no other.

    The outcomes come in the order of what was wanted. Codes of refusals are `message.no_recipient`,
    `message.bad_phone`, `account.unreachable`, `contact.unreachable`, and those of
    `notify.service.enqueue` (such as `notify.key_reused`).
    """
    outcomes = [Outcome(each.key or secrets.token_hex(12)) for each in wanted]
    known = _recipients(session, seen, wanted)
    notices: list[tuple[Outcome, service.Notice]] = []
    for each, outcome in zip(wanted, outcomes, strict=True):
        try:
            notices.append((outcome, _notice(actor, outcome.key, each, known)))
        except DomainError as error:
            outcome.refused = error
    earlier = _stored(session, [notice.key for _, notice in notices])
    _enqueue(session, notices)
    _tell(session, notices, earlier)
    good = [outcome.id for outcome in outcomes if outcome.id is not None and not outcome.replayed]
    if good:
        said = {"count": len(good), "first": good[0], "last": good[-1]}
        audit.record(session, actor, "messages.sent", "message", good[0], after=said)
    return outcomes


def withdraw(session: Session, actor: Actor, message_id: int) -> None:
    """Cancel a message that has not left.

    Raises:
        NotFound: ``notify.no_message``. Conflict: ``notify.too_late``.
    """
    service.cancel(session, message_id)
    audit.record(session, actor, "message.cancelled", "message", message_id)


def visible(actor: Actor, seen: Scope) -> ColumnElement[bool]:
    """Condition on ``outbox_message``: about a visible account, or sent by the person himself."""
    if seen.sees_all:
        return true()
    about = exists(
        select(Account.id)
        .where(Account.id == OutboxMessage.account_id, seen.accounts())
        .correlate(OutboxMessage)
    )
    return or_(about, sent_by(actor.staff_id))


def sent_by(staff_id: int | None, key: str = "") -> ColumnElement[bool]:
    """Condition on ``outbox_message``: a person sent it, under a key that begins so."""
    if staff_id is None:
        return false()
    return service.keys_from(stored_key(staff_id, key))


def phone_of(text: str) -> str:
    """A number as the outbox keeps it; what is no number stays as it is and is found nowhere."""
    return audience.number(text) or text


def stored_key(staff_id: int | None, key: str) -> str:
    """A caller's key as the outbox keeps it."""
    return f"by:{staff_id or 0}:{key}"


# --- one text ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """The recipients that were named by contact or account."""

    contacts: Mapping[int, Recipient]
    accounts: Mapping[str, Recipient]
    phones: Mapping[str, Recipient]


def _recipients(session: Session, seen: Scope, wanted: Iterable[Wanted]) -> _Known:
    """Read everybody who is named with three statements."""
    wanted = list(wanted)
    contact_ids = {each.contact_id for each in wanted if each.contact_id is not None}
    numbers = {each.account_no for each in wanted if each.account_no is not None}
    phones = {phone for each in wanted if (phone := audience.number(each.phone or "")) is not None}
    contacts: dict[int, Recipient] = {}
    accounts: dict[str, Recipient] = {}
    if contact_ids:
        for row in session.execute(audience.reachable(seen).where(among(Contact.id, contact_ids))):
            contacts.setdefault(row.contact_id, audience.recipient(row))
    if numbers:
        statement = audience.reachable(seen).add_columns(Account.account_no)
        for row in session.execute(statement.where(among_texts(Account.account_no, numbers))):
            accounts.setdefault(row.account_no, audience.recipient(row))
    return _Known(contacts, accounts, audience.known_phones(session, seen, phones))


def _recipient(each: Wanted, known: _Known) -> Recipient:
    named = [name for name in (each.phone, each.contact_id, each.account_no) if name is not None]
    if len(named) != 1:
        raise Invalid("message.no_recipient", "Name one of phone, contact_id and account_no.")
    if each.phone is not None:
        phone = audience.number(each.phone)
        if phone is None or not is_phone(phone):
            raise Invalid("message.bad_phone", "This is no phone number.", {"phone": each.phone})
        return known.phones.get(phone, Recipient(phone))
    found = known.contacts.get(each.contact_id or 0) or known.accounts.get(each.account_no or "")
    if found is None:
        what = "contact" if each.contact_id is not None else "account"
        raise NotFound(
            f"{what}.unreachable",
            f"There is no such {what} with a phone, or it is not yours to see.",
        )
    return found


def _notice(actor: Actor, key: str, each: Wanted, known: _Known) -> service.Notice:
    to = _recipient(each, known)
    event = events.event(each.event)
    return service.Notice(
        event=event.name,
        key=stored_key(actor.staff_id, key),
        phone=to.phone,
        language=each.language or to.language,
        data={name: _value(value, event.variables.get(name)) for name, value in each.data.items()},
        contact_id=to.contact_id,
        account_id=to.account_id,
        not_before=each.not_before,
        expires_at=each.expires_at,
        category=each.category,
        priority=each.priority,
    )


def _value(value: Any, kind: events.Kind | None) -> Any:
    """A value of a JSON document as what the template's variable declares; words stay words."""
    text = str(value)
    try:
        if kind in ("money", "quantity"):
            found = Decimal(text)
            return found if found.is_finite() and abs(found) < 10**12 else text
        return date.fromisoformat(text) if kind == "date" else text
    except (ValueError, InvalidOperation):
        return text


# --- many -------------------------------------------------------------------------------------


def _enqueue(session: Session, notices: Sequence[tuple[Outcome, service.Notice]]) -> None:
    """All in one go; when one of them is refused, each by itself.

    Of two with one key the second is asked for after the first, so that it is the same or a conflict.
    """
    first: dict[str, tuple[Outcome, service.Notice]] = {}
    again = [pair for pair in notices if first.setdefault(pair[1].key, pair) is not pair]
    try:
        with session.begin_nested():
            _note(session, list(first.values()))
    except DomainError:
        again = [*first.values(), *again]
    for pair in again:
        try:
            with session.begin_nested():
                _note(session, [pair])
        except DomainError as error:
            pair[0].refused = error


def _note(session: Session, notices: Sequence[tuple[Outcome, service.Notice]]) -> None:
    ids = service.enqueue(session, [notice for _, notice in notices], strict=True)
    for outcome, notice in notices:
        outcome.id = ids[notice.key]


def _stored(session: Session, keys: Collection[str]) -> set[str]:
    """The keys that are taken before anything of this call is stored."""
    return set(
        session.scalars(select(OutboxMessage.key).where(among_texts(OutboxMessage.key, keys)))
    )


def _tell(
    session: Session, notices: Sequence[tuple[Outcome, service.Notice]], earlier: set[str]
) -> None:
    """The state and size of everything that is in the outbox now."""
    ids = [outcome.id for outcome, _ in notices if outcome.id is not None]
    rows = session.execute(
        select(OutboxMessage.id, OutboxMessage.status, OutboxMessage.segments).where(
            among(OutboxMessage.id, ids)
        )
    )
    found = {row.id: row for row in rows}
    told: set[str] = set()
    for outcome, notice in notices:
        if outcome.id is not None:
            outcome.status = found[outcome.id].status
            outcome.segments = found[outcome.id].segments
            outcome.replayed = notice.key in earlier or notice.key in told
            told.add(notice.key)
