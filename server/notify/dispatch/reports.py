"""Delivery reports: kept once each, given to their segment, or parked until its id is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, select

from server.db import Many, Session, among_texts, many_texts, run
from server.notify.models import DeliveryReport, OutboxSegment
from server.notify.rules import receipts
from server.notify.rules.receipts import Receipt

# Carriers use ids again after a while: a report is not for a segment that was sent later than this.
_EARLIER = timedelta(minutes=5)
_OPEN = ("submitted", "unknown", "accepted")

_S, _R = OutboxSegment, DeliveryReport
_FIND = (
    select(_S.carrier_id, _S.id, _S.message_id, _S.status, _S.parts)
    .where(
        _S.gateway_id == bindparam("gateway"), among_texts(_S.carrier_id, many_texts("carriers"))
    )
    .order_by(_S.id)
)
_PARKED = (
    select(_R.id, _R.carrier_id, _R.state)
    .where(
        _R.gateway_id == bindparam("gateway"),
        among_texts(_R.carrier_id, many_texts("carriers")),
        _R.segment_id.is_(None),
        _R.created_at >= bindparam("since"),
    )
    .order_by(_R.id)
)
_STORE = Many(
    "INSERT INTO delivery_report (created_at, gateway_id, carrier_id, state, error, stamp, segment_id)"
    " SELECT :at, :gateway, x.carrier, x.state, x.error, x.stamp, x.segment_id FROM {rows} WHERE true"
    " ON CONFLICT (gateway_id, carrier_id, state, stamp) DO NOTHING",
    {
        "carrier": "text",
        "state": "text",
        "error": "text",
        "stamp": "text",
        "segment_id": "bigint",
    },
    ["at"],
)
_GIVE = Many(
    "UPDATE delivery_report SET segment_id = x.segment_id FROM {rows} WHERE delivery_report.id = x.id",
    {"id": "bigint", "segment_id": "bigint"},
)
_SEGMENTS = Many(
    "UPDATE outbox_segment SET status = x.outcome, reported_at = :at, error = x.error FROM {rows}"
    " WHERE outbox_segment.id = x.id"
    " AND outbox_segment.status IN ('submitted', 'unknown', 'accepted')",
    {"id": "bigint", "outcome": "text", "error": "text"},
    ["at"],
)
_DELIVERED = Many(
    "UPDATE outbox_message SET status = 'delivered', status_at = :at, error = NULL FROM {rows}"
    " WHERE outbox_message.id = x.id"
    " AND outbox_message.status IN ('submitted', 'unknown', 'accepted')",
    {"id": "bigint"},
    ["at"],
)


class Named(NamedTuple):
    """A report under the id by which its segment is known; None when it names none."""

    carrier: str | None
    receipt: Receipt


class _Found(NamedTuple):
    """The segment that a carrier id means."""

    segment_id: int
    message_id: int
    status: str
    alone: bool


class _Parked(NamedTuple):
    """A report that waited for its id to become known."""

    id: int
    carrier: str
    state: str


def named(news: Sequence[Receipt], id_mode: str) -> list[Named]:
    """The reports with their ids as this carrier's answers write them."""
    return [Named(receipts.normalise_id(one.message_id, id_mode), one) for one in news]


def first_words(news: Sequence[Named]) -> dict[str, str]:
    """What the first report about each segment that says its end says."""
    found: dict[str, str] = {}
    for carrier, one in news:
        outcome = receipts.SEGMENT_OUTCOME.get(one.state)
        if carrier and outcome:
            found.setdefault(carrier, outcome)
    return found


def record(
    session: Session,
    gateway_id: int,
    news: Sequence[Named],
    known: Mapping[str, int],
    new_ids: Collection[str],
    now: datetime,
) -> set[int]:
    """Keep reports and give them to their segments, with those that were parked for `new_ids`.

    `known` are the segments by id for which all is said and written already. Gives the messages that
    have to be added up; those of one delivered segment are moved already.
    """
    parked = _parked(session, gateway_id, new_ids, now)
    carriers = {name for name, _ in news if name and name not in known}
    carriers.update(row.carrier for row in parked if row.carrier not in known)
    found = _find(session, gateway_id, carriers)
    segments = {**{name: one.segment_id for name, one in found.items()}, **known}
    if news:
        rows = [
            (name, one.state, one.error, one.stamp, segments.get(name) if name else None)
            for name, one in news
        ]
        _STORE.run(session, rows, gateway=gateway_id, at=now)
    given = [(row.id, segments[row.carrier]) for row in parked if row.carrier in segments]
    if given:
        _GIVE.run(session, given)
    if not found:
        return set()
    states = [(row.carrier, row.state) for row in parked]
    states += [(name, one.state) for name, one in news if name]
    return _apply(session, found, states, now)


def _parked(
    session: Session, gateway_id: int, carriers: Collection[str], now: datetime
) -> list[_Parked]:
    if not carriers:
        return []
    values = {"gateway": gateway_id, "carriers": list(carriers), "since": now - _EARLIER}
    return [_Parked(*row) for row in run(session, _PARKED, values)]


def _find(session: Session, gateway_id: int, carriers: Collection[str]) -> dict[str, _Found]:
    """The segment of each id: of several the newest, and one that is still open before any other."""
    if not carriers:
        return {}
    found: dict[str, _Found] = {}
    rows = run(session, _FIND, {"gateway": gateway_id, "carriers": list(carriers)})
    for carrier, segment_id, message_id, status, parts in rows:
        before = found.get(carrier)
        if before is None or status in _OPEN or before.status not in _OPEN:
            found[carrier] = _Found(segment_id, message_id, status, parts == 1)
    return found


def _apply(
    session: Session,
    found: Mapping[str, _Found],
    reported: Sequence[tuple[str, str]],
    now: datetime,
) -> set[int]:
    """Move segments as their reports say; the first report that ends a segment counts."""
    outcomes: dict[int, tuple[int, str, str | None]] = {}
    whole: list[int] = []
    touched: set[int] = set()
    for carrier, state in reported:
        one, outcome = found.get(carrier), receipts.SEGMENT_OUTCOME.get(state)
        if one is None or outcome is None or one.segment_id in outcomes:
            continue
        if one.status not in _OPEN:
            continue
        good = outcome == "delivered"
        error = None if good else f"report.{state}"
        outcomes[one.segment_id] = (one.segment_id, outcome, error)
        if good and one.alone:
            whole.append(one.message_id)
        else:
            touched.add(one.message_id)
    if outcomes:
        _SEGMENTS.run(session, list(outcomes.values()), at=now)
    if whole:
        deliver(session, whole, now)
    return touched


def deliver(session: Session, message_ids: Sequence[int], now: datetime) -> None:
    """Move messages whose only segment arrived."""
    _DELIVERED.run(session, [(one,) for one in message_ids], at=now)
