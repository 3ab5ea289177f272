"""What others may do with notices: queue them, withdraw them, word them, and set gateways up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from server import clock
from server.db import Session, among_texts, insert_new, take_ids
from server.errors import Conflict, Invalid, NotFound
from server.notify.gateways import kinds
from server.notify.models import Gateway, NoticeTemplate, OutboxMessage
from server.notify.rules import events, segments, states, templates
from server.notify.rules.phones import is_phone
from server.notify.secrets import reseal
from server.operator import Operator

_SLICE = 5000


@dataclass(frozen=True)
class Notice:
    """One notice to one phone.

    `key` names event and phone for ever: a second notice of the same key is the same message. `data`
    holds exactly the variables that `rules.events` declares for `event` (values, not words: see
    `rules.templates`); the operator's name `co` is added here. `language` is the contact's. Before `not_before` it waits, after `expires_at`
    it is not sent any more.
    """

    event: str
    key: str
    phone: str
    language: str | None
    data: Mapping[str, Any]
    contact_id: int | None = None
    account_id: int | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None


def enqueue(session: Session, notices: Sequence[Notice], *, strict: bool = False) -> dict[str, int]:
    """Queue notices in the caller's transaction and return the message id of every key.

    The number of statements does not grow with the notices below five thousand. A phone that no
    gateway can take makes a failed message instead of an error, so that one bad number never undoes
    what it was to be told about. With `strict`, a key that was used for another text or phone raises
    Conflict `notify.key_reused`; without, the earlier message stands.

    Raises Invalid `notify.unknown_event`, `notify.missing_data`, `notify.unknown_data` or
    `notify.text_too_long`: mistakes of the caller or of a template.
    """
    wanted = {notice.key: notice for notice in notices}
    if not wanted:
        return {}
    wording = _wording(session, wanted.values())
    rows = [_row(notice, wording, clock.now()) for notice in wanted.values()]
    ids = take_ids(session, {OutboxMessage: len(rows)})[OutboxMessage]
    for row, number in zip(rows, ids, strict=True):
        row["id"] = number
    new = set(insert_new(session, OutboxMessage, rows, ("key",), "key"))
    found: dict[str, int] = {row["key"]: row["id"] for row in rows if row["key"] in new}
    earlier = [row for row in rows if row["key"] not in new]
    for start in range(0, len(earlier), _SLICE):
        found |= _stored(session, earlier[start : start + _SLICE], strict=strict)
    return found


def cancel(session: Session, message_id: int) -> None:
    """Withdraw a message that is still queued or held.

    Raises NotFound `notify.no_message`, or Conflict `notify.too_late` when it has left already.
    """
    statement = (
        update(OutboxMessage)
        .where(
            OutboxMessage.id == message_id, OutboxMessage.status.in_(states.sources("cancelled"))
        )
        .values(status="cancelled", status_at=clock.now())
        .returning(OutboxMessage.id)
    )
    if session.execute(statement).scalar() is not None:
        return
    status = session.scalar(select(OutboxMessage.status).where(OutboxMessage.id == message_id))
    if status is None:
        raise NotFound("notify.no_message", f"There is no message {message_id}.")
    raise Conflict(
        "notify.too_late",
        f"Message {message_id} is {status} and cannot be withdrawn.",
        {"status": status},
    )


def put_template(session: Session, event: str, language: str, body: str) -> None:
    """Word a notice in one language. Raises Invalid `notify.unknown_event` or `notify.bad_template`."""
    templates.check(events.event(event), body)
    if language not in events.LANGUAGES:
        raise Invalid("notify.unknown_language", f"There are no templates in {language}.")
    row = session.scalar(
        select(NoticeTemplate).where(
            NoticeTemplate.event == event, NoticeTemplate.language == language
        )
    )
    if row is None:
        session.add(NoticeTemplate(event=event, language=language, body=body))
    else:
        row.body = body


def put_gateway(
    session: Session,
    name: str,
    kind: str,
    config: Mapping[str, Any],
    *,
    enabled: bool = True,
    simulated: bool = False,
    position: int = 100,
) -> None:
    """Set a gateway up or change it; workers take the change over within seconds.

    Secrets are stored sealed; one that `config` leaves out or empty stays what it was. Raises Invalid
    `notify.bad_gateway` with every problem of the configuration, or Conflict `notify.wrong_key`.
    """
    row = session.scalar(select(Gateway).where(Gateway.name == name))
    before = row.config if row is not None and row.kind == kind else None
    stored = kinds.sealed(kind, name, config, before)
    if row is None:
        row = Gateway(name=name)
        session.add(row)
    row.kind, row.config = kind, stored
    row.enabled, row.simulated, row.position = enabled, simulated, position
    session.flush()


def reseal_gateways(session: Session) -> int:
    """Seal the secrets of every gateway under the newest key; how many gateways have secrets.

    Raises Conflict `notify.wrong_key` when one cannot be opened; then nothing is changed.
    """
    count = 0
    for row in session.scalars(select(Gateway).order_by(Gateway.id)):
        names = kinds.secrets_of(row.kind) & row.config.keys()
        row.config = {
            key: reseal(value) if key in names and value else value
            for key, value in row.config.items()
        }
        count += bool(names)
    return count


@dataclass(frozen=True)
class _Wording:
    """What texts are made of: the operator's name and the body of every event and language."""

    operator: str
    bodies: Mapping[tuple[str, str], str]

    def text(self, event: events.Event, language: str, data: Mapping[str, Any]) -> str:
        if "co" in event.variables and "co" not in data:
            data = {"co": self.operator, **data}
        return templates.render(event, language, self.bodies[event.name, language], data)


