"""Orders that could not be read: why, and what becomes of the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server import clock, review
from server.db import Session, insert_rows, take_ids
from server.identity.queries import teams_of
from server.metering.models import Skip
from server.metering.service import context as known
from server.metering.service.batch import Batch
from server.metering.service.captures import Judged, NewSkip

MESSAGES = {
    "skip.unknown_point": "There is no such service point.",
    "skip.done": "The order has been read already.",
}


def skip(session: Session, skips: Sequence[NewSkip]) -> list[Judged]:
    """Record skips as a set; the verdicts come in the order of the skips.

    A skip of an order that has been read changes nothing about the order and says so. A skip of
    an unknown point is held for review.
    """
    if not skips:
        return []
    points = known.load_points(session, known.ids(s.service_point_id for s in skips))
    orders = known.load_orders(session, known.ids(s.order_id for s in skips), points)
    lost = {s.staff_id for s in skips if s.service_point_id not in points}
    teams = teams_of(session, lost)
    now = clock.now()
    batch = Batch(now, (), (), points)
    stored = [s for s in skips if s.service_point_id in points]
    ids = iter(take_ids(session, {Skip: len(stored)}).get(Skip, ()))
    rows: list[dict[str, Any]] = []
    items: list[review.NewItem] = []
    verdicts = []
    for each in skips:
        if each.service_point_id not in points:
            items.append(_unknown(each, len(items), teams.get(each.staff_id or 0)))
            verdicts.append(_judged(each, None, "held", "skip.unknown_point"))
            continue
        order = _order_of(each, orders)
        rows.append(_row(next(ids), each, order.id if order else None) | {"created_at": now})
        if order is not None and order.status == "done":
            verdicts.append(_judged(each, order, "applied", "skip.done"))
            continue
        if order is not None and order.status == "open":
            order.status = "skipped"
            batch.order_becomes(order)
        verdicts.append(_judged(each, order, "applied", None))
    insert_rows(session, Skip, rows)
    review.raise_items(session, items)
    batch.write(session)
    return verdicts


def _order_of(each: NewSkip, orders: dict[int, known.Order]) -> known.Order | None:
    order = orders.get(each.order_id or 0)
    if order is not None and order.service_point_id == each.service_point_id:
        return order
    waiting = [
        o
        for o in orders.values()
        if o.service_point_id == each.service_point_id and o.status in ("open", "held", "skipped")
    ]
    return min(waiting, key=lambda o: o.id, default=None)


def _row(skip_id: int, each: NewSkip, order_id: int | None) -> dict[str, Any]:
    return {
        "id": skip_id,
        "order_id": order_id,
        "service_point_id": each.service_point_id,
        "skip_code": each.skip_code,
        "note": each.note[:500] if each.note else None,
        "skipped_at": each.skipped_at,
        "capture_uuid": each.capture_uuid,
        "staff_id": each.staff_id,
        "lat_e7": each.place.lat_e7 if each.place else None,
        "lon_e7": each.place.lon_e7 if each.place else None,
    }


def _unknown(each: NewSkip, index: int, team: int | None) -> review.NewItem:
    """A captured skip can be corrected like any capture; one without a capture is only shown."""
    captured = each.capture_uuid is not None
    subject = each.capture_uuid or f"{each.skipped_at.isoformat()}:{index}"
    return review.NewItem(
        key=f"{'capture' if captured else 'skip'}:{subject}",
        kind="capture" if captured else "skip",
        reason="skip.unknown_point",
        subject_type="capture" if captured else "skip",
        subject_id=subject,
        org_unit_id=team,
        lat_e7=each.place.lat_e7 if each.place else None,
        lon_e7=each.place.lon_e7 if each.place else None,
        detail={
            "service_point_id": str(each.service_point_id),
            "skip_code": each.skip_code,
            "note": each.note,
            "staff_id": each.staff_id,
        },
    )


def _judged(each: NewSkip, order: known.Order | None, verdict: str, code: str | None) -> Judged:
    return Judged(
        verdict=verdict,
        code=code,
        message=MESSAGES.get(code) if code else None,
        field="service_point" if code == "skip.unknown_point" else None,
        order_id=order.id if order else None,
        service_point_id=each.service_point_id,
    )
