"""What gateways said, written down in one transaction with a fixed number of statements.

Answers and reports change segments; what the segments of a message add up to changes the message.
Every update repeats the states it may start from, so that repeated, late and disordered news cannot
take anything back. A message of one segment whose news is good needs no adding up: that is the road
nearly all take, and the one that has to be fast.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import update

from server.db import Many, Session, among
from server.notify.dispatch import reports
from server.notify.dispatch.settling import settle
from server.notify.gateways.port import Answer
from server.notify.models import OutboxSegment
from server.notify.rules import answers, receipts, states
from server.notify.rules.receipts import Receipt

__all__ = ["Answer", "Batch", "record", "settle"]

log = logging.getLogger(__name__)

# What a refusal does to a segment; classes that are not here end it.
_OUTCOME = {
    answers.THROTTLE: "returned",
    answers.TRANSIENT: "refused",
    answers.BIND: "refused",  # the bind's trouble, not the message's
}
_S = OutboxSegment
_ACCEPT = Many(
    "UPDATE outbox_segment SET status = 'accepted', carrier_id = x.carrier, answered_at = :at,"
    " error = NULL FROM {rows} WHERE outbox_segment.id = x.id"
    " AND outbox_segment.status IN ('submitted', 'unknown')",
    {"id": "bigint", "carrier": "text"},
    ["at"],
)
_ACCEPT_DELIVERED = Many(
    "UPDATE outbox_segment SET status = 'delivered', carrier_id = x.carrier, answered_at = :at,"
    " reported_at = :at, error = NULL FROM {rows} WHERE outbox_segment.id = x.id"
    " AND outbox_segment.status IN ('submitted', 'unknown')",
    {"id": "bigint", "carrier": "text"},
    ["at"],
)
_ACCEPT_MESSAGES = Many(
    "UPDATE outbox_message SET status = 'accepted', status_at = :at, error = NULL FROM {rows}"
    " WHERE outbox_message.id = x.id AND outbox_message.status IN ('submitted', 'unknown')",
    {"id": "bigint"},
    ["at"],
)


@dataclass
class Batch:
    """News of one gateway.

    Answers, segments without one (`lost`: in time; `cut`: the line was cut), segments that were never
    written, and delivery reports.
    """

    answers: list[Answer] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.answers or self.lost or self.cut or self.returned or self.receipts)


def record(
    session: Session,
    gateway_id: int,
    batch: Batch,
    now: datetime,
    *,
    id_mode: str = "as_is",
    statuses: Mapping[int, str] | None = None,
    alone: Mapping[int, int] | None = None,
) -> None:
    """Store a batch and move the messages it concerns.

    `id_mode` is how this carrier's reports write ids (receipts.ID_MODES), `statuses` its own classes
    of command statuses. `alone` knows the message of tokens that are its only segment.
    """
    if not batch:
        return
    alone = alone or {}
    taken, refused = _sort(batch.answers, id_mode, statuses)
    news = reports.named(batch.receipts, id_mode)
    arrived = _take(session, taken, news, alone, now)
    for (outcome, error), tokens in refused.items():
        _move_segments(session, outcome, tokens, error=error, answered_at=now)
    _move_segments(session, "unknown", batch.lost + batch.cut)
    _move_segments(session, "returned", batch.returned)
    new_ids = {carrier for _, carrier in taken if carrier}
    touched = reports.record(session, gateway_id, news, arrived, new_ids, now)
    tokens = [token for token, _ in taken if token not in alone]
    tokens += [token for some in refused.values() for token in some]
    others = _messages_of(session, tokens + batch.lost + batch.cut + batch.returned)
    cut = set(batch.cut)
    touched |= set(others.values())
    settle(
        session,
        touched,
        now,
        gateway_id=gateway_id,
        cut={message for token, message in others.items() if token in cut},
    )


def _take(
    session: Session,
    taken: Sequence[tuple[int, str | None]],
    news: Sequence[reports.Named],
    alone: Mapping[int, int],
    now: datetime,
) -> dict[str, int]:
    """Write down what the carrier took; gives those segments by id that arrived already.

    Where the report came together with the answer and the segment is the whole message, both are
    written at once.
    """
    said = reports.first_words(news) if taken else {}
    arrived: list[tuple[int, str | None]] = []
    on_the_way: list[tuple[int, str | None]] = []
    for one in taken:
        token, carrier = one
        delivered = carrier and token in alone and said.get(carrier) == "delivered"
        (arrived if delivered else on_the_way).append(one)
    if on_the_way:
        _ACCEPT.run(session, on_the_way, at=now)
        whole = [(alone[token],) for token, _ in on_the_way if token in alone]
        if whole:
            _ACCEPT_MESSAGES.run(session, whole, at=now)
    if arrived:
        _ACCEPT_DELIVERED.run(session, arrived, at=now)
        reports.deliver(session, [alone[token] for token, _ in arrived], now)
    return {carrier: token for token, carrier in arrived if carrier}


def _sort(
    news: Iterable[Answer], id_mode: str, statuses: Mapping[int, str] | None
) -> tuple[list[tuple[int, str | None]], dict[tuple[str, str], list[int]]]:
    """Answers as (token, carrier id) of what was taken, and tokens by (outcome, error) of the rest."""
    taken: list[tuple[int, str | None]] = []
    refused: dict[tuple[str, str], list[int]] = defaultdict(list)
    for token, status, message_id in news:
        kind = answers.OK if status == 0 else answers.classify(status, statuses)
        if kind == answers.OK:
            taken.append((token, receipts.response_id(message_id, id_mode)))
            continue
        if kind == answers.CONFIGURATION:
            log.error("the carrier refuses our configuration: %s", answers.error_code(status))
        refused[_OUTCOME.get(kind, "failed"), answers.error_code(status)].append(token)
    return taken, refused


def _move_segments(session: Session, target: str, ids: Sequence[int], **values: Any) -> None:
    if ids:
        session.connection().execute(
            update(_S)
            .where(among(_S.id, ids), _S.status.in_(states.SEGMENT_TRANSITIONS[target]))
            .values(status=target, **values)
        )


_MESSAGES = Many(
    "SELECT s.id, s.message_id FROM {rows} JOIN outbox_segment AS s ON s.id = x.id",
    {"id": "bigint"},
)


def _messages_of(session: Session, tokens: Collection[int]) -> dict[int, int]:
    """The message of each token."""
    if not tokens:
        return {}
    return {row[0]: row[1] for row in _MESSAGES.run(session, [(token,) for token in tokens])}
