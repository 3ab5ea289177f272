"""One push: parse before the transaction, take everything in inside it, answer after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from config.settings import Settings
from server import clock, feed, geo
from server.capture import attachments
from server.capture.ingest import ingest, keep_unreadable
from server.capture.items import Item, Problem, Result, Sender, Unidentified, show_nul
from server.capture.parse import parse_item
from server.db import Session, update_rows
from server.errors import Invalid, TooLarge
from server.identity.models import Device
from server.identity.service import CallingDevice
from server.sync import sequences
from server.tracking.service import TrackResult, record_track

MAX_SKEW = timedelta(days=365 * 100)


@dataclass(frozen=True)
class Limits:
    """What one push may hold."""

    items: int
    points: int


@dataclass(frozen=True)
class Push:
    """A push as read from the wire, before any transaction."""

    items: Sequence[Item]
    unidentified: Sequence[Unidentified]
    points: Sequence[Any]
    crs: str
    health: dict[str, Any]
    sent_at: datetime | None
    epoch: str | None


@dataclass(frozen=True)
class Answer:
    """What the device is told when the transaction has ended."""

    results: Sequence[Result]
    faults: Sequence[str]
    unidentified: Sequence[Unidentified]
    received_through: int
    gaps: Sequence[sequences.Run]
    track: TrackResult | None
    commands: Sequence[dict[str, str]]
    need: Sequence[str] = ()


def read_push(document: dict[str, Any], limits: Limits) -> Push:
    """Read the envelope; bad items inside are no failure of the push.

    Raises:
        Invalid: ``sync.bad_envelope`` when items, track or health are not what they must be.
        TooLarge: ``sync.too_many_items`` or ``sync.too_many_points``.
    """
    items = _list(document, "items")
    track = _object(document, "track")
    points = _list(track, "points", "track.points")
    if len(items) > limits.items:
        raise TooLarge("sync.too_many_items", "Send fewer items.", {"max_items": limits.items})
    if len(points) > limits.points:
        raise TooLarge("sync.too_many_points", "Send fewer points.", {"max_points": limits.points})
    parsed = [parse_item(raw) for raw in items]
    return Push(
        items=[entry for entry in parsed if isinstance(entry, Item)],
        unidentified=[entry for entry in parsed if isinstance(entry, Unidentified)],
        points=points,
        crs=str(track.get("crs", "wgs84")),
        health=_object(document, "health"),
        sent_at=_instant(document.get("sent_at")),
        epoch=document.get("epoch") if isinstance(document.get("epoch"), str) else None,
    )


def take(
    session: Session,
    device: CallingDevice,
    push: Push,
    received_at: datetime,
    settings: Settings,
    *,
    careful: bool = True,
) -> Answer:
    """Store and settle a push. Items are judged before the track, so that a shift counts.

    Raises:
        SetFailed: when a set failed and ``careful`` is not set; see :func:`ingest`.
    """
    sender = _sender(device, push, received_at, settings)
    ingested = ingest(session, sender, push.items, careful=careful)
    if push.unidentified:
        keep_unreadable(session, sender, push.unidentified)
    track = _take_track(session, sender, push)
    faults = set(ingested.faults)
    numbers = [i.seq for i in push.items if i.seq is not None and i.uuid not in faults]
    numbers += [entry.seq for entry in push.unidentified if entry.seq is not None]
    runs = sequences.note_received(session, device.id, numbers)
    through = sequences.received_through(runs)
    _note_health(session, device, sender, push.health, through)
    return Answer(
        results=ingested.results,
        faults=[str(uuid) for uuid in ingested.faults],
        unidentified=push.unidentified,
        received_through=through,
        gaps=sequences.gaps(runs),
        track=track,
        commands=_commands(device),
        need=attachments.needed(session, device.id),
    )


def _sender(device: CallingDevice, push: Push, received_at: datetime, settings: Settings) -> Sender:
    skew = (push.sent_at - received_at) if push.sent_at else None
    usable = skew is not None and abs(skew) < MAX_SKEW
    return Sender(
        device_id=device.id,
        staff_id=device.staff_id,
        receipt_prefix=device.receipt_prefix,
        revoked=device.status != "active",
        received_at=received_at,
        skew_ms=skew // timedelta(milliseconds=1) if skew is not None and usable else None,
        settings=settings,
    )


def _take_track(session: Session, sender: Sender, push: Push) -> TrackResult | None:
    if not push.points:
        return None
    if sender.revoked or push.crs not in geo.CRS:
        _keep_track(session, sender, push)
        return TrackResult(accepted=0, duplicate=0, flagged=len(push.points), quarantined=0)
    return record_track(
        session,
        rep_id=sender.staff_id,
        device_id=sender.device_id,
        crs=push.crs,
        points=push.points,
        received_at=sender.received_at,
    )


def _keep_track(session: Session, sender: Sender, push: Push) -> None:
    """Keep points that cannot join a track as they came: the device will not send them again."""
    reason = (
        Problem("device.revoked", "The track of a handheld that has been shut out.")
        if sender.revoked
        else Problem("track.crs_unknown", "The track is in a datum that is not known.")
    )
    body = orjson.dumps({"crs": push.crs, "points": list(push.points)}, default=str).decode()
    keep_unreadable(session, sender, [Unidentified(show_nul(body), reason)])


def _commands(device: CallingDevice) -> list[dict[str, str]]:
    return [{"do": "wipe"}] if device.status != "active" else []


_HEALTH_READERS: dict[str, tuple[str, type]] = {
    "unsent": ("unsent", int),
    "battery": ("battery", int),
    "free_mb": ("free_mb", int),
    "persisted": ("persisted", bool),
    "app_version": ("app_version", str),
}


def _note_health(
    session: Session, device: CallingDevice, sender: Sender, health: dict[str, Any], through: int
) -> None:
    """What the device says of itself; odd values are left out, never refused."""
    values: dict[str, Any] = {
        "last_contact_at": sender.received_at,
        "received_through": through,
        "clock_skew_ms": sender.skew_ms,
    }
    for key, (column, kind) in _HEALTH_READERS.items():
        value = health.get(key)
        if type(value) is kind and _fits(value):
            values[column] = value[:40] if isinstance(value, str) else value
    if "unsent" in values:
        values["oldest_unsent_at"] = _instant(health.get("oldest_unsent_at"))
    update_rows(session, Device, ("id",), [{"id": device.id, **values}])


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or 0 <= value < 2**31


def answer_body(answer: Answer, session: Session, epoch: str, now: datetime) -> dict[str, Any]:
    """The answer as JSON; ``seq`` says up to where a pull must come to see the effects."""
    seq = feed.sequences(session)
    body: dict[str, Any] = {
        "server_time": clock.to_iso(now),
        "epoch": epoch,
        "received_through": answer.received_through,
        "gaps": [list(gap) for gap in answer.gaps],
        "results": [_result_body(result, seq) for result in answer.results],
        "need": list(answer.need),
        "commands": list(answer.commands),
    }
    if answer.unidentified:
        body["unidentified"] = [
            {"code": e.problem.code, "message": e.problem.message} for e in answer.unidentified
        ]
    if answer.faults:
        body["faults"] = [{"id": uuid, "code": "server.fault"} for uuid in answer.faults]
    if answer.track is not None:
        body["track"] = {
            "accepted": answer.track.accepted,
            "duplicate": answer.track.duplicate,
            "flagged": answer.track.flagged,
        }
    return body


def _result_body(result: Result, seq: dict[str, int]) -> dict[str, Any]:
    verdict = result.verdict
    body: dict[str, Any] = {
        "id": str(result.uuid),
        "verdict": verdict.verdict,
        "replayed": result.replayed,
    }
    if verdict.code:
        body["code"], body["message"] = verdict.code, verdict.message
    if verdict.field:
        body["field"] = verdict.field
    if result.ack:
        body["ack"] = result.ack
    if seq and not result.replayed:
        body["seq"] = seq
    return body


def _list(document: dict[str, Any], key: str, path: str | None = None) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid("sync.bad_envelope", f"{path or key} must be a list.", {"field": path or key})
    return value


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("sync.bad_envelope", f"{key} must be an object.", {"field": key})
    return value


def _instant(value: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return instant if instant.tzinfo is not None else None
