"""Readings over the JSON API: one or many as JSON, or a CSV file; the field's own rules apply."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import current_app, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate, validates
from sqlalchemy.exc import IntegrityError

from server.accounts.models import REGISTER_KINDS
from server.capture.office import OfficeReading, OfficeVerdict, record_office_readings
from server.capture.schemas import DialValue
from server.capture.settle import billing_rules
from server.db import Session, carry_out
from server.errors import Invalid, TooLarge
from server.identity.actor import Actor
from server.identity.bearer import bearer_required, current_actor
from server.metering.service import DialEntry

blueprint = Blueprint(
    "readings",
    __name__,
    url_prefix="/api/v1/readings",
    description="Readings by office or customer.",
)

MAX_READINGS = 1000
MAX_ROWS = 100_000
CHUNK = 500
REASONS = ("01", "02", "03", "06", "09", "10", "13", "18")


# PostgreSQL stores no NUL, and half of a surrogate pair is no character.
_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_TIME = validate.Range(
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    error="Not a valid datetime.",
)


class RegisterEntry(Schema):
    """One dial's figure; ``second_entry`` repeats it after a limit was missed."""

    kind = fields.String(load_default="total", validate=validate.OneOf(REGISTER_KINDS))
    value = DialValue(required=True)
    second_entry = DialValue(load_default=None, allow_none=True)


class ReadingEntry(Schema):
    """One reading of a service point."""

    point_no = fields.String(required=True, validate=(validate.Length(1, 40), _TEXT))
    read_at = fields.AwareDateTime(required=True, format="iso", validate=_TIME)
    registers = fields.List(
        fields.Nested(RegisterEntry), required=True, validate=validate.Length(1, 8)
    )
    source = fields.String(load_default="office", validate=validate.OneOf(("office", "customer")))
    reason = fields.String(load_default="01", validate=validate.OneOf(REASONS))
    meter_serial = fields.String(
        load_default=None, allow_none=True, validate=(validate.Length(1, 40), _TEXT)
    )
    note = fields.String(
        load_default=None, allow_none=True, validate=(validate.Length(max=255), _TEXT)
    )
    uuid = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "Made by the caller: sending it again changes nothing."},
    )

    @validates("registers")
    def each_register_once(self, value: list[dict[str, Any]], data_key: str) -> None:  # noqa: ARG002 - marshmallow passes it
        """Two figures for one dial say nothing certain."""
        if len({register["kind"] for register in value}) < len(value):
            raise ValidationError("A register is there twice.")


class ReadingsIn(Schema):
    """Up to 1,000 readings."""

    readings = fields.List(
        fields.Nested(ReadingEntry), required=True, validate=validate.Length(1, MAX_READINGS)
    )


class VerdictOut(Schema):
    """What became of one reading; held ones wait in the review queue."""

    verdict = fields.String()
    code = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    field = fields.String(allow_none=True)
    reading_ids = fields.List(fields.Integer())
    replayed = fields.Boolean()


class ReadingsOut(Schema):
    """Verdicts in the order of the readings."""

    results = fields.List(fields.Nested(VerdictOut))


class BadRowOut(Schema):
    """A row that was not taken: its line in the file, the column and why."""

    line = fields.Integer()
    column = fields.String()
    code = fields.String()
    message = fields.String()


class CsvOut(Schema):
    """Counts by verdict and every bad row."""

    rows = fields.Integer()
    verdicts = fields.Dict(keys=fields.String(), values=fields.Integer())
    bad_rows = fields.List(fields.Nested(BadRowOut))


@blueprint.route("", methods=["POST"])
@bearer_required
@blueprint.arguments(ReadingsIn)
@blueprint.response(200, ReadingsOut)
def post_readings(document: dict[str, Any]) -> dict[str, Any]:
    """Record readings; each is judged by itself, a held one stops no other."""
    readings = [_office_reading(entry) for entry in document["readings"]]
    verdicts = _record(current_actor(), readings)
    return {"results": [_verdict_body(verdict) for verdict in verdicts]}


