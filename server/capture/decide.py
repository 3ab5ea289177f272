"""A person's decision about a capture that could not be settled: take it, correct it, refuse it.

What the device was told stays what it was told; the decision stands beside the verdict. Whoever
decides is not the one who captured, and every decision is audited by closing its review item.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import select, update

from config.settings import Settings
from server import clock, feed, geo, review
from server.accounts.models import Premise, ServicePoint
from server.capture.ingest import ingest
from server.capture.items import SAME_ID, Item, Problem, Result, Sender
from server.capture.models import CaptureEvent, CaptureVariant
from server.capture.parse import parse_item
from server.db import Session, insert_new
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.identity.models import Device
from server.review import ReviewItem
from server.rounds.models import RouteStop
from server.rounds.service import Stop, Visit, note_visits

CONFIDENT_M = 20.0
FAULT = "capture.fault"


def take(session: Session, actor: Actor, item_id: int, why: str, settings: Settings) -> Result:
    """Settle a capture as it is: of a shut-out device, of a fault of ours, of a second content.

    Raises:
        Forbidden: ``capture.same_person`` for the person who captured it.
        NotFound: ``review.unknown`` or ``capture.unknown``.
        Conflict: ``capture.still_held`` when it is refused again; nothing is changed then.
    """
    item = _open(session, actor, item_id)
    payload, sender = _source(session, actor, item, settings)
    return _ingest_anew(session, actor, item, payload, sender, why, "released")


def correct(
    session: Session,
    actor: Actor,
    item_id: int,
    payload: Mapping[str, Any],
    why: str,
    settings: Settings,
) -> Result:
    """Settle a corrected copy; it gets an id of its own and the first content is kept.

    Raises:
        Invalid: the code of what is still wrong with it.
        Conflict: ``capture.not_stored`` for a fault of ours: nothing is stored that the copy could
            supersede, and the handheld still holds it; else as :func:`take`.
        Forbidden, NotFound: as :func:`take`.
    """
    item = _open(session, actor, item_id)
    if item.reason == FAULT:
        raise Conflict("capture.not_stored", "The handheld still holds this: try it again.")
    original, sender = _source(session, actor, item, settings)
    corrected = {**payload, "supersedes": original.get("id")}
    return _ingest_anew(session, actor, item, corrected, sender, why, "corrected")


def discard(session: Session, actor: Actor, item_id: int, why: str) -> None:
    """Refuse a capture with a reason; its content stays.

    What failed by a fault of ours was never stored: it is now, as refused, so that the handheld's
    retry does not bring it back.

    Raises:
        Invalid: ``review.why`` without a reason.
        Forbidden, NotFound, Conflict: as :func:`take`.
    """
    item = _open(session, actor, item_id)
    if item.reason == FAULT:
        _keep_refused(session, actor, item)
    elif item.subject_type == "capture":
        _event(session, actor, item)
    _close(session, actor, item, "discarded", why)


def _keep_refused(session: Session, actor: Actor, item: ReviewItem) -> None:
    device = session.get_one(Device, item.detail["device_id"])
    _refuse_same_person(actor, device.staff_id)
    parsed = _parsed(item.detail["payload"])
    row = {
        "created_at": clock.now(),
        "uuid": parsed.uuid,
        "device_id": device.id,
        "staff_id": device.staff_id,
        "seq": parsed.seq,
        "type": parsed.type,
        "captured_at": parsed.captured_at,
        "received_at": item.created_at,
        "payload": parsed.payload,
        "payload_hash": parsed.payload_hash,
        "verdict": "rejected",
        "code": "capture.discarded",
        "message": "The office has refused this item.",
    }
    insert_new(session, CaptureEvent, [row], ("uuid",), "uuid")


def accept_visit(session: Session, actor: Actor, item_id: int, why: str) -> None:
    """Count a visit that was held, for instance on a route that had been given away.

    Raises:
        Conflict: ``capture.still_held`` when the stop is on no route.
        Forbidden, NotFound: as :func:`take`.
    """
    item = _open(session, actor, item_id)
    event = _event(session, actor, item)
    parsed = _parsed(event.payload)
    stop = Stop(parsed.data["stop"]["kind"], parsed.data["stop"]["id"])
    found = note_visits(
        session,
        [
            Visit(
                capture_uuid=event.uuid,
                stop=stop,
                staff_id=event.staff_id,
                outcome=parsed.data["outcome"],
                visited_at=parsed.true_time(event),
                reason=parsed.data["reason"],
                started_at=parsed.data["started_at"],
                note=parsed.data["note"],
            )
        ],
    )
    if stop not in found:
        raise Conflict("capture.still_held", "This stop is on no route.")
    _close(session, actor, item, "released", why)


def accept_position(session: Session, actor: Actor, item_id: int, why: str) -> None:
    """Move a premise to where a rep says it is; handhelds hear of it at their next pull.

    Raises:
        Forbidden, NotFound, Conflict: as :func:`take`.
    """
    item = _open(session, actor, item_id)
    _event(session, actor, item)
    detail = item.detail
    premise = session.get_one(Premise, detail["premise_id"])
    accuracy = detail.get("accuracy_m")
    premise.lat_e7, premise.lon_e7 = geo.to_e7(detail["lat"]), geo.to_e7(detail["lon"])
    premise.datum, premise.position_source = "wgs84", "field"
    sure = accuracy is not None and accuracy <= CONFIDENT_M
    premise.position_confidence = "high" if sure else "medium"
    _touch_points(session, premise.id)
    _close(session, actor, item, "released", why)


def _touch_points(session: Session, premise_id: int) -> None:
    rows = session.execute(
        select(RouteStop.route_id, ServicePoint.id)
        .join(ServicePoint, ServicePoint.id == RouteStop.subject_id)
        .where(RouteStop.kind == "service_point", ServicePoint.premise_id == premise_id)
    )
    feed.touch_many(
        session, "service_point", [(f"route:{route_id}", point_id) for route_id, point_id in rows]
    )


# --- where the content comes from ----------------------------------------------------------


def _open(session: Session, actor: Actor, item_id: int) -> ReviewItem:
    actor.require("review", "decide")
    return review.waiting(session, item_id)


def _event(session: Session, actor: Actor, item: ReviewItem) -> CaptureEvent:
    event = session.scalar(select(CaptureEvent).where(CaptureEvent.uuid == UUID(item.subject_id)))
    if event is None:
        raise NotFound("capture.unknown", "The capture is not there.")
    _refuse_same_person(actor, event.staff_id)
    return event


def _refuse_same_person(actor: Actor, staff_id: int) -> None:
    if actor.staff_id is not None and actor.staff_id == staff_id:
        raise Forbidden("capture.same_person", "Somebody else must decide about your own capture.")


def _source(
    session: Session, actor: Actor, item: ReviewItem, settings: Settings
) -> tuple[dict[str, Any], Sender]:
    """The content an item is about and the device that sent it."""
    if item.reason == FAULT:
        device = session.get_one(Device, item.detail["device_id"])
        _refuse_same_person(actor, device.staff_id)
        return item.detail["payload"], _sender(device, clock.now(), None, settings)
    event = _event(session, actor, item)
    payload, device_id = event.payload, event.device_id
    if item.reason == SAME_ID.code:
        variant = variant_of(session, item)
        payload, device_id = variant.payload, variant.device_id
    device = session.get_one(Device, device_id)
    return payload, _sender(device, event.received_at, event.skew_ms, settings)


def variant_of(session: Session, item: ReviewItem) -> CaptureVariant:
    """The other content under a taken id that a review item is about."""
    short = item.key.rsplit(":", 1)[1]
    return session.execute(
        select(CaptureVariant).where(
            CaptureVariant.uuid == UUID(item.subject_id),
            CaptureVariant.payload_hash.startswith(short),
        )
    ).scalar_one()


def _sender(
    device: Device, received_at: datetime, skew_ms: int | None, settings: Settings
) -> Sender:
    return Sender(
        device_id=device.id,
        staff_id=device.staff_id,
        receipt_prefix=device.receipt_prefix,
        revoked=False,
        received_at=received_at,
        skew_ms=skew_ms,
        settings=settings,
    )


# --- settling it --------------------------------------------------------------------------


def _ingest_anew(
    session: Session,
    actor: Actor,
    item: ReviewItem,
    payload: Mapping[str, Any],
    sender: Sender,
    why: str,
    status: str,
) -> Result:
    parsed = _parsed(dict(payload), _new_id(item, payload))
    ingested = ingest(session, sender, [parsed])
    if not ingested.results:
        raise Conflict("capture.still_held", "The server failed with it again.")
    result = ingested.results[0]
    again = result.verdict.verdict == "held" and result.verdict.code == item.reason
    if again or result.verdict.verdict in ("rejected", "conflict"):
        raise Conflict(
            "capture.still_held",
            result.verdict.message or "It is refused again.",
            {"code": result.verdict.code},
        )
    _close(session, actor, item, status, why)
    return result


def _new_id(item: ReviewItem, payload: Mapping[str, Any]) -> UUID | None:
    """The id of the settled copy: the same decision twice makes the same id.

    A fault of ours stored nothing, so there the item stays as it is and a later retry of the
    device finds it.
    """
    if item.reason == FAULT:
        return None
    content = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS, default=str).decode()
    return uuid5(UUID(item.subject_id), content)


def _parsed(payload: dict[str, Any], uuid: UUID | None = None) -> Item:
    """The content as an item.

    Raises:
        Invalid: with the code of the problem when it is malformed.
    """
    if uuid is not None:
        payload = {**payload, "id": str(uuid), "seq": None}
    parsed = parse_item(payload)
    problem = parsed.problem
    if not isinstance(parsed, Item) or problem is not None:
        problem = problem or Problem("item.invalid", "This is not an item.")
        raise Invalid(problem.code, problem.message, {"field": problem.field})
    return parsed


def _close(session: Session, actor: Actor, item: ReviewItem, status: str, why: str) -> None:
    if not why.strip():
        raise Invalid("review.why", "Say why.")
    review.close(session, actor, item.id, status, why)
    _note_decision(session, item, status)


def _note_decision(session: Session, item: ReviewItem, decision: str) -> None:
    if item.subject_type == "capture":
        session.execute(
            update(CaptureEvent)
            .where(CaptureEvent.uuid == UUID(item.subject_id))
            .values(decision=decision)
        )
