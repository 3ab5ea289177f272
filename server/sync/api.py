"""The HTTP face of the device protocol. Answers leave after the commit."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from server import clock, feed, geo, operator, throttle
from server.capture.attached import MAX_PER_ITEM
from server.capture.ingest import SetFailed, keep_unreadable
from server.capture.items import Problem, Sender, Unidentified
from server.db import Session, carry_out, snapshot, transaction
from server.errors import DomainError, Invalid, TooLarge, Unauthorized
from server.identity import service as identity
from server.identity.models import Device
from server.identity.service import CallingDevice
from server.sync import nearest, pull, push
from server.sync.attachments import CHUNK, OFFSET, AttachmentFace
from server.sync.body import UnreadableBody, read_body, read_json
from server.sync.caller import calling_device, json_answer
from server.sync.push import Push

PROTOCOL = 1
OLDEST_PROTOCOL = 1
_KEPT = 4000


def device_blueprint(settings: Settings) -> Blueprint:
    """The routes of ``/device/v1`` with the limits of this installation."""
    blueprint = Blueprint("device", __name__, url_prefix="/device/v1")
    face = _Face(settings)
    blueprint.add_url_rule("/enrol", view_func=face.enrol, methods=["POST"])
    blueprint.add_url_rule("/push", view_func=face.push, methods=["POST"])
    blueprint.add_url_rule("/pull", view_func=face.pull, methods=["GET"])
    blueprint.add_url_rule("/nearest", view_func=face.nearest, methods=["GET"])
    files = AttachmentFace(settings)
    address = "/attachments/<sha256>"
    blueprint.add_url_rule(address, "file_head", files.head, methods=["HEAD"])
    blueprint.add_url_rule(address, "file_patch", files.patch, methods=["PATCH"])
    blueprint.register_error_handler(DomainError, _failure)
    blueprint.register_error_handler(OperationalError, _database_failure)
    return blueprint


class _Face:
    """The three requests of a device."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = push.Limits(settings.max_push_items, settings.max_track_points)

    def enrol(self) -> Response:
        """Let a handheld in with its one-time code."""
        document = read_json(read_body(request, 64 * 1024))
        code, about = document.get("code"), document.get("device")
        if not isinstance(code, str) or not isinstance(about, dict):
            raise Invalid("enrol.invalid", "An enrolment needs a code and a device.")
        with (
            throttle.current().guarding(throttle.ENROL, request.remote_addr or ""),
            transaction() as session,
        ):
            current = operator.current(session)
            joined = identity.enrol(session, code, _about(about), _key())
        return json_answer(
            {
                "device_id": joined.device.id,
                "token": joined.token,
                "receipt_prefix": joined.device.receipt_prefix,
                "rep_id": joined.device.staff_id,
                "server_time": clock.to_iso(clock.now()),
                "epoch": current.epoch,
                "protocol": PROTOCOL,
                "settings": self._told_settings(),
            },
            201,
        )

    def _told_settings(self) -> dict[str, Any]:
        return {
            "max_push_items": self.settings.max_push_items,
            "max_track_points": self.settings.max_track_points,
            "max_body_bytes": self.settings.max_body_bytes,
            "pull_page_size": self.settings.pull_page_size,
            "max_attachment_bytes": self.settings.max_attachment_bytes,
            "max_attachments": MAX_PER_ITEM,
            "attachment_chunk_bytes": min(CHUNK, self.settings.max_body_bytes),
        }

    def push(self) -> Response:
        """Take items and track in; always accepted, whatever the protocol's age."""
        received_at = clock.now()
        device = calling_device()
        try:
            body = read_body(request, self.settings.max_body_bytes)
            document = read_json(body)
            parsed = push.read_push(document, self.limits)
        except (UnreadableBody, TooLarge) as error:
            self._keep(device, error)
            raise
        except Invalid as error:
            self._keep(device, UnreadableBody(error.code, error.message, body))
            raise
        try:
            told = self._take(device, parsed, received_at, careful=False)
        except SetFailed:
            told = self._take(device, parsed, received_at, careful=True)
        return json_answer(told)

    def _take(
        self, device: CallingDevice, parsed: Push, received_at: datetime, *, careful: bool
    ) -> dict[str, Any]:
        """Take a push in a transaction of its own, again when the database ended a deadlock by it."""

        def work(session: Session) -> tuple[Session, str, push.Answer]:
            epoch = operator.current(session).epoch
            answer = push.take(session, device, parsed, received_at, self.settings, careful=careful)
            return session, epoch, answer

        session, epoch, answer = carry_out(work)
        return push.answer_body(answer, session, epoch, clock.now())

    def _keep(self, device: CallingDevice, error: DomainError) -> None:
        """Keep the beginning of what could not be read, so that the office can find it."""
        body = error.sent if isinstance(error, UnreadableBody) else b""
        text = body[:_KEPT].decode("utf-8", "backslashreplace").replace("\x00", "␀")
        if not text:
            day = clock.now().date().isoformat()
            text = f"{day}: a body of {request.content_length or 'unknown'} bytes was refused"
        entry = Unidentified(text, Problem(error.code, error.message))
        sender = Sender(device.id, device.staff_id, "", False, clock.now(), None, self.settings)
        with transaction() as session:
            keep_unreadable(session, sender, [entry], len(body) or request.content_length or 0)

    def pull(self) -> Response:
        """Give the next page of what changed in the device's scopes."""
        device = _active_device()
        if _protocol() < OLDEST_PROTOCOL:
            raise DomainError(
                "sync.protocol_too_old", "Update the app; what is unsent can be sent.", status=426
            )
        limit = min(max(_number("limit", self.settings.pull_page_size), 1), 5000)
        with snapshot() as session:
            epoch = operator.current(session).epoch
            checkpoint = pull.read_checkpoint(request.args.get("checkpoint"), epoch)
            granted = pull.granted_scopes(session, device)
            page = pull.read_page(session, granted, checkpoint, limit)
            asked = request.args.get("count") == "1"
            counts = {"count": feed.count_documents(session, granted)} if asked else {}
        _note_contact(device)
        return json_answer(
            {
                "documents": page.documents,
                "checkpoint": page.checkpoint.encode(),
                "more": page.more,
                **counts,
                "epoch": epoch,
                "server_time": clock.to_iso(clock.now()),
            }
        )

    def nearest(self) -> Response:
        """Give the stops of the rep's routes nearest to where he stands."""
        device = _active_device()
        place = _place()
        limit = min(max(_number("limit", 5), 1), 50)
        with snapshot() as session:
            stops = nearest.nearest(session, device, place.lat, place.lon, limit)
        return json_answer({"stops": stops})


