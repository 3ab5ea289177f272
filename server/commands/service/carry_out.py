"""Handlers at work: one command for many senders, and what fails fails alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy.exc import OperationalError

from server.commands.calls import Outcome, Reply
from server.commands.service.judged import Judged
from server.commands.table import HANDLERS
from server.db import Session
from server.errors import DomainError

logger = logging.getLogger(__name__)

FAILED = "commands.failed"


def carry_out(session: Session, judged: Sequence[Judged]) -> list[Judged]:
    """Every text with its outcome; those of one phone one after the other, others together."""
    done = [one for one in judged if one.call is None]
    left = [one for one in judged if one.call is not None]
    while left:
        turn: dict[str, Judged] = {}
        for one in left:
            turn.setdefault(one.sender.phone, one)
        for name, ones in _by_command(turn.values()).items():
            done += _run(session, name, ones)
        now = {one.inbound_id for one in turn.values()}
        left = [one for one in left if one.inbound_id not in now]
    return sorted(done, key=lambda one: one.inbound_id)


def _by_command(ones: Iterable[Judged]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for one in ones:
        if one.call is not None:
            found.setdefault(one.call.command.name, []).append(one)
    return found


def _run(session: Session, name: str, ones: list[Judged]) -> list[Judged]:
    """One command for many; when it fails, for each alone, so that only the cause fails."""
    calls = [one.call for one in ones if one.call is not None]
    try:
        with session.begin_nested():
            outcomes = HANDLERS[name](session, calls)
    except OperationalError:
        raise  # the database, not the text: everything is tried again
    except Exception as problem:  # whatever a handler raises, the others go on
        if len(ones) > 1:
            return [judged for one in ones for judged in _run(session, name, [one])]
        code = problem.code if isinstance(problem, DomainError) else FAILED
        logger.exception("a texted command failed", extra={"command": name, "code": code})
        return [replace(ones[0], state="failed", outcome=Outcome(Reply("reply.failed"), code))]
    return [
        replace(one, outcome=outcome, state="refused" if outcome.code else "handled")
        for one, outcome in zip(ones, outcomes, strict=True)
    ]
