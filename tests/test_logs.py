"""Logs: one JSON object a line, with its request, without phone numbers and secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest
from flask import Flask, g
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server import logs
from server.db import transaction


@pytest.fixture
def stream():
    """What the process writes while its logs go to JSON lines."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    written = io.StringIO()
    logs.to_stdout("DEBUG", written)
    yield written
    root.handlers, root.level = before[0], before[1]


@pytest.fixture
def web():
    made = Flask("web")
    logs.install(made)

    @made.get("/things/<int:number>")
    def thing(number):
        logs.identify(staff_id=7, device_id=9)
        logging.getLogger("server.things").info("looked up", extra={"number": number})
        return {"id": g.request_id}

    @made.get("/k/<token>/form")
    def form(token):
        return token

    @made.get("/k/<token>/broken")
    def broken(token):
        raise RuntimeError("it broke")

    @made.get("/health/live")
    def live():
        return ""

    return made


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def requests(stream):
    return [line for line in lines(stream) if line["logger"] == "server.request"]


# --- masking ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+8613812341234", "+86138****1234"),
        ("to +8612000000007.", "to +86120****0007."),
        ("8613812341234", "86138****1234"),
        ("008613812341234", "0086138****1234"),
        ("手机13812341234欠费", "手机138****1234欠费"),
        ("phone=13812341234&x=1", "phone=138****1234&x=1"),
        ("+35840123456", "+358****3456"),
        ('{"phone": "+8613812341234"}', '{"phone": "+86138****1234"}'),
    ],
)
def test_a_phone_number_is_masked(text, masked):
    assert logs.mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "1795312800000",
        "2026-11-20T04:00:00.123+08:00",
        "account 310101001234",
        "12345.678901234567",
        "3f2b8c1e-1381-2341-2345-138123412345",
        "+86 only",
        "amount +12.50",
        "lat 312304000 lon 1214737000",
    ],
)
def test_what_is_no_phone_number_stays(text):
    assert logs.mask(text) == text


def test_tokens_and_passwords_are_cut_out():
    text = logs.mask(
        "Authorization: Bearer abc.def-123456 for fb_Ab12-_9xyzzy and fbd_0123456789 ?token=t1&code=ABCD2345 x"
    )
    assert text == "Authorization: Bearer … for fb_… and fbd_… ?token=…&code=… x"


def test_extras_are_masked_to_any_depth(stream):
    logging.getLogger("x").warning(
        "sent to %s",
        "+8613812341234",
        extra={"to": ["+8613812341234"], "about": {"p": {"+1"}, "token": "abc"}, "password": "p"},
    )
    [line] = lines(stream)
    assert line["message"] == "sent to +86138****1234"
    assert line["to"] == ["+86138****1234"]
    assert line["about"] == {"p": ["+1"], "token": "…"}
    assert line["password"] == "…"


def test_an_exception_is_masked_and_stands_on_one_line(stream):
    try:
        raise ValueError("no answer from +8613812341234")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    [line] = lines(stream)
    assert line["level"] == "ERROR"
    assert "ValueError: no answer from +86138****1234" in line["exception"]
    assert len(stream.getvalue().splitlines()) == 1


def test_a_line_has_time_level_logger_and_message(stream):
    logging.getLogger("a.b").info("hello", extra={"n": 3, "obj": object()})
    [line] = lines(stream)
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"], line["message"], line["n"]) == (
        "INFO",
        "a.b",
        "hello",
        3,
    )
    assert line["obj"].startswith("<object")


# --- requests -----------------------------------------------------------------------------


def test_a_request_gets_an_id_that_is_answered_and_logged_with_who_acts(web, stream):
    answer = web.test_client().get("/things/3?token=very-secret")
    request_id = answer.headers["X-Request-Id"]
    assert answer.get_json() == {"id": request_id}
    during, end = lines(stream)
    assert during["request_id"] == end["request_id"] == request_id
    assert (during["number"], during["staff_id"], during["device_id"]) == (3, 7, 9)
    assert (end["method"], end["path"], end["status"]) == ("GET", "/things/3", 200)
    assert end["ms"] >= 0
    assert "very-secret" not in stream.getvalue()


def test_a_sane_id_of_the_caller_is_kept(web):
    given = "0af7651916cd43dd8448eb211c80319c"
    answer = web.test_client().get("/things/3", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "bad", ["", "short", "x" * 41, "white space here", '"quoted"-12345', "日本語日本語日本"]
)
def test_any_other_id_is_replaced(web, bad):
    answer = web.test_client().get(
        "/things/3", headers={"X-Request-Id": bad.encode().decode("latin-1")}
    )
    assert answer.headers["X-Request-Id"] != bad
    assert len(answer.headers["X-Request-Id"]) == 32


def test_a_token_in_the_path_is_not_logged(web, stream):
    assert web.test_client().get("/k/5ecr3t/form").status_code == 200
    assert requests(stream)[0]["path"] == "/k/…/form"


def test_a_crash_is_logged_once_with_its_cause_and_without_the_token(web, stream):
    assert web.test_client().get("/k/5ecr3t/broken").status_code == 500
    crash, end = requests(stream)
    assert (crash["message"], crash["path"], end["status"]) == (
        "request failed",
        "/k/…/broken",
        500,
    )
    assert "RuntimeError: it broke" in crash["exception"]
    assert "5ecr3t" not in stream.getvalue()


def test_what_monitors_ask_is_logged_for_debugging_only(web, stream):
    web.test_client().get("/health/live")
    assert [line["level"] for line in requests(stream)] == ["DEBUG"]


def test_a_failure_is_logged_with_the_id_of_its_request(app, stream):
    answer = app.test_client().get("/api/v1/no-such-thing")
    [line] = requests(stream)
    assert (line["status"], line["path"]) == (404, "/api/v1/no-such-thing")
    assert line["request_id"] == answer.headers["X-Request-Id"]


def test_a_failed_statement_is_logged_without_what_it_carried(app, stream):
    name = "客户 001"
    with app.app_context():
        try:
            with transaction() as session:
                session.execute(text("SELECT missing FROM nowhere WHERE a = :a"), {"a": name})
        except DBAPIError:
            logging.getLogger("server").exception("it failed")
    assert "SELECT missing" in stream.getvalue()
    assert name not in stream.getvalue()
