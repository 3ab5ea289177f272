"""Hourly values over the JSON API: taking them in batches, and which are missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from server import clock
from server.accounts.models import REGISTER_KINDS
from server.db import Session, carry_out, snapshot
from server.errors import Invalid
from server.identity.bearer import bearer_required, current_actor
from server.metering.intervals import queries
from server.metering.intervals.service import NewValue, Taken, take
from server.rounds.scope import scope_of

blueprint = Blueprint(
    "intervals",
    __name__,
    url_prefix="/api/v1/intervals",
    description="Hourly values of large customers' meters.",
)

MOST = 5000
_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_TIME = validate.Range(
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    error="Not a valid datetime.",
)


class ValueIn(Schema):
    """What a register showed on the hour, in dial units."""

    meter_serial = fields.String(
        required=True, validate=(validate.Length(1, 40), _TEXT), metadata={"example": "M00001"}
    )
    register = fields.String(load_default="total", validate=validate.OneOf(REGISTER_KINDS))
    at = fields.AwareDateTime(
        required=True,
        format="iso",
        validate=_TIME,
        metadata={"description": "A full hour.", "example": "2026-11-22T14:00:00+08:00"},
    )
    value = fields.Decimal(
        required=True,
        as_string=True,
        allow_nan=False,
        validate=validate.Range(Decimal(0), Decimal(10) ** 12, max_inclusive=False),
        metadata={"example": "10234.56"},
    )


class ValuesIn(Schema):
    """Up to 5,000 values, each judged by itself; sending them again changes nothing."""

    values = fields.List(fields.Nested(ValueIn), required=True, validate=validate.Length(1, MOST))


class ValueRefusedOut(Schema):
    """A value that was not taken: its place in the list, counted from 0, and why."""

    index = fields.Integer()
    code = fields.String(metadata={"example": "interval.unknown_meter"})
    message = fields.String()


class TakenOut(Schema):
    """How many values were new, known already, different from what was known, and refused."""

    stored = fields.Integer()
    same = fields.Integer()
    corrected = fields.Integer()
    refused = fields.List(fields.Nested(ValueRefusedOut))


class GapsQuery(Schema):
    """Whose hours, from when to when; without a beginning the last seven days."""

    account_no = fields.String(required=True, validate=(validate.Length(1, 40), _TEXT))
    since = fields.AwareDateTime(format="iso", validate=_TIME)
    until = fields.AwareDateTime(format="iso", validate=_TIME)


class GapOut(Schema):
    """Missing hours, both ends included."""

    first = fields.AwareDateTime(format="iso")
    last = fields.AwareDateTime(format="iso")
    hours = fields.Integer()


class StateOut(Schema):
    """A point with hourly values."""

    point_no = fields.String()
    first_at = fields.AwareDateTime(format="iso")
    last_at = fields.AwareDateTime(format="iso")
    missing = fields.Integer()
    gaps = fields.List(fields.Nested(GapOut))


class StatesOut(Schema):
    """The points of the account that send hourly values."""

    points = fields.List(fields.Nested(StateOut))


@blueprint.route("", methods=["POST"])
@bearer_required
@blueprint.arguments(
    ValuesIn,
    example={
        "values": [
            {"meter_serial": "M00001", "at": "2026-11-22T14:00:00+08:00", "value": "10234.56"}
        ]
    },
)
@blueprint.response(200, TakenOut, example={"stored": 1, "same": 0, "corrected": 0, "refused": []})
def post_intervals(document: dict[str, Any]) -> dict[str, Any]:
    """Take hourly values. A known one changes nothing; another one for its hour is a correction."""
    actor = current_actor()
    values = [NewValue(**entry) for entry in document["values"]]

    def work(session: Session) -> list[Taken]:
        return take(session, actor, scope_of(session, actor, "readings", "capture"), values, "api")

    return _summary(carry_out(work))


@blueprint.route("/gaps", methods=["GET"])
@bearer_required
@blueprint.arguments(GapsQuery, location="query")
@blueprint.response(200, StatesOut)
def get_gaps(query: dict[str, Any]) -> dict[str, Any]:
    """Which hours of an account's points are missing, up to an hour ago."""
    since = query.get("since") or clock.now() - timedelta(days=7)
    until = query.get("until")
    if (until or clock.now()) - since > queries.LONGEST:
        raise Invalid("interval.too_long", "Ask for 62 days at most.", {"days": 62})
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "readings", "view")
        account_id = queries.visible_account(session, seen, query["account_no"])
        found = queries.states(session, account_id, since, until)
    return {"points": found}


def _summary(outcomes: list[Taken]) -> dict[str, Any]:
    counts = dict.fromkeys(("stored", "same", "corrected"), 0)
    refused = []
    for index, outcome in enumerate(outcomes):
        if outcome.problem is None:
            counts[outcome.became] += 1
        else:
            problem = outcome.problem
            refused.append({"index": index, "code": problem.code, "message": problem.message})
    return {**counts, "refused": refused}
