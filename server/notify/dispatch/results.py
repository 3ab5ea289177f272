"""What gateways said, written down in one transaction with a fixed number of statements.

Answers and reports change segments; what the segments of a message add up to changes the message.
Every update repeats the states it may start from, so that repeated, late and disordered news cannot
take anything back.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from server.db import Session, insert_rows, update_rows
from server.notify.dispatch import claims
from server.notify.models import DeliveryReport, OutboxMessage, OutboxSegment
from server.notify.rules import answers, receipts, states

log = logging.getLogger(__name__)

# What a refusal does to a segment; classes that are not here end it.
_OUTCOME = {
    answers.THROTTLE: "returned",
    answers.TRANSIENT: "refused",
    answers.BIND: "refused",  # the bind's trouble, not the message's
}
_S = OutboxSegment
_ACCEPT = (
    update(_S)
    .where(_S.id == bindparam("token"), or_(_S.status == "submitted", _S.status == "unknown"))
    .values(
        status="accepted", carrier_id=bindparam("carrier"), answered_at=bindparam("at"), error=None
    )
)


@dataclass(frozen=True)
class Answer:
    """The carrier's answer to the segment `token`."""

    token: int
    status: int
    message_id: str


@dataclass
class Batch:
    """News of one gateway: answers, segments lost or returned, and delivery reports."""

    answers: list[Answer] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    receipts: list[receipts.Receipt] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.answers or self.lost or self.returned or self.receipts)


def record(
    session: Session,
    gateway_id: int,
    batch: Batch,
    now: datetime,
    *,
    id_mode: str = "as_is",
    statuses: Mapping[int, str] | None = None,
) -> None:
    """Store a batch and move the messages it concerns.

    `id_mode` is how this carrier's reports write ids (receipts.ID_MODES), `statuses` its own classes of
    command statuses.
    """
    if not batch:
        return
    carrier_ids = _record_answers(session, batch.answers, now, id_mode, statuses)
    _move_segments(session, "unknown", batch.lost)
    _move_segments(session, "returned", batch.returned)
    carrier_ids |= _store_reports(session, gateway_id, batch.receipts, now, id_mode)
    touched = _match_reports(session, gateway_id, carrier_ids, now)
    tokens = [answer.token for answer in batch.answers] + batch.lost + batch.returned
    settle(session, touched | _messages_of(session, tokens), now)


def settle(session: Session, message_ids: Collection[int], now: datetime) -> None:
    """Move each message to what its segments add up to."""
    moves: dict[tuple[str, str | None, datetime | None, int], list[int]] = defaultdict(list)
    jitter = random.random()  # noqa: S311  # spreads retries; no secret
    for message_id, (message, parts) in _with_segments(session, message_ids).items():
        state = states.of_message(message.segments, ((part.part, part.status) for part in parts))
        if state is None:
            continue
        errors = [part.error for part in parts if part.error]
        error, not_before, undo = (errors[-1] if errors else None), None, 0
        if state == "requeue":
            # Neither throttling nor a connection that broke first counts as a try.
            state, undo = "queued", 1
        elif state == "retry":
            seconds = answers.back_off(message.attempts, jitter)
            state = "failed" if seconds is None else "held"
            not_before = None if seconds is None else now + timedelta(seconds=seconds)
        if states.allowed(message.status, state):
            moves[state, error, not_before, undo].append(message_id)
    for (state, error, not_before, undo), ids in moves.items():
        _move_messages(session, state, ids, now, error, not_before, undo)


def _move_messages(
    session: Session,
    state: str,
    ids: Sequence[int],
    now: datetime,
    error: str | None,
    not_before: datetime | None,
    undo: int,
) -> None:
    values: dict[str, Any] = {"error": error}
    if state in ("queued", "held"):
        values["owner"] = None
    if state == "held":
        values["not_before"] = not_before
    if undo:
        values["attempts"] = OutboxMessage.attempts - undo
    allowed = tuple(old for old in states.sources(state) if old != "claimed")
    claims.move(session, state, ids, now, sources=allowed, **values)


