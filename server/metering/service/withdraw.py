"""Taking an own reading back without another in its place: the rep had no business reading there.

A skip that supersedes a reading does this. What may be taken back is what an undo may take back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from server import clock
from server.db import Session, take_ids
from server.metering.models import Consumption
from server.metering.service import context as known
from server.metering.service.batch import Batch
from server.metering.service.undo import refusal


def withdraw(session: Session, asked: Mapping[UUID, int | None]) -> dict[UUID, str]:
    """Take captures back and return the codes of those that may not be.

    Args:
        asked: the ``capture_uuid`` of each with who asks. What never came is nothing to take back.
    """
    stored = known.load_targets(session, list(asked))
    points = known.load_points(session, _points(stored))
    # Only now, behind the lock: one of them may have been billed while this waited.
    stored = known.load_targets(session, list(asked))
    problems = {
        uuid: code
        for uuid, targets in stored.items()
        if (code := refusal(asked[uuid], targets, by_office=False)) is not None
    }
    gone = [
        target
        for uuid, targets in stored.items()
        if uuid not in problems
        for target in targets
        if target.status in ("held", "confirmed")
    ]
    if gone:
        _take_back(session, points, gone)
    return problems


def _points(stored: Mapping[UUID, Sequence[known.Target]]) -> set[int]:
    return known.ids(target.service_point_id for targets in stored.values() for target in targets)


def _take_back(
    session: Session, points: dict[int, known.Point], gone: Sequence[known.Target]
) -> None:
    ids = take_ids(session, {Consumption: len(gone)})
    batch = Batch(clock.now(), (), ids[Consumption], points)
    registers = known.ids(target.register_id for target in gone)
    timelines = known.load_timelines(session, registers, min(t.read_at for t in gone))
    dials = known.dials(known.load_plant(session, points))
    orders = known.load_orders(session, known.ids(target.order_id for target in gone), ())
    for target in gone:
        batch.take_back(target)
        order = orders.get(target.order_id or 0)
        if order is not None and order.status in ("done", "held"):
            order.status = "open"
            batch.order_becomes(order)
    for target in gone:
        line = timelines[target.register_id or 0]
        if line.remove(target.reading_id) is None or target.register_id is None:
            continue
        after = line.after(target.read_at)
        if target.status == "confirmed" and after is not None:
            batch.place(target.register_id, *dials[target.register_id], after)
    batch.settle(timelines)
    batch.write(session)
