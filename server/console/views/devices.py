"""Handhelds: the list, one in full, enrolling, shutting out, replacing."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import orjson
import segno
from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy import select
from werkzeug.wrappers import Response

from server.console import entry, paging, scope
from server.console.queries import devices, readings, routes
from server.db import Session, snapshot, transaction
from server.errors import Invalid
from server.identity import rules, service
from server.identity.models import Device, Staff
from server.identity.queries import silent_since

STATES = ("active", "silent", "revoked", "replaced")


def page() -> str:
    """The list; by state through chips."""
    state = request.args.get("state")
    state = state if state in STATES else None
    settings = entry.settings()
    with snapshot() as session:
        seen = scope.of(session, "devices", "view")
        found = paging.page(session, devices.listed(seen, state, settings), Device.id)
        gaps = devices.gaps(session, [row.Device.id for row in found.rows])
        silent = _silent(session)
        codes = devices.open_codes(session, seen)
        people = routes.readers(session, seen) if scope.may("devices", "enrol") else []
    return render_template(
        "console/devices.html",
        page=found,
        gaps=gaps,
        silent=silent,
        state=state,
        states=STATES,
        people=people,
        codes=codes,
    )


def _silent(session: Session) -> set[int]:
    condition = silent_since(entry.settings().device_silent_hours)
    return set(session.scalars(select(Device.id).where(condition)))


def one(device_id: int) -> str:
    """One handheld: how it is, what is missing, what it sent last, what can be done."""
    with snapshot() as session:
        seen = scope.of(session, "devices", "view")
        row = scope.found(devices.one(session, seen, device_id), "device")
        gaps = devices.gaps(session, [device_id]).get(device_id, [])
        sent = devices.recent(session, device_id) if scope.may("captures", "view") else []
        trail = readings.trail(session, "device", device_id)
        silent = device_id in _silent(session)
    return render_template(
        "console/device.html", row=row, gaps=gaps, sent=sent, trail=trail, silent=silent
    )


def enrol() -> str:
    """Make a one-time code and show it as a square code and as eight characters, this once."""
    actor, settings = entry.actor(), entry.settings()
    staff_id, replaces = _number("staff_id"), _number("replaces")
    with transaction() as session:
        seen = scope.of(session, "devices", "enrol")
        if replaces is not None:
            old = scope.found(devices.one(session, seen, replaces), "device")
            staff_id = staff_id or old.Device.staff_id
        if staff_id is None:
            raise Invalid("staff.unknown", "Choose who will carry the handheld.")
        person = scope.found(
            session.scalars(select(Staff).where(Staff.id == staff_id, seen.staff())).one_or_none(),
            "staff",
        )
        valid_for = timedelta(hours=settings.enrol_code_hours)
        enrolment, code = service.offer_enrolment(session, actor, staff_id, valid_for, replaces)
    square = orjson.dumps({"server": settings.base_url, "code": code}).decode()
    return render_template(
        "console/enrolment.html",
        person=person,
        code=rules.show_code(code),
        square=_square(square),
        address=settings.base_url,
        expires_at=enrolment.expires_at,
        replaces=replaces,
    )


def _square(text: str) -> Markup:
    """A QR code as SVG without inline style."""
    out = BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, border=3, omitsize=True
    )
    return Markup(out.getvalue().decode())  # noqa: S704 - drawn here from our own text


def revoke(device_id: int) -> Response:
    """Shut a handheld out; what it still holds can come in, it gets nothing any more."""
    with transaction() as session:
        seen = scope.of(session, "devices", "revoke")
        scope.found(devices.one(session, seen, device_id), "device")
        device = service.revoke_device(session, entry.actor(), device_id)
        name = device.name
    flash(_("%(name)s is shut out.", name=name), "message")
    return redirect(url_for("console.devices_one", device_id=device_id))


def _number(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isdigit() and len(text) < 19 else None
