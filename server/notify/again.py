"""Sending the words of an ended message once more, as a message of its own."""

from __future__ import annotations

from sqlalchemy import func, select

from server.db import Session
from server.errors import Conflict, NotFound
from server.notify import service
from server.notify.models import OutboxMessage

FROM = ("failed", "expired", "cancelled", "unknown")
"""The states of which somebody may decide that it is worth another try."""


def count(session: Session, message_id: int) -> int:
    """How often a message was sent again already."""
    low = f"again:{message_id}:"
    keys = (OutboxMessage.key >= low) & (OutboxMessage.key < low + "a")
    return session.scalar(select(func.count()).select_from(OutboxMessage).where(keys)) or 0


def send(session: Session, message_id: int, tries: int) -> int:
    """Queue the same words to the same phone and return the new message's id.

    `tries` is how often the asker has seen it sent again: asked twice from one page it is one message.
    Raises NotFound `notify.no_message`, or Conflict `notify.not_ended` while it may still arrive.
    """
    m = session.get(OutboxMessage, message_id)
    if m is None:
        raise NotFound("notify.no_message", f"There is no message {message_id}.")
    if m.status not in FROM:
        raise Conflict(
            "notify.not_ended", f"Message {message_id} is {m.status}.", {"status": m.status}
        )
    notice = service.Notice(
        event="operator.text",
        key=f"again:{message_id}:{tries}",
        phone=m.phone,
        language=m.language,
        data={"text": m.text},
        contact_id=m.contact_id,
        account_id=m.account_id,
        category=m.category,
        priority=m.priority,
    )
    return service.enqueue(session, [notice])[notice.key]