@blueprint.route("/csv", methods=["POST"])
@bearer_required
@blueprint.response(200, CsvOut)
@blueprint.doc(
    requestBody={
        "description": "Columns point_no, read_at, value; optional register, second_entry, source, "
        "reason, meter_serial, note, uuid. Rows of one point and time are one reading.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
)
def post_readings_csv() -> dict[str, Any]:
    """Record readings from a CSV file; bad rows are reported, good ones go through."""
    rows = read_csv(request.get_data())
    good, bad = _parse_rows(rows)
    counts: dict[str, int] = {}
    grouped = _grouped(good)
    for start in range(0, len(grouped), CHUNK):
        chunk = grouped[start : start + CHUNK]
        verdicts = _record(current_actor(), [reading for _, reading in chunk])
        for (line, _), verdict in zip(chunk, verdicts, strict=True):
            name = verdict.verdict.verdict
            counts[name] = counts.get(name, 0) + 1
            if name == "rejected":
                bad.append(BadRow(line, verdict.verdict.field or "", *_words(verdict)))
    return {"rows": len(rows), "verdicts": counts, "bad_rows": sorted(bad, key=lambda b: b.line)}


def _record(actor: Actor, readings: Sequence[OfficeReading]) -> list[OfficeVerdict]:
    """Record in one transaction; a uuid that raced with its double is simply found at the second try."""
    rules = billing_rules(current_app.extensions["fieldbell"])

    def work(session: Session) -> list[OfficeVerdict]:
        return record_office_readings(session, actor, readings, rules)

    try:
        return carry_out(work)
    except IntegrityError:
        return carry_out(work)


def _office_reading(entry: dict[str, Any]) -> OfficeReading:
    return OfficeReading(
        point_no=entry["point_no"],
        registers=tuple(
            DialEntry(r["kind"], r["value"], r["second_entry"]) for r in entry["registers"]
        ),
        read_at=entry["read_at"],
        source=entry["source"],
        reason=entry["reason"],
        meter_serial=entry["meter_serial"],
        note=entry["note"],
        uuid=entry["uuid"],
    )


def _verdict_body(outcome: OfficeVerdict) -> dict[str, Any]:
    verdict = outcome.verdict
    return {
        "verdict": verdict.verdict,
        "code": verdict.code,
        "message": verdict.message,
        "field": verdict.field,
        "reading_ids": list(outcome.reading_ids),
        "replayed": outcome.replayed,
    }


def _words(outcome: OfficeVerdict) -> tuple[str, str]:
    return outcome.verdict.code or "reading.rejected", outcome.verdict.message or ""


# --- CSV ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BadRow:
    """A row of a file that was not taken."""

    line: int
    column: str
    code: str
    message: str


COLUMNS = ("point_no", "read_at", "value")


def read_csv(body: bytes) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers; UTF-8 or GB18030.

    Raises:
        Invalid: ``csv.encoding``, ``csv.malformed``, ``csv.columns`` when a needed column is
            missing.
        TooLarge: ``csv.too_many_rows``.
    """
    try:
        return _rows_of(_decode(body))
    except csv.Error as error:
        raise Invalid("csv.malformed", f"The file is not CSV: {error}.") from error


def _rows_of(text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = [name.strip().lower() for name in reader.fieldnames or []]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise Invalid(
            "csv.columns", f"The file lacks the columns {', '.join(missing)}.", {"missing": missing}
        )
    reader.fieldnames = names
    rows = [
        (reader.line_num, {key: (value or "").strip() for key, value in row.items() if key})
        for row in reader
    ]
    if len(rows) > MAX_ROWS:
        raise TooLarge("csv.too_many_rows", "Split the file.", {"max_rows": MAX_ROWS})
    return rows


def _decode(body: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid("csv.encoding", "The file is neither UTF-8 nor GB18030.")


def _parse_rows(
    rows: Iterable[tuple[int, dict[str, str]]],
) -> tuple[list[tuple[int, OfficeReading]], list[BadRow]]:
    good: list[tuple[int, OfficeReading]] = []
    bad: list[BadRow] = []
    schema = ReadingEntry()
    for line, row in rows:
        try:
            good.append((line, _office_reading(schema.load(_as_entry(row)))))
        except ValidationError as error:
            bad += [
                BadRow(line, _column(str(field)), "row.invalid", _first(messages))
                for field, messages in _by_field(error).items()
            ]
    return good, bad


def _as_entry(row: dict[str, str]) -> dict[str, Any]:
    register = {"kind": row.get("register") or "total", "value": row.get("value", "")}
    if row.get("second_entry"):
        register["second_entry"] = row["second_entry"]
    entry: dict[str, Any] = {
        "point_no": row.get("point_no", ""),
        "read_at": row.get("read_at", ""),
        "registers": [register],
    }
    optional = ("source", "reason", "meter_serial", "note", "uuid")
    return entry | {name: row[name] for name in optional if row.get(name)}


def _by_field(error: ValidationError) -> dict[str, Any]:
    messages = error.messages
    return messages if isinstance(messages, dict) else {"row": messages}


def _column(field: str) -> str:
    return "value" if field == "registers" else field


def _first(messages: Any) -> str:
    while isinstance(messages, dict):
        messages = next(iter(messages.values()))
    return str(messages[0] if isinstance(messages, list) else messages)


def _grouped(rows: Sequence[tuple[int, OfficeReading]]) -> list[tuple[int, OfficeReading]]:
    """Rows of one point and time become one reading with several registers."""
    merged: dict[tuple[str, datetime, UUID | None], tuple[int, OfficeReading]] = {}
    extra: list[tuple[int, OfficeReading]] = []
    for line, reading in rows:
        key = (reading.point_no, reading.read_at, reading.uuid)
        if key not in merged:
            merged[key] = (line, reading)
            continue
        first_line, first = merged[key]
        kinds = {entry.kind for entry in first.registers}
        if kinds & {entry.kind for entry in reading.registers}:
            extra.append((line, reading))
        else:
            together = replace(first, registers=first.registers + reading.registers)
            merged[key] = (first_line, together)
    return sorted([*merged.values(), *extra], key=lambda pair: pair[0])
