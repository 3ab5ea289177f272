"""What carriers post to us: proved, fresh, stored before it is answered, and each thing once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from server import clock
from server.db import snapshot, transaction
from server.notify import service
from server.notify.dispatch import results
from server.notify.gateways.http import wire
from server.notify.gateways.port import Submission
from server.notify.models import (
    DeliveryReport,
    Gateway,
    InboundMessage,
    OutboxMessage,
    OutboxSegment,
)
from server.notify.rules import signing
from tests.notify.conftest import ROOT, queue_bills

SECRET = "h" * 16
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PHONE = "+8612000000001"


@pytest.fixture
def carrier(outbox: Flask) -> int:
    """The id of an HTTP gateway whose carrier knows the secret; the clock stands still."""
    clock.set(NOW)
    config = {"url": "https://sms.example.com/", "hook_secret": SECRET, "source": "95598"}
    with transaction() as session:
        service.put_gateway(session, "carrier", "http", config)
        return session.scalars(select(Gateway.id)).one()


def post(
    app: Flask,
    what: str,
    body: Any,
    *,
    secret: str = SECRET,
    at: datetime = NOW,
    name: str = "carrier",
    headers: dict[str, str] | None = None,
) -> TestResponse:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    stamp = int(at.timestamp())
    signed = {
        signing.TIMESTAMP: str(stamp),
        signing.SIGNATURE: signing.sign(secret, stamp, data),
        **(headers or {}),
    }
    return app.test_client().post(
        f"/hooks/v1/sms/{name}/{what}", data=data, headers=signed, content_type="application/json"
    )


def count(model: type) -> int:
    with snapshot() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_report_moves_its_text_and_told_again_changes_nothing(
    outbox: Flask, carrier: int
) -> None:
    (message_id,) = queue_bills(1)
    with transaction() as session:
        session.execute(update(OutboxMessage).values(status="submitted", gateway_id=carrier))
        session.add(
            OutboxSegment(
                id=5,
                message_id=message_id,
                part=1,
                gateway_id=carrier,
                status="submitted",
                submitted_at=NOW,
            )
        )
    with transaction() as session:
        results.record(session, carrier, results.Batch(answers=[(5, 0, "c-1")]), NOW)
    told = {"reports": [{"id": "c-1", "state": "delivered", "at": "2026-11-22T16:00:05+08:00"}]}
    for _ in range(2):
        answer = post(outbox, "report", told)
        assert (answer.status_code, answer.json) == (200, {"taken": 1})
    with snapshot() as session:
        assert session.scalars(select(OutboxMessage.status)).one() == "delivered"
        assert session.scalars(select(DeliveryReport.stamp)).one() == "20261122080005"


def test_a_text_is_stored_before_it_is_answered_and_the_same_id_is_the_same_text(
    outbox: Flask, carrier: int
) -> None:
    told = {"texts": [{"id": "i-1", "from": "12000000001", "text": "余额 \u0000", "extra": 1}]}
    assert post(outbox, "inbound", told).status_code == 200
    assert post(outbox, "inbound", told).status_code == 200
    with snapshot() as session:
        row = session.scalars(select(InboundMessage)).one()
    assert (row.phone, row.destination, row.gateway_id) == (PHONE, "95598", carrier)
    assert row.text.startswith("余额")


TEXT = {"texts": [{"id": "i-1", "from": "12000000001", "text": "hello"}]}
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"secret": "x" * 16}, 401, "hook.bad_signature"),
    ({"at": NOW - timedelta(minutes=6)}, 401, "hook.stale"),
    ({"at": NOW + timedelta(minutes=6)}, 401, "hook.stale"),
    ({"headers": {signing.SIGNATURE: ""}}, 401, "hook.not_signed"),
    ({"headers": {signing.TIMESTAMP: "never"}}, 401, "hook.bad_signature"),
    ({"headers": {signing.TIMESTAMP: "²"}}, 401, "hook.bad_signature"),
    ({"headers": {signing.SIGNATURE: "v1=é"}}, 401, "hook.bad_signature"),
    ({"name": "nobody"}, 404, "hook.unknown_gateway"),
    ({"body": b"{"}, 400, "hook.not_json"),
    ({"body": b"[]"}, 422, "hook.invalid"),
    ({"body": {"texts": []}}, 422, "hook.invalid"),
    ({"body": {"texts": [{"id": "", "from": "1", "text": "x"}]}}, 422, "hook.invalid"),
    ({"body": {"texts": [{"id": "1"}] * 1001}}, 422, "hook.invalid"),
    ({"body": b"x" * (1024 * 1024 + 1)}, 413, "http.request_entity_too_large"),
]


def test_a_request_that_is_not_proved_fresh_or_readable_changes_nothing_and_says_why(
    outbox: Flask, carrier: int
) -> None:
    for changes, status, code in REFUSED:
        answer = post(outbox, "inbound", **{"body": TEXT, **changes})
        document = answer.get_json()
        assert (answer.status_code, document["code"]) == (status, code), changes.keys()
        assert document["message"].endswith(".")
        assert isinstance(document["details"], dict)
    assert count(InboundMessage) == 0


def test_a_secret_can_be_changed_without_losing_a_report(outbox: Flask, carrier: int) -> None:
    body = orjson.dumps({"reports": [{"id": "c-9", "state": "delivered"}]})
    stamp = int(NOW.timestamp())
    both = f"{signing.sign('old-old-old-old-', stamp, body)}, {signing.sign(SECRET, stamp, body)}"
    assert post(outbox, "report", body, headers={signing.SIGNATURE: both}).status_code == 200


def test_a_gateway_without_a_hook_secret_takes_nothing(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "carrier", "http", {"url": "https://x/"})
    answer = post(outbox, "report", {"reports": [{"id": "1", "state": "delivered"}]})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "hook.not_set_up")


def test_who_guesses_at_the_secret_is_slowed_down(outbox: Flask, carrier: int) -> None:
    answers = [post(outbox, "report", {}, secret="x" * 16).status_code for _ in range(25)]
    assert answers[0] == 401
    assert answers[-1] == 429


def test_the_examples_of_the_page_work_as_they_stand(outbox: Flask) -> None:
    page = (ROOT / "docs" / "http-gateway.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)
    report = next(block for block in blocks if block.startswith('{"reports"')).encode()
    texts = next(block for block in blocks if block.startswith('{"texts"')).encode()
    stamp = int(re.findall(r"time stamp `(\d+)`", page)[0])
    signature = re.findall(r"the signature is `(v1=[0-9a-f]{64})`", page)[0]
    config = orjson.loads(re.findall(r"--config '(\{.*?\})'", page, re.DOTALL)[0])
    secret = config["hook_secret"]
    assert secret in page.split("With the secret")[1][:40]
    assert signing.sign(secret, stamp, report) == signature

    at = datetime.fromtimestamp(stamp, UTC)
    clock.set(at)
    with transaction() as session:
        service.put_gateway(session, "carrier", "http", config)
    for what, body in (("report", report), ("inbound", texts)):
        answer = post(outbox, what, body, secret=secret, at=at)
        assert (answer.status_code, answer.get_json()) == (200, {"taken": 1})

    request = orjson.loads(blocks[1])
    told = orjson.loads(blocks[2])
    one = request["messages"][0]
    submission = Submission(1, 4711, one["to"], one["text"], "ucs2", b"", validity=one["valid_s"])
    assert orjson.loads(wire.body([submission], "carrier", config["source"])) == request
    found = wire.judge([submission], 200, orjson.dumps(told), None)
    assert found.answers == [(1, 0, told["messages"][0]["id"])]
