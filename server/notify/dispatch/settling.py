"""What the segments of a message add up to, and where that moves the message."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from server.db import Session, among
from server.notify import routes, transitions
from server.notify.dispatch import claims
from server.notify.models import OutboxMessage, OutboxSegment
from server.notify.rules import answers, states
from server.notify.transitions import Transition

_M, _S = OutboxMessage, OutboxSegment
# A refusal for a while is tried at the same carrier so often before another way is looked for.
_TRIES_BEFORE_ANOTHER_WAY = 2
_WORTH_NOTING = ("queued", "held", "unknown", "failed", "expired")


class _Move(NamedTuple):
    """Where messages go, and what is written with it."""

    state: str
    reason: str
    error: str | None
    not_before: datetime | None = None
    undo: int = 0
    gateway_id: int | None = None
    loss: int = 0


def settle(
    session: Session,
    message_ids: Collection[int],
    now: datetime,
    *,
    gateway_id: int | None = None,
    cut: Collection[int] = (),
) -> None:
    """Move each message to what its segments add up to; `cut` are those whose line was cut.

    The messages are locked first: parts of one may be answered by two gateways at the same moment.
    """
    if not message_ids:
        return
    moves: dict[_Move, list[Any]] = defaultdict(list)
    for message, parts in _with_segments(session, message_ids):
        move = _judge(session, message, parts, now, cut)
        if move is not None and states.allowed(message.status, move.state):
            moves[move].append(message)
    steps: list[Transition] = []
    for move, messages in moves.items():
        moved = _carry_out(session, move, [one.id for one in messages], now)
        if move.state in _WORTH_NOTING:
            detail = {"error": move.error} if move.error else None
            where = move.gateway_id or gateway_id
            steps += [
                Transition(one.id, one.status, move.state, move.reason, where, detail)
                for one in messages
                if one.id in moved
            ]
    transitions.record(session, steps)


def _judge(
    session: Session, message: Any, parts: Sequence[Any], now: datetime, cut: Collection[int]
) -> _Move | None:
    state = states.of_message(
        message.segments, ((part.part, part.units, part.status) for part in parts)
    )
    errors = [part.error for part in parts if part.error]
    error = errors[-1] if errors else None
    if state == "requeue":
        # Neither throttling nor a connection that broke first counts as a try.
        return _Move("queued", "throttled" if error else "not_written", error, undo=1)
    if state == "retry":
        seconds = answers.back_off(message.attempts, _jitter())
        if seconds is None:
            return _Move("failed", "tried_often", error)
        later = now + timedelta(seconds=seconds)
        other = _another_way(session, message, parts)
        return _Move("held", "back_off", error, later, gateway_id=other)
    if state is None:
        return None
    loss = 1 if state == "unknown" and message.id in cut else 0
    reason = {"unknown": "line_cut" if loss else "no_answer"}.get(state, "answer")
    return _Move(state, reason, error, loss=loss)


def _jitter() -> float:
    # One value for a batch would send all of it again at once.
    return round(random.random(), 1)  # noqa: S311  # spreads retries; no secret


def _another_way(session: Session, message: Any, parts: Sequence[Any]) -> int | None:
    """The next gateway for a message that this one refuses again; never for a part of one."""
    taken = any(part.status in ("accepted", "delivered") for part in parts)
    if taken or message.attempts < _TRIES_BEFORE_ANOTHER_WAY:
        return None
    tried = {part.gateway_id for part in parts}
    return routes.cached(session).next(message.phone, message.category, tried)


def _carry_out(session: Session, move: _Move, ids: Sequence[int], now: datetime) -> set[int]:
    values: dict[str, Any] = {"error": move.error}
    if move.state == "held":
        values["not_before"] = move.not_before
    if move.gateway_id is not None:
        values["gateway_id"] = move.gateway_id
    if move.undo:
        values["attempts"] = _M.attempts - move.undo
    if move.loss:
        values["losses"] = _M.losses + move.loss
    # What waits in the queue or for its turn has no segment under way: nothing to settle about it.
    sources = [
        old for old in states.sources(move.state) if old not in ("claimed", "queued", "held")
    ]
    return claims.move(session, move.state, ids, now, sources=sources, **values)


def _with_segments(session: Session, ids: Collection[int]) -> list[tuple[Any, list[Any]]]:
    run = session.connection().execute
    messages = run(
        select(_M.id, _M.segments, _M.status, _M.attempts, _M.phone, _M.category)
        .where(among(_M.id, ids))
        .order_by(_M.id)
        .with_for_update()
    ).all()
    segments = run(
        select(_S.message_id, _S.part, _S.units, _S.status, _S.error, _S.gateway_id)
        .where(among(_S.message_id, ids))
        .order_by(_S.id)
    )
    parts: dict[int, list[Any]] = defaultdict(list)
    for row in segments:
        parts[row.message_id].append(row)
    return [(message, parts[message.id]) for message in messages]
