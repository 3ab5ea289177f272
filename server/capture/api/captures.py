"""Everything the field sent, as JSON lines: streamed, audited, and a right of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, stream_with_context
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from server import audit, clock
from server.capture import attachments
from server.capture.models import Attachment, CaptureEvent, CaptureVariant
from server.db import settled_through, snapshot, transaction
from server.identity.bearer import bearer_required, current_actor
from server.identity.models import Device
from server.rounds.scope import Scope, scope_of

blueprint = Blueprint(
    "captures", __name__, url_prefix="/api/v1/captures", description="What the field sent."
)

CHUNK = 1000


class ExportQuery(Schema):
    """Which captures: after an id, of a type, received in a time."""

    after = fields.Integer(load_default=0, validate=validate.Range(min=0))
    type = fields.String(load_default=None, validate=validate.Length(max=40))
    received_from = fields.AwareDateTime(load_default=None, format="iso")
    received_to = fields.AwareDateTime(load_default=None, format="iso")


@blueprint.route("/export", methods=["GET"])
@bearer_required
@blueprint.arguments(ExportQuery, location="query")
@blueprint.response(200, description="One JSON object a line; other contents of an id follow it.")
def export(query: dict[str, Any]) -> Response:
    """Stream captures, oldest first; ``id`` of the last line is the next ``after``."""
    actor = current_actor()
    with transaction() as session:
        scope = scope_of(session, actor, "captures", "export")
        shown = {key: str(value) for key, value in query.items() if value}
        audit.record(session, actor, "captures.exported", "capture", "*", after=shown)
    lines = stream_with_context(_lines(query, scope))
    return Response(lines, mimetype="application/x-ndjson")


def _lines(query: dict[str, Any], scope: Scope) -> Iterator[bytes]:
    """The lines in chunks, each read by itself, so that memory stays flat.

    A capture whose neighbours are still being written comes with the next call: a reader who goes
    on after the last line passes none.
    """
    after = query["after"]
    while True:
        with snapshot() as session:
            through = settled_through(session, CaptureEvent)
            statement = (
                select(CaptureEvent)
                .join(Device, Device.id == CaptureEvent.device_id)
                .where(
                    CaptureEvent.id > after,
                    CaptureEvent.id <= through,
                    scope.devices(),
                    *_conditions(query),
                )
                .order_by(CaptureEvent.id)
                .limit(CHUNK)
            )
            events = list(session.scalars(statement))
            uuids = [event.uuid for event in events]
            variants: dict[Any, list[CaptureVariant]] = {}
            for variant in session.scalars(
                select(CaptureVariant)
                .where(CaptureVariant.uuid.in_(uuids))
                .order_by(CaptureVariant.id)
            ):
                variants.setdefault(variant.uuid, []).append(variant)
            files = attachments.of_captures(session, uuids)
        for event in events:
            line = _line(event, variants.get(event.uuid, []), files.get(event.uuid, []))
            yield orjson.dumps(line, option=_NEWLINE)
        if len(events) < CHUNK:
            return
        after = events[-1].id


_NEWLINE = orjson.OPT_APPEND_NEWLINE


def _conditions(query: dict[str, Any]) -> list[Any]:
    found = []
    if query["type"]:
        found.append(CaptureEvent.type == query["type"])
    if query["received_from"]:
        found.append(CaptureEvent.received_at >= query["received_from"])
    if query["received_to"]:
        found.append(CaptureEvent.received_at < query["received_to"])
    return found


def _line(
    event: CaptureEvent, variants: list[CaptureVariant], files: list[Attachment]
) -> dict[str, Any]:
    return {
        "id": event.id,
        "uuid": str(event.uuid),
        "device_id": event.device_id,
        "staff_id": event.staff_id,
        "seq": event.seq,
        "type": event.type,
        "captured_at": clock.to_iso(event.captured_at) if event.captured_at else None,
        "received_at": clock.to_iso(event.received_at),
        "skew_ms": event.skew_ms,
        "verdict": event.verdict,
        "code": event.code,
        "decision": event.decision,
        "payload": event.payload,
        "variants": [variant.payload for variant in variants],
        "attachments": [
            {"sha256": file.sha256, "status": file.status, "code": file.code} for file in files
        ],
    }
