"""One batch of texts from claim to answer.

A text is claimed by its row lock for one transaction. Whatever ends that transaction, a killed process
included, leaves the text as it was; the unique row of its command guards what the lock should already.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, literal_column, select

from server import clock
from server.commands import senders
from server.commands.models import CommandRun
from server.commands.rules.replies import Limits
from server.commands.service.answers import Answers, answer
from server.commands.service.carry_out import carry_out
from server.commands.service.judged import Heard, Judged, judge
from server.db import Session, among_texts, insert_rows, update_rows
from server.notify.models import InboundMessage

MOST = 200
_M = InboundMessage
# Literal, because a partial index is used for nothing else.
_RECEIVED = _M.state == literal_column("'received'")


def waiting(session: Session) -> bool:
    """Whether any text waits for its command."""
    return bool(session.scalar(select(exists().where(_RECEIVED))))


def handle(session: Session, limits: Limits, most: int = MOST) -> int:
    """Carry out up to `most` texts in the caller's transaction; how many were dealt with."""
    texts = _claim(session, most)
    if not texts:
        return 0
    known = senders.load(session, {text.phone for text in texts})
    own = senders.own_numbers(session)
    done = carry_out(session, [judge(known[text.phone], text, own, limits) for text in texts])
    _keep(session, done, answer(session, done, own, limits))
    return len(done)


def _claim(session: Session, most: int) -> list[Heard]:
    """The oldest texts that nobody else works on; of a phone none before its earlier ones."""
    rows = session.execute(
        select(_M.id, _M.phone, _M.text, _M.damaged)
        .where(_RECEIVED)
        .order_by(_M.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    texts = [Heard(*row) for row in rows]
    if not texts:
        return []
    first = session.execute(
        select(_M.phone, func.min(_M.id))
        .where(_RECEIVED, among_texts(_M.phone, {text.phone for text in texts}))
        .group_by(_M.phone)
    )
    ours = {text.id for text in texts}
    elsewhere = {phone for phone, number in first if number not in ours}
    return [text for text in texts if text.phone not in elsewhere]


def _keep(session: Session, done: Sequence[Judged], answers: Answers) -> None:
    """Write what became of every text, and the row of every command."""
    now = clock.now()
    insert_rows(session, CommandRun, [_run_row(one, now) for one in done if one.parsed])
    update_rows(session, _M, ("id",), [text_row(one, answers, now) for one in done])


def _run_row(one: Judged, now: datetime) -> dict[str, Any]:
    return {
        "created_at": now,
        "inbound_id": one.inbound_id,
        "command": one.parsed.command.name if one.parsed else "",
        "contact_id": one.sender.contact_id,
        "arguments": dict(one.parsed.arguments) if one.parsed else {},
    }


def text_row(one: Judged, answers: Answers, now: datetime) -> dict[str, Any]:
    """What became of a text, as its row says it."""
    reply = answers.get(one.inbound_id)
    return {
        "id": one.inbound_id,
        "state": one.state,
        "code": one.outcome.code or (reply if isinstance(reply, str) else None),
        "command": one.parsed.command.name if one.parsed else None,
        "reply_id": reply if isinstance(reply, int) else None,
        # What people have to look at stays open until one of them has.
        "handled_at": now if one.state in ("handled", "refused") else None,
    }