def _with_segments(session: Session, ids: Collection[int]) -> dict[int, tuple[Any, list[Any]]]:
    if not ids:
        return {}
    m = OutboxMessage
    rows = session.connection().execute(
        select(m.id, m.segments, m.status, m.attempts, _S.part, _S.status.label("state"), _S.error)
        .join(_S, _S.message_id == m.id)
        .where(m.id.in_(sorted(ids)))
        .order_by(_S.id)
    )
    found: dict[int, tuple[Any, list[Any]]] = {}
    for row in rows:
        found.setdefault(row.id, (row, []))[1].append(_SegmentNews(row.part, row.state, row.error))
    return found


@dataclass(frozen=True)
class _SegmentNews:
    part: int
    status: str
    error: str | None


def _record_answers(
    session: Session,
    news: Iterable[Answer],
    now: datetime,
    id_mode: str,
    statuses: Mapping[int, str] | None,
) -> set[str]:
    """Move answered segments and return the carrier ids that are new."""
    taken: list[dict[str, Any]] = []
    refused: dict[tuple[str, str], list[int]] = defaultdict(list)
    for answer in news:
        kind = answers.classify(answer.status, statuses)
        if kind == answers.OK:
            carrier = receipts.response_id(answer.message_id, id_mode)
            taken.append({"token": answer.token, "carrier": carrier, "at": now})
        else:
            outcome = _OUTCOME.get(kind, "failed")
            if kind == answers.CONFIGURATION:
                log.error("the carrier refuses our configuration: status 0x%02x", answer.status)
            refused[outcome, answers.error_code(answer.status)].append(answer.token)
    if taken:
        session.connection().execute(_ACCEPT, taken)
    for (outcome, error), tokens in refused.items():
        _move_segments(session, outcome, tokens, error=error, answered_at=now)
    return {str(row["carrier"]) for row in taken if row["carrier"]}


def _move_segments(session: Session, target: str, ids: Sequence[int], **values: Any) -> None:
    if ids:
        session.connection().execute(
            update(_S)
            .where(_S.id.in_(ids), _S.status.in_(states.SEGMENT_TRANSITIONS[target]))
            .values(status=target, **values)
        )


def _store_reports(
    session: Session,
    gateway_id: int,
    news: Sequence[receipts.Receipt],
    now: datetime,
    id_mode: str,
) -> set[str]:
    rows = [
        {
            "created_at": now,
            "gateway_id": gateway_id,
            "carrier_id": receipts.normalise_id(receipt.message_id, id_mode),
            "state": receipt.state,
            "error": receipt.error,
            "stamp": receipt.stamp,
        }
        for receipt in news
    ]
    insert_rows(
        session,
        DeliveryReport,
        rows,
        on_conflict=("gateway_id", "carrier_id", "state", "stamp"),
    )
    return {str(row["carrier_id"]) for row in rows if row["carrier_id"]}


def _match_reports(
    session: Session, gateway_id: int, carrier_ids: Collection[str], now: datetime
) -> set[int]:
    """Give parked reports of these ids to their segments; the messages concerned."""
    if not carrier_ids:
        return set()
    r = DeliveryReport
    rows = session.connection().execute(
        select(r.id, r.state, r.error, _S.id.label("segment_id"), _S.message_id)
        .join(_S, (_S.gateway_id == r.gateway_id) & (_S.carrier_id == r.carrier_id))
        .where(
            r.segment_id.is_(None),
            r.gateway_id == gateway_id,
            r.carrier_id.in_(sorted(carrier_ids)),
        )
        .order_by(r.id, _S.id)
    )
    # Carriers use ids again after a while: the newest segment of an id is the one meant.
    matched = {row.id: row for row in rows}
    update_rows(
        session,
        r,
        ("id",),
        [{"id": row.id, "segment_id": row.segment_id} for row in matched.values()],
    )
    outcomes: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for row in matched.values():
        outcome = receipts.SEGMENT_OUTCOME.get(row.state)
        if outcome is not None:
            error = None if outcome == "delivered" else f"report.{row.state}"
            outcomes[outcome, error].append(row.segment_id)
    for (outcome, error), ids in outcomes.items():
        _move_segments(session, outcome, ids, reported_at=now, error=error)
    return {row.message_id for row in matched.values()}


def _messages_of(session: Session, tokens: Sequence[int]) -> set[int]:
    if not tokens:
        return set()
    statement = select(_S.message_id).where(_S.id.in_(tokens)).distinct()
    return set(session.connection().execute(statement).scalars())
