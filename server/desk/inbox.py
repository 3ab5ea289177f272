"""What people do with texts that no command understood: read, answer, put aside."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, exists, literal_column, select, true

from server import audit, clock
from server.accounts.models import Account, Contact
from server.db import Session
from server.errors import Conflict, Invalid
from server.identity.actor import Actor
from server.notify import service
from server.notify.models import InboundMessage
from server.notify.rules.phones import is_phone
from server.rounds.scope import Scope

TO_LOOK_AT = ("unmatched", "incomplete", "repeat", "failed")
_I = InboundMessage
# As the index of the table says it, so that both databases use it.
OPEN: ColumnElement[bool] = literal_column(
    "inbound_message.handled_at IS NULL"
    " AND inbound_message.state IN ('unmatched', 'incomplete', 'repeat', 'failed')"
)


def visible(seen: Scope, phone: Any) -> ColumnElement[bool]:
    """Condition on a table with phones: the phone belongs to the customer of a visible account."""
    if seen.sees_all:
        return true()
    return exists(
        select(Contact.id)
        .join(Account, Account.customer_id == Contact.customer_id)
        .where(Contact.phone == phone, seen.accounts())
        .correlate(phone.parent.local_table)
    )


def put_aside(session: Session, actor: Actor, row: InboundMessage) -> None:
    """Note that somebody has looked at a text and nothing more is to be done.

    Raises:
        Conflict: ``inbound.closed`` when it was dealt with already.
    """
    _require_open(row)
    row.handled_at = clock.now()
    audit.record(session, actor, "inbound.closed", "inbound", row.id)


def answer(session: Session, actor: Actor, row: InboundMessage, text: str) -> int:
    """Answer the phone that wrote, and return the message's id.

    Raises:
        Conflict: ``inbound.closed`` when it was dealt with already.
        Invalid: ``inbound.no_phone`` for a sender that is no number; ``inbound.no_answer`` without
            words; what ``notify.service.enqueue`` says of texts.
    """
    _require_open(row)
    if not is_phone(row.phone):
        raise Invalid("inbound.no_phone", "The sender is no number that could be answered.")
    if not text.strip():
        raise Invalid("inbound.no_answer", "Write the answer.")
    notice = service.Notice("message.reply", f"answer:{row.id}", row.phone, None, {"text": text})
    number = service.enqueue(session, [notice], strict=True)[notice.key]
    row.handled_at, row.reply_id = clock.now(), number
    said = {"message": number}
    audit.record(session, actor, "inbound.answered", "inbound", row.id, after=said)
    return number


def _require_open(row: InboundMessage) -> None:
    if row.handled_at is not None or row.state not in TO_LOOK_AT:
        raise Conflict("inbound.closed", "This text was dealt with already.")
