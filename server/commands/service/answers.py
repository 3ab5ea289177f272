"""Answers into the outbox, as many as a phone may have."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import func, select

from server import clock
from server.commands.calls import Reply
from server.commands.rules.replies import Limits, kept_silent
from server.commands.service.judged import NOT_REGISTERED, Judged
from server.db import Session, among_texts
from server.errors import DomainError
from server.notify import service as notices
from server.notify.models import OutboxMessage
from server.notify.service import Notice

logger = logging.getLogger(__name__)

_WORTH = timedelta(hours=12)  # an answer that has not left by then answers nothing any more

# The message id of an answer by text, or the code of why there is none.
Answers = Mapping[int, int | str]


def answer(
    session: Session, done: Sequence[Judged], own: Collection[str], limits: Limits
) -> Answers:
    """Queue the answer to each text that gets one."""
    asking = [(one, one.outcome.reply) for one in done if one.outcome.reply is not None]
    if not asking:
        return {}
    answered = _answered(session, {one.sender.phone for one, _ in asking})
    found: dict[int, int | str] = {}
    notes: dict[int, Notice] = {}
    for one, reply in asking:
        phone = one.sender.phone
        silent = kept_silent(phone, own, answered.get(phone, 0), limits)
        if silent is None and not (one.sender.registered or limits.answer_strangers):
            silent = NOT_REGISTERED
        if silent is not None:
            found[one.inbound_id] = silent
            continue
        answered[phone] = answered.get(phone, 0) + 1
        notes[one.inbound_id] = _notice(one, reply)
    return found | _enqueue(session, notes)


def _answered(session: Session, phones: Collection[str]) -> dict[str, int]:
    """How many automatic answers phones had in the last hour."""
    sent = OutboxMessage
    rows = session.execute(
        select(sent.phone, func.count())
        .where(
            among_texts(sent.phone, phones),
            sent.created_at > clock.now() - timedelta(hours=1),
            sent.event.startswith("reply."),
        )
        .group_by(sent.phone)
    )
    return {phone: count for phone, count in rows}


def _notice(one: Judged, reply: Reply) -> Notice:
    return Notice(
        event=reply.event,
        key=f"reply:{one.inbound_id}",
        phone=one.sender.phone,
        language=one.sender.language,
        data=reply.data,
        contact_id=one.sender.contact_id,
        account_id=reply.account_id,
        expires_at=clock.now() + _WORTH,
    )


def _enqueue(session: Session, notes: Mapping[int, Notice]) -> dict[int, int | str]:
    """Queue answers; an operator's template that cannot be used loses that answer and no other."""
    if not notes:
        return {}
    try:
        with session.begin_nested():
            ids = notices.enqueue(session, list(notes.values()))
    except DomainError as problem:
        if len(notes) == 1:
            logger.warning("an answer cannot be written: %s", problem.code)
            return dict.fromkeys(notes, problem.code)
        found: dict[int, int | str] = {}
        for inbound_id, notice in notes.items():
            found |= _enqueue(session, {inbound_id: notice})
        return found
    return {inbound_id: ids[notice.key] for inbound_id, notice in notes.items()}