def _active_device() -> CallingDevice:
    """The calling device, if it may read.

    Raises:
        Unauthorized: ``device.revoked``, and those of :func:`calling_device`.
    """
    device = calling_device()
    if device.status != "active":
        raise Unauthorized("device.revoked", "This handheld has been shut out.")
    return device


def _place() -> geo.Place:
    """The place in the query, in WGS-84.

    Raises:
        Invalid: ``gps.invalid``, ``gps.out_of_range`` or ``gps.unknown_datum``.
    """
    datum = request.args.get("crs", "wgs84")
    if datum not in geo.CRS:
        raise Invalid("gps.unknown_datum", "The datum is not known.", {"field": "crs"})
    lat = request.args.get("lat", type=float)
    lon = request.args.get("lon", type=float)
    if lat is None or lon is None:
        raise Invalid("gps.invalid", "A place needs lat and lon.", {"fields": ["lat", "lon"]})
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise Invalid("gps.out_of_range", "There is no such place.", {"lat": lat, "lon": lon})
    return geo.to_wgs84(datum, lat, lon)


def _key() -> str:
    """The key of this installation, from which tokens of handhelds are derived."""
    return str(current_app.config["SECRET_KEY"])


def _about(raw: dict[str, Any]) -> dict[str, Any]:
    """What a device says of itself, cut to what we keep."""
    lengths = {"install_id": 80, "model": 80, "os": 80, "app_version": 40, "name": 80}
    lengths |= {"imei": 20, "iccid": 24, "esn": 20}
    about = {
        key: str(raw[key]).replace("\x00", "")[:length]
        for key, length in lengths.items()
        if raw.get(key)
    }
    if not about.get("install_id"):
        raise Invalid("enrol.invalid", "The device must name its install_id.")
    return about


CONTACT_STEP = timedelta(minutes=1)


def _note_contact(device: CallingDevice) -> None:
    """Remember that the device was heard, at most once a minute so that pulls stay reads."""
    now = clock.now()
    if device.last_contact_at is None or now - device.last_contact_at > CONTACT_STEP:
        with transaction() as session:
            _touch_contact(session, device.id, now)


def _touch_contact(session: Session, device_id: int, now: Any) -> None:
    device = session.execute(
        select(Device).where(Device.id == device_id).with_for_update()
    ).scalar_one()
    device.last_contact_at = now


def _protocol() -> int:
    return _number("protocol", PROTOCOL)


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default


def _failure(error: DomainError) -> Response:
    response = json_answer(error.body(), error.status)
    if "retry_after_s" in error.details:
        response.headers["Retry-After"] = str(error.details["retry_after_s"])
    if "upload_offset" in error.details:
        response.headers[OFFSET] = str(error.details["upload_offset"])
    return response


def _database_failure(error: OperationalError) -> Response:
    """The database is busy or away: nothing was stored, come again."""
    digest = hashlib.sha256(str(error.orig).encode()).hexdigest()[:8]
    body = {
        "code": "server.busy",
        "message": "The server is busy. Nothing was stored; send it again.",
        "details": {"reference": digest},
    }
    response = json_answer(body, 503)
    response.headers["Retry-After"] = "5"
    return response
