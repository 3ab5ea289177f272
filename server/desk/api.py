"""Texts over the JSON API: queue one or many, see what became of them, withdraw what has not left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import select

from server.db import Session, snapshot, transaction
from server.desk import texts
from server.errors import NotFound
from server.identity.actor import Actor
from server.identity.bearer import bearer_required, current_actor
from server.notify import queries
from server.notify.models import OutboxMessage
from server.notify.rules.phones import masked
from server.notify.rules.states import STATES
from server.rounds.scope import scope_of

blueprint = Blueprint(
    "messages",
    __name__,
    url_prefix="/api/v1/messages",
    description="Texts to phones, with what became of them.",
)

MAX_MESSAGES = 1000

# PostgreSQL stores no NUL, and half of a surrogate pair is no character.
_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_TIME = validate.Range(
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    error="Not a valid datetime.",
)
_ID = validate.Range(1, 2**63 - 1)


def _word(length: int, about: str = "", **more: Any) -> fields.String:
    checks = (validate.Length(1, length), _TEXT)
    return fields.String(validate=checks, metadata={"description": about, **more})


class MessageIn(Schema):
    """One text: to a phone, a contact or an account; free words, or an event's template with data."""

    key = _word(
        texts.KEY_LENGTH,
        "Yours: the same key and content again is the same message, other content is refused.",
        example="reminder-2026-11-10000001",
    )
    phone = _word(40, "With country code, or a number of the operator's own country.")
    contact_id = fields.Integer(strict=True, validate=_ID)
    account_no = _word(40, "The contact to reach first of this account.")
    text = _word(2000, "The words as they are.", example="明日8时至12时检修停电,请提前准备。")
    template = _word(60, "The name of an event whose template is used.", example="bill.issued")
    data = fields.Dict(
        keys=fields.String(validate=validate.Length(max=40)),
        values=fields.String(validate=(validate.Length(max=500), _TEXT)),
        metadata={"description": "Exactly the variables of the template; amounts as text."},
    )
    language = fields.String(
        validate=validate.Length(max=16),
        metadata={"description": "Of the template; without it that of the contact."},
    )
    category = _word(30, "Instead of the event's own: which refusals and quiet hours count.")
    priority = fields.Integer(
        strict=True,
        validate=validate.Range(1, 99),
        metadata={"description": "Lower leaves first; instead of the event's own."},
    )
    not_before = fields.AwareDateTime(format="iso", validate=_TIME)
    expires_at = fields.AwareDateTime(format="iso", validate=_TIME)

    @validates_schema
    def one_content(self, data: dict[str, Any], **_more: Any) -> None:
        """Words or a template, never both."""
        if ("text" in data) == ("template" in data):
            raise ValidationError("Give text, or template with data.", "text")
        if "data" in data and "template" not in data:
            raise ValidationError("Goes with a template only.", "data")


class MessagesIn(Schema):
    """Up to 1,000 texts, each judged by itself."""

    messages = fields.List(
        fields.Nested(MessageIn), required=True, validate=validate.Length(1, MAX_MESSAGES)
    )


class ResultOut(Schema):
    """What became of one text: its id and state, or the code of its refusal."""

    key = fields.String()
    id = fields.Integer(allow_none=True)
    status = fields.String(allow_none=True, metadata={"example": "queued"})
    segments = fields.Integer(allow_none=True)
    replayed = fields.Boolean(metadata={"description": "It was there already."})
    code = fields.String(allow_none=True, metadata={"example": "notify.key_reused"})
    message = fields.String(allow_none=True)
    details = fields.Dict()


class ResultsOut(Schema):
    """Results in the order of the messages."""

    results = fields.List(fields.Nested(ResultOut))


class PartOut(Schema):
    """One segment as a carrier had it; a resend is a part of its own."""

    part = fields.Integer()
    copy = fields.Integer()
    status = fields.String()
    gateway = fields.String()
    carrier_id = fields.String(allow_none=True)
    error = fields.String(allow_none=True)
    price = fields.Decimal(as_string=True, allow_none=True)
    submitted_at = fields.AwareDateTime(format="iso")
    answered_at = fields.AwareDateTime(format="iso", allow_none=True)
    reported_at = fields.AwareDateTime(format="iso", allow_none=True)


class MessageOut(Schema):
    """A message and how far it is; the number is whole only for whoever sent it."""

    id = fields.Integer()
    key = fields.String(allow_none=True, metadata={"description": "Only of your own messages."})
    status = fields.String(metadata={"example": "delivered"})
    event = fields.String()
    category = fields.String()
    priority = fields.Integer()
    phone = fields.String(metadata={"example": "+8613812345678"})
    language = fields.String()
    text = fields.String()
    segments = fields.Integer()
    cost = fields.Decimal(as_string=True, metadata={"description": "Of the accepted segments."})
    gateway = fields.String(allow_none=True)
    attempts = fields.Integer()
    possible_duplicate = fields.Boolean()
    error = fields.String(allow_none=True)
    created_at = fields.AwareDateTime(format="iso")
    not_before = fields.AwareDateTime(format="iso", allow_none=True)
    expires_at = fields.AwareDateTime(format="iso", allow_none=True)
    status_at = fields.AwareDateTime(format="iso")


class MessageWhole(MessageOut):
    """A message with its parts."""

    parts = fields.List(fields.Nested(PartOut))


