"""A text tried out: everything as in earnest, and all of it taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from server import clock
from server.commands import senders
from server.commands.rules.replies import Limits
from server.commands.service.answers import answer
from server.commands.service.batch import text_row
from server.commands.service.carry_out import carry_out
from server.commands.service.judged import Heard, judge
from server.db import Session
from server.notify.models import OutboxMessage


@dataclass(frozen=True)
class Trial:
    """What would become of a text; `reply` is the wording of the answer."""

    command: str | None
    arguments: Mapping[str, Any]
    state: str
    code: str | None
    reply: str | None


def rehearse(session: Session, phone: str, text: str, limits: Limits) -> Trial:
    """Carry a text out as `handle` would, without a row of its own, and take everything back."""
    own = senders.own_numbers(session)
    sender = senders.load(session, [phone])[phone]
    with session.begin_nested() as trial:
        (done,) = carry_out(session, [judge(sender, Heard(0, phone, text, False), own, limits)])
        row = text_row(done, answer(session, [done], own, limits), clock.now())
        reply = session.scalar(
            select(OutboxMessage.text).where(OutboxMessage.id == row["reply_id"])
        )
        trial.rollback()
    arguments = done.parsed.arguments if done.parsed else {}
    return Trial(row["command"], arguments, row["state"], row["code"], reply)
