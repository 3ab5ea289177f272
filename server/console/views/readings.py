"""Readings: the list with verdicts, one in full, and entering one at the desk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID, uuid4

import orjson
from flask import Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from server import clock
from server.accounts.models import Installation, Meter, Register, ServicePoint
from server.capture import settle
from server.capture.models import Attachment, CaptureEvent
from server.capture.office import OfficeReading, record_office_readings
from server.console import entry, paging, scope, words
from server.console.queries import attachments, readings, routes
from server.console.show import zone
from server.db import Session, carry_out, snapshot
from server.errors import DomainError
from server.metering.models import READING_STATUSES, Reading
from server.metering.service import DialEntry
from server.rounds.scope import Scope

SOURCES = ("device", "office", "customer", "import")


def page() -> str:
    """The list, narrowed by the chips of its address."""
    filters = _filters()
    with snapshot() as session:
        seen = scope.of(session, "readings", "view")
        found = paging.page(session, readings.listed(seen, filters), Reading.id)
        choice = routes.choice(session, seen)
    return render_template(
        "console/readings.html",
        page=found,
        filters=filters,
        routes=choice,
        statuses=READING_STATUSES,
        sources=SOURCES,
        days=_days(),
    )


def export() -> Response:
    """The list as CSV, newest first."""
    filters = _filters()
    with snapshot() as session:
        seen = scope.of(session, "readings", "export")
    columns = [
        "id",
        "status",
        "reason_held",
        "read_at",
        "point_no",
        "account_no",
        "customer",
        "meter_serial",
        "register",
        "value",
        "quantity",
        "quality",
        "source",
        "reader",
        "received_at",
    ]
    return paging.csv_answer("readings", columns, lambda: _rows(seen, filters))


def _rows(seen: Scope, filters: readings.Filters) -> Iterable[Sequence[Any]]:
    statement = readings.listed(seen, filters).order_by(Reading.id.desc()).limit(paging.EXPORTED)
    with snapshot() as session:
        for row in session.execute(statement.execution_options(yield_per=1000)):
            r = row.Reading
            yield (
                r.id,
                r.status,
                r.code,
                r.read_at.isoformat(),
                row.point_no,
                row.account_no,
                row.customer,
                r.meter_serial,
                r.register_kind,
                r.value,
                row.quantity,
                r.quality,
                r.source,
                row.reader,
                r.created_at.isoformat(),
            )


def one(reading_id: int) -> str:
    """One reading: what it is, what the checks say, what happened, what can be done."""
    with snapshot() as session:
        seen = scope.of(session, "readings", "view")
        whole = scope.found(readings.whole(session, seen, reading_id), "reading")
        photos = _photos(session, whole.capture)
    payload = None
    if whole.capture is not None and scope.may("captures", "view"):
        payload = orjson.dumps(whole.capture.payload, option=orjson.OPT_INDENT_2).decode()
    return render_template("console/reading.html", it=whole, payload=payload, photos=photos)


def _photos(session: Session, capture: CaptureEvent | None) -> Sequence[Attachment]:
    """The files that came with a reading, for those who may see them."""
    if capture is None or not scope.may("captures", "view"):
        return ()
    seen = scope.of(session, "captures", "view")
    return attachments.of_capture(session, seen, capture.uuid)


# --- entering one ---------------------------------------------------------------------------


@dataclass
class Form:
    """What was typed, and what is wrong with it, field by field."""

    point_no: str = ""
    source: str = "office"
    read_at: str = ""
    note: str = ""
    uuid: str = ""
    values: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def enter() -> str:
    """The form: first the service point, then the dials of its meter."""
    entry.actor().require("readings", "capture")
    now = clock.now().astimezone(zone())
    form = Form(
        point_no=request.args.get("point", "").strip(),
        read_at=f"{now:%Y-%m-%dT%H:%M}",
        uuid=str(uuid4()),
    )
    return _form_page(form)


def add() -> str | AnyResponse | tuple[str, int]:
    """Record a reading by the same rules as those of the handhelds."""
    form = Form(
        point_no=request.form.get("point_no", "").strip(),
        source=request.form.get("source", "office"),
        read_at=request.form.get("read_at", ""),
        note=request.form.get("note", "").strip(),
        uuid=request.form.get("uuid", ""),
        values={
            name.removeprefix("value."): value.strip()
            for name, value in request.form.items()
            if name.startswith("value.")
        },
    )
    reading = _read(form)
    if reading is None:
        return _form_page(form), 422
    rules = settle.billing_rules(entry.settings())
    try:
        verdict = carry_out(
            lambda session: record_office_readings(session, entry.actor(), [reading], rules)[0]
        )
    except DomainError as error:
        form.wrong["point_no"] = words.sentence(error)
        return _form_page(form), error.status
    if verdict.verdict.verdict == "rejected":
        form.wrong["point_no"] = words.reason(verdict.verdict.code)
        return _form_page(form), 422
    if verdict.verdict.verdict == "applied":
        flash(_("The reading is confirmed."), "message")
    else:
        reason = words.reason(verdict.verdict.code)
        flash(
            _("The reading is held: %(reason)s. Somebody else has to decide it.", reason=reason),
            "error",
        )
    return redirect(url_for("console.readings_one", reading_id=verdict.reading_ids[0]))


def _read(form: Form) -> OfficeReading | None:
    """The reading in the form, or None with what is wrong written into the form."""
    entries = []
    for kind, text in form.values.items():
        try:
            value = Decimal(text)
            if not value.is_finite() or value < 0:
                raise InvalidOperation
            entries.append(DialEntry(kind, value))
        except InvalidOperation:
            form.wrong[f"value.{kind}"] = _("Type the figures of the dial, for instance 12345.")
    try:
        read_at = datetime.fromisoformat(form.read_at).replace(tzinfo=zone())
    except ValueError:
        form.wrong["read_at"] = _("Type the day and time of the reading.")
        return None
    if form.source not in {"office", "customer"}:
        form.wrong["source"] = _("Choose who read the meter.")
    if not entries and not form.wrong:
        form.wrong["point_no"] = _("This service point has no meter to read.")
    if form.wrong:
        return None
    return OfficeReading(
        point_no=form.point_no,
        registers=tuple(entries),
        read_at=read_at,
        source=form.source,
        note=form.note or None,
        uuid=_uuid(form.uuid),
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid4()


def _form_page(form: Form) -> str:
    with snapshot() as session:
        seen = scope.of(session, "readings", "capture")
        plant = _plant(session, seen, form.point_no) if form.point_no else None
    if form.point_no and plant is None and not form.wrong:
        form.wrong["point_no"] = _(
            "There is no service point with this number, or it is not yours."
        )
    return render_template("console/reading_new.html", form=form, plant=plant)


def _plant(session: Session, seen: Scope, point_no: str) -> Any:
    """The point, its meter's serial number and its registers."""
    row = session.execute(
        select(ServicePoint, Meter)
        .outerjoin(
            Installation,
            (Installation.service_point_id == ServicePoint.id) & Installation.removed_at.is_(None),
        )
        .outerjoin(Meter, Meter.id == Installation.meter_id)
        .where(ServicePoint.point_no == point_no, seen.points())
    ).first()
    if row is None:
        return None
    meter_id = row.Meter.id if row.Meter else None
    registers = session.scalars(
        select(Register).where(Register.meter_id == meter_id).order_by(Register.id)
    ).all()
    return {"point": row.ServicePoint, "meter": row.Meter, "registers": registers}


# --- filters --------------------------------------------------------------------------------


def _filters() -> readings.Filters:
    args = request.args
    status, source, route = args.get("status"), args.get("source"), args.get("route", "")
    return readings.Filters(
        status=status if status in READING_STATUSES else None,
        source=source if source in SOURCES else None,
        route_id=int(route) if route.isdigit() and len(route) < 19 else None,
        day=_day(args.get("date")),
        point_id=int(args["point"]) if args.get("point", "").isdigit() else None,
    )


def _day(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone()) if text else None
    except ValueError:
        return None


def _days() -> dict[str, str]:
    today = clock.now().astimezone(zone()).date()
    return {
        today.isoformat(): _("today"),
        (today - timedelta(days=1)).isoformat(): _("yesterday"),
    }