class ListQuery(Schema):
    """Which messages: by your key, by phone, by state; ``before`` is the last id of the page before."""

    key = _word(texts.KEY_LENGTH)
    phone = _word(40)
    status = fields.String(validate=validate.OneOf(STATES))
    before = fields.Integer(validate=_ID)
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))


class ListOut(Schema):
    """Messages newest first; ``before`` asks for the next page and is none on the last."""

    messages = fields.List(fields.Nested(MessageOut))
    before = fields.Integer(allow_none=True)


@blueprint.route("", methods=["POST"])
@bearer_required
@blueprint.arguments(
    MessagesIn,
    example={
        "messages": [
            {"key": "r-1", "phone": "+8613812345678", "text": "明日8时至12时检修停电。"},
            {"key": "r-2", "account_no": "10000001", "text": "Your meter is changed on 3 Dec."},
        ]
    },
)
@blueprint.response(
    200,
    ResultsOut,
    example={
        "results": [
            {"key": "r-1", "id": 812, "status": "queued", "segments": 1, "replayed": False},
            {"key": "r-2", "code": "account.unreachable", "message": "There is no such account …"},
        ]
    },
)
def post_messages(document: dict[str, Any]) -> dict[str, Any]:
    """Queue texts; each is judged by itself. A refused list of one answers with its own status."""
    actor = current_actor()
    wanted = [_wanted(entry) for entry in document["messages"]]
    with transaction() as session:
        seen = scope_of(session, actor, "messages", "send")
        outcomes = texts.send(session, actor, seen, wanted)
    if len(outcomes) == 1 and outcomes[0].refused is not None:
        raise outcomes[0].refused
    return {"results": [_result(outcome) for outcome in outcomes]}


@blueprint.route("", methods=["GET"])
@bearer_required
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, ListOut)
def list_messages(query: dict[str, Any]) -> dict[str, Any]:
    """Messages that you may see, newest first."""
    actor = current_actor()
    with snapshot() as session:
        seen = scope_of(session, actor, "messages", "view")
        conditions = [texts.visible(actor, seen)]
        if "key" in query:
            conditions.append(OutboxMessage.key == texts.stored_key(actor.staff_id, query["key"]))
        if "phone" in query:
            conditions.append(OutboxMessage.phone == texts.phone_of(query["phone"]))
        if "status" in query:
            conditions += queries.in_state(query["status"])
        if "before" in query:
            conditions.append(OutboxMessage.id < query["before"])
        rows = list(
            session.scalars(
                select(OutboxMessage)
                .where(*conditions)
                .order_by(OutboxMessage.id.desc())
                .limit(query["limit"] + 1)
            )
        )
        shown = rows[: query["limit"]]
        found = _bodies(session, actor, shown)
    return {"messages": found, "before": shown[-1].id if len(rows) > len(shown) else None}


@blueprint.route("/<int:message_id>", methods=["GET"])
@bearer_required
@blueprint.response(200, MessageWhole)
def get_message(message_id: int) -> dict[str, Any]:
    """One message with its state, parts, times and cost."""
    actor = current_actor()
    with snapshot() as session:
        row = _found(session, actor, "view", message_id)
        (body,) = _bodies(session, actor, [row])
        body["parts"] = queries.parts(session, message_id)
    return body


@blueprint.route("/<int:message_id>", methods=["DELETE"])
@bearer_required
@blueprint.response(204)
def delete_message(message_id: int) -> None:
    """Withdraw a message that is queued or held; later it is 409 ``notify.too_late``."""
    actor = current_actor()
    with transaction() as session:
        _found(session, actor, "send", message_id)
        texts.withdraw(session, actor, message_id)


def _found(session: Session, actor: Actor, action: str, message_id: int) -> OutboxMessage:
    seen = scope_of(session, actor, "messages", action)
    row = (
        session.scalar(
            select(OutboxMessage).where(OutboxMessage.id == message_id, texts.visible(actor, seen))
        )
        if message_id < 2**63
        else None
    )
    if row is None:
        raise NotFound("message.unknown", "There is no such message, or it is not yours to see.")
    return row


def _wanted(entry: dict[str, Any]) -> texts.Wanted:
    words = {name: value for name, value in entry.items() if name not in ("text", "template")}
    if "text" in entry:
        return texts.Wanted(event=texts.FREE, data={"text": entry["text"]}, **words)
    return texts.Wanted(event=entry["template"], **words)


def _result(outcome: texts.Outcome) -> dict[str, Any]:
    refused = outcome.refused
    return {
        "key": outcome.key,
        "id": outcome.id,
        "status": outcome.status,
        "segments": outcome.segments,
        "replayed": outcome.replayed,
        "code": refused.code if refused else None,
        "message": refused.message if refused else None,
        "details": refused.details if refused else {},
    }


def _bodies(session: Session, actor: Actor, rows: list[OutboxMessage]) -> list[dict[str, Any]]:
    """Messages as they are told; others' numbers with their middle hidden."""
    costs = queries.costs(session, [row.id for row in rows])
    names = queries.gateway_names(session)
    mine = texts.stored_key(actor.staff_id, "")
    bodies = []
    for row in rows:
        own = row.key.startswith(mine)
        body = {name: getattr(row, name, None) for name in MessageOut().fields}
        body |= {
            "key": row.key.removeprefix(mine) if own else None,
            "phone": row.phone if own else masked(row.phone),
            "cost": costs.get(row.id, 0),
            "gateway": names.get(row.gateway_id or 0),
        }
        bodies.append(body)
    return bodies
