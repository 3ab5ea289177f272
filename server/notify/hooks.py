"""What HTTP carriers post to us: delivery reports and people's texts, at `/hooks/v1/sms/<gateway>/…`.

A request is proved by the gateway's own secret, is fresh, and is stored before it is answered. What is
told twice is one thing: reports by carrier id, state and time, texts by carrier id. docs/http-gateway.md
describes all of it for carriers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Blueprint, Response, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError

from server import clock, openapi, throttle
from server.db import Session, snapshot, transaction
from server.errors import Invalid, NotFound, Unauthorized
from server.notify import inbound
from server.notify.dispatch import results
from server.notify.gateways import options
from server.notify.gateways.http.config import HttpConfig
from server.notify.models import Gateway
from server.notify.rules import signing
from server.notify.rules.inbound import InboundText
from server.notify.rules.receipts import Receipt

log = logging.getLogger(__name__)

MOST = 1000
LARGEST_BODY = 1024 * 1024
STATES = (
    *("delivered", "accepted", "enroute", "expired", "deleted", "undeliverable", "rejected"),
    "unknown",
)


class _Told(Schema):
    """What carriers add of their own is left alone."""

    class Meta:
        unknown = EXCLUDE


class ReportSchema(_Told):
    """What became of one text that the carrier has accepted."""

    id = fields.String(required=True, validate=validate.Length(1, 64))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    error = fields.String(load_default="", validate=validate.Length(max=20))
    at = fields.AwareDateTime(load_default=None, default_timezone=UTC)


class TextSchema(_Told):
    """A text that a person has sent."""

    id = fields.String(required=True, validate=validate.Length(1, 64))
    sender = fields.String(required=True, data_key="from", validate=validate.Length(1, 40))
    to = fields.String(load_default="", validate=validate.Length(max=40))
    text = fields.String(required=True, validate=validate.Length(max=10_000))


class ReportsSchema(_Told):
    """Delivery reports, at most a thousand."""

    reports = fields.List(
        fields.Nested(ReportSchema), required=True, validate=validate.Length(1, MOST)
    )


class TextsSchema(_Told):
    """Texts, at most a thousand."""

    texts = fields.List(fields.Nested(TextSchema), required=True, validate=validate.Length(1, MOST))


def report(name: str) -> Response:
    """Take delivery reports; a report about nothing of ours is kept and changes nothing."""
    gateway_id, config = _proved(name)
    told = _read(ReportsSchema())["reports"]
    receipts = [Receipt(one["id"], one["state"], one["error"], _stamp(one["at"])) for one in told]
    with transaction() as session:
        batch = results.Batch(receipts=receipts)
        results.record(session, gateway_id, batch, clock.now(), id_mode=config.report_ids)
    return _answer({"taken": len(told)})


def take_texts(name: str) -> Response:
    """Take people's texts; one that was taken before is dropped."""
    gateway_id, config = _proved(name)
    told = _read(TextsSchema())["texts"]
    now = clock.now()
    with transaction() as session:
        inbound.store(session, [_text(one, gateway_id, config, now) for one in told])
    return _answer({"taken": len(told)})


def _text(
    one: Mapping[str, Any], gateway_id: int, config: HttpConfig, now: datetime
) -> InboundText:
    return InboundText(
        gateway_id=gateway_id,
        phone=one["sender"],
        to=one["to"] or config.source,
        body=one["text"].encode("utf-8", "replace"),
        received_at=now,
        charset="utf-8",
        carrier_id=one["id"],
    )


def _proved(name: str) -> tuple[int, HttpConfig]:
    """The gateway and its options, once its secret has been proved.

    Raises NotFound `hook.unknown_gateway`, Unauthorized `hook.…` or TooMany `throttle.too_many`.
    """
    request.max_content_length = LARGEST_BODY
    with snapshot() as session:
        gateway_id, config = _gateway(session, name)
    body = request.get_data()
    with throttle.current().guarding(throttle.API_UNKNOWN, request.remote_addr or ""):
        if not config.hook_secret:
            raise Unauthorized("hook.not_set_up", f"The gateway {name} has no hook_secret.")
        signing.check(
            config.hook_secret,
            request.headers.get(signing.TIMESTAMP),
            request.headers.get(signing.SIGNATURE),
            body,
            clock.now().timestamp(),
            config.hook_window_seconds,
        )
    return gateway_id, config


def _gateway(session: Session, name: str) -> tuple[int, HttpConfig]:
    row = session.execute(
        select(Gateway.id, Gateway.config).where(Gateway.name == name, Gateway.kind == "http")
    ).one_or_none()
    if row is None:
        raise NotFound("hook.unknown_gateway", f"There is no HTTP gateway {name}.")
    return row.id, options.load(HttpConfig, name, row.config)


def _read(schema: Schema) -> dict[str, Any]:
    """The body as the schema has it. Raises Invalid `hook.not_json` or `hook.invalid`."""
    try:
        document = orjson.loads(request.get_data())
    except orjson.JSONDecodeError:
        raise Invalid("hook.not_json", "The body is not JSON.", status=400) from None
    try:
        found: dict[str, Any] = schema.load(document)
    except ValidationError as refused:
        details = {"fields": openapi.field_paths(refused.messages_dict)}
        raise Invalid("hook.invalid", "Some fields cannot be used.", details) from None
    return found


def _stamp(at: datetime | None) -> str:
    """The carrier's time as delivery reports keep it: it tells a repeated report from a new one."""
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S}" if at is not None else ""


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, content_type="application/json")


def _busy(error: Exception) -> Response:
    """The database is busy, or two requests told the same at once: nothing was stored, come again."""
    log.warning("a hook was put off: %s", type(error).__name__)
    response = _answer(
        {
            "code": "server.busy",
            "message": "The server is busy. Nothing was stored; send it again.",
            "details": {},
        },
        503,
    )
    response.headers["Retry-After"] = "5"
    return response


blueprint = Blueprint("sms_hooks", __name__, url_prefix="/hooks/v1/sms")
blueprint.add_url_rule("/<name>/report", view_func=report, methods=["POST"])
blueprint.add_url_rule("/<name>/inbound", view_func=take_texts, methods=["POST"])
blueprint.register_error_handler(OperationalError, _busy)
blueprint.register_error_handler(IntegrityError, _busy)
