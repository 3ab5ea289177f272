"""Delivery reports: kept once each, given to their segment, or parked until its id is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from server.db import Many, Session
from server.notify.rules import receipts
from server.notify.rules.receipts import Receipt

# Carriers use ids again after a while: a report is not for a segment that was sent later than this.
_EARLIER = timedelta(minutes=5)
_OPEN = ("submitted", "unknown", "accepted")

_FIND = Many(
    "SELECT x.carrier, s.id, s.message_id, s.status, s.units, m.segments"
    " FROM {rows} JOIN outbox_segment AS s ON s.gateway_id = :gateway AND s.carrier_id = x.carrier"
    " JOIN outbox_message AS m ON m.id = s.message_id ORDER BY s.id",
    {"carrier": "text"},
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
_PARKED = Many(
    "SELECT r.id, r.carrier_id, r.state, r.error, r.stamp FROM {rows} CROSS JOIN delivery_report AS r"
    " WHERE r.gateway_id = :gateway AND r.carrier_id = x.carrier AND r.segment_id IS NULL"
    " AND r.created_at >= :since ORDER BY r.id",
    {"carrier": "text"},
    ["since"],
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


class _Found(NamedTuple):
    """The segment that a carrier id means."""

    segment_id: int
    message_id: int
    status: str
    alone: bool


def record(
    session: Session,
    gateway_id: int,
    news: Sequence[Receipt],
    new_ids: Collection[str],
    now: datetime,
    id_mode: str,
) -> set[int]:
    """Keep reports and give them to their segments, with those that were parked for `new_ids`.

    Gives the messages that have to be added up; those of one delivered segment are moved already.
    """
    named = [(receipts.normalise_id(one.message_id, id_mode), one) for one in news]
    parked = _parked(session, gateway_id, new_ids, now)
    carriers = {name for name, _ in named if name} | {row.carrier_id for row in parked}
    found = _find(session, gateway_id, carriers)
    if named:
        rows = []
        for name, one in named:
            owner = found.get(name) if name else None
            segment_id = owner.segment_id if owner else None
            rows.append((name, one.state, one.error, one.stamp, segment_id))
        _STORE.run(session, rows, gateway=gateway_id, at=now)
    given = [
        (row.id, found[row.carrier_id].segment_id) for row in parked if row.carrier_id in found
    ]
    if given:
        _GIVE.run(session, given)
    states = [(row.carrier_id, row.state) for row in parked]
    states += [(name, one.state) for name, one in named if name]
    return _apply(session, found, states, now)


def _parked(
    session: Session, gateway_id: int, carriers: Collection[str], now: datetime
) -> list[Any]:
    if not carriers:
        return []
    rows = [(carrier,) for carrier in carriers]
    return list(_PARKED.run(session, rows, gateway=gateway_id, since=now - _EARLIER))


def _find(session: Session, gateway_id: int, carriers: Collection[str]) -> dict[str, _Found]:
    """The segment of each id: of several the newest, and one that is still open before any other."""
    if not carriers:
        return {}
    found: dict[str, _Found] = {}
    rows = _FIND.run(session, [(carrier,) for carrier in carriers], gateway=gateway_id)
    for carrier, segment_id, message_id, status, units, total in rows:
        before = found.get(carrier)
        if before is None or status in _OPEN or before.status not in _OPEN:
            found[carrier] = _Found(segment_id, message_id, status, units == total)
    return found


def _apply(
    session: Session,
    found: Mapping[str, _Found],
    reported: Sequence[tuple[str, str]],
    now: datetime,
) -> set[int]:
    """Move segments as their reports say; the first report that ends a segment counts."""
    outcomes: dict[int, tuple[int, str, str | None]] = {}
    whole: list[tuple[int]] = []
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
            whole.append((one.message_id,))
        else:
            touched.add(one.message_id)
    if outcomes:
        _SEGMENTS.run(session, list(outcomes.values()), at=now)
    if whole:
        _DELIVERED.run(session, whole, at=now)
    return touched


def by_state(news: Sequence[Receipt]) -> dict[str, int]:
    """How many reports of each state there are."""
    counts: dict[str, int] = defaultdict(int)
    for one in news:
        counts[one.state] += 1
    return counts
