"""A phone refuses messages, or wants them again. Anybody may say so of his own phone."""

from __future__ import annotations

from collections.abc import Sequence

from server.commands.calls import Call, Outcome, Reply
from server.commands.rules import topics
from server.db import Session
from server.identity.actor import SYSTEM
from server.notify import consent


def stop(session: Session, calls: Sequence[Call]) -> list[Outcome]:
    """Note what each phone refuses from now on."""
    for call in calls:
        consent.refuse(session, SYSTEM, call.sender.phone, call.arguments["categories"], "text")
    return [_told(call, "reply.stopped") for call in calls]


def start(session: Session, calls: Sequence[Call]) -> list[Outcome]:
    """Take back what each phone had refused."""
    for call in calls:
        consent.allow(session, SYSTEM, call.sender.phone, call.arguments["categories"], "text")
    return [_told(call, "reply.started") for call in calls]


def _told(call: Call, event: str) -> Outcome:
    what = topics.named(call.arguments["categories"], call.sender.language)
    return Outcome(Reply(event, {"what": what}))