def _wording(session: Session, notices: Collection[Notice]) -> _Wording:
    """The operator's own templates stand before the defaults."""
    names = sorted({notice.event for notice in notices})
    rows = session.execute(
        select(NoticeTemplate.event, NoticeTemplate.language, NoticeTemplate.body).where(
            NoticeTemplate.event.in_(names)
        )
    )
    own = {(row[0], row[1]): row[2] for row in rows}
    operator = session.scalar(select(Operator.name).where(Operator.id == 1)) or ""
    return _Wording(operator, {**events.DEFAULT_TEMPLATES, **own})


def _row(notice: Notice, wording: _Wording, now: datetime) -> dict[str, Any]:
    event = events.event(notice.event)
    language = events.language(notice.language)
    text = wording.text(event, language, notice.data)
    good = is_phone(notice.phone)
    waits = notice.not_before is not None and notice.not_before > now
    return {
        "created_at": now,
        "key": notice.key,
        "event": event.name,
        "category": event.category,
        "priority": event.priority,
        "delivery": event.delivery,
        "phone": notice.phone[:20],
        "contact_id": notice.contact_id,
        "account_id": notice.account_id,
        "language": language,
        "text": text,
        "segments": segments.split(text).count,
        "status": "failed" if not good else "held" if waits else "queued",
        "attempts": 0,
        "copies": 0,
        "possible_duplicate": False,
        "error": None if good else "notify.bad_phone",
        "not_before": notice.not_before,
        "expires_at": notice.expires_at,
        "status_at": now,
    }


def _stored(session: Session, rows: Sequence[Mapping[str, Any]], *, strict: bool) -> dict[str, int]:
    """The message of every key that an earlier call has used."""
    wanted = {row["key"]: row for row in rows}
    found = session.execute(
        select(OutboxMessage.key, OutboxMessage.id, OutboxMessage.phone, OutboxMessage.text).where(
            among_texts(OutboxMessage.key, wanted)
        )
    ).all()
    if strict:
        for key, _, phone, text in found:
            if (phone, text) != (wanted[key]["phone"], wanted[key]["text"]):
                raise Conflict(
                    "notify.key_reused",
                    f"The key {key} belongs to another notice already.",
                    {"key": key},
                )
    return {key: number for key, number, _, _ in found}
