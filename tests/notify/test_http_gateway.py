"""The HTTP gateway against a carrier on a real socket, moment by moment of what can go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from server.errors import Invalid
from server.notify.gateways import options
from server.notify.gateways.courier import CourierGateway, Pauses
from server.notify.gateways.http import wire
from server.notify.gateways.http.config import HttpConfig
from server.notify.gateways.http.post import Post
from server.notify.gateways.port import Submission
from server.notify.rules import answers, signing
from tests.notify.modem_bench import PHONE, Notes
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.sockets
SECRET = "s" * 16
Answer = Callable[["Carrier", BaseHTTPRequestHandler, dict[str, Any]], None]


class Carrier:
    """A carrier that remembers what was posted and answers as its `manner` says."""

    def __init__(self) -> None:
        self.manner: Answer = accept
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.may_go_on = threading.Event()
        self.closed = 0
        carrier = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                carrier.posted.append((dict(self.headers), body))
                carrier.manner(carrier, self, orjson.loads(body))

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                carrier.closed += 1

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/messages?account=7"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def keys(self) -> list[str]:
        return [one["key"] for _, body in self.posted for one in orjson.loads(body)["messages"]]


def reply(handler: BaseHTTPRequestHandler, status: int, body: Any, **headers: str) -> None:
    data = orjson.dumps(body) if not isinstance(body, bytes) else body
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def accept(_carrier: Carrier, handler: BaseHTTPRequestHandler, document: dict[str, Any]) -> None:
    told = [
        {"key": one["key"], "status": "accepted", "id": f"c-{one['key']}"}
        for one in document["messages"]
    ]
    reply(handler, 202, {"messages": told})


def answering(status: int, body: Any = b"", **headers: str) -> Answer:
    return lambda _carrier, handler, _document: reply(handler, status, body, **headers)


def hang_up(_carrier: Carrier, handler: BaseHTTPRequestHandler, _document: Any) -> None:
    handler.close_connection = True


def say_nothing(carrier: Carrier, handler: BaseHTTPRequestHandler, _document: Any) -> None:
    carrier.may_go_on.wait(PATIENCE)
    handler.close_connection = True


@contextmanager
def running(**more: Any) -> Iterator[tuple[Carrier, CourierGateway, Notes]]:
    carrier, notes = Carrier(), Notes()
    config = HttpConfig(**{"url": carrier.url, "secret": SECRET, "source": "95598", **more})
    pauses = Pauses(first=0.05, most=0.1, refused=0.1, stop=5)
    gateway = CourierGateway("carrier", Post("carrier", config), pauses, notes)
    gateway.start()
    try:
        yield carrier, gateway, notes
    finally:
        carrier.may_go_on.set()
        gateway.stop()
        carrier.server.shutdown()
        carrier.server.server_close()


def texts(*numbers: int, text: str = "您的电费账单已出") -> list[Submission]:
    return [
        Submission(
            token=number,
            message_id=100 + number,
            phone=PHONE,
            text=text,
            encoding="ucs2",
            body=text.encode(),
            validity=600,
        )
        for number in numbers
    ]


def test_a_batch_is_posted_signed_and_every_text_is_answered_with_the_carriers_id() -> None:
    with running(token="let-me-in") as (carrier, gateway, notes):
        gateway.submit(texts(1, 2, 3))
        wait_until(lambda: len(notes.answers) == 3)
        headers, body = carrier.posted[0]
        stamp = int(headers[signing.TIMESTAMP])
        assert headers[signing.SIGNATURE] == signing.sign(SECRET, stamp, body)
        assert headers["Authorization"] == "Bearer let-me-in"
        assert orjson.loads(body)["messages"][0] == {
            "key": "101-1",
            "to": PHONE,
            "from": "95598",
            "text": "您的电费账单已出",
            "segments": 1,
            "copy": 0,
            "valid_s": 600,
        }
        assert notes.answers[2] == (0, "c-102-1")
        assert carrier.keys == ["101-1", "102-1", "103-1"]
        assert gateway.room() == 50


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("permanent", "permanent"),
        ("transient", "transient"),
        ("throttled", "throttle"),
        ("configuration", "configuration"),
        ("whatever", "permanent"),
    ],
)
def test_a_refusal_of_one_text_has_its_class(reason: str, kind: str) -> None:
    answer = orjson.dumps(
        {
            "messages": [
                {"key": "101-1", "status": "refused", "reason": reason},
                {"key": "102-1", "status": "accepted", "id": 77},
            ]
        }
    )
    found = wire.judge(texts(1, 2), 200, answer, None)
    (first, status, _), second = found.answers
    assert (first, answers.classify(status)) == (1, kind)
    assert second == (2, 0, "77")
    assert (found.pause > 0) == (kind == "throttle")


def test_a_text_that_an_answer_does_not_name_is_unknown() -> None:
    for answer in (b"", b"<html>", b"[]", b'{"messages": 3}', b'{"messages": [{"key": "9-1"}]}'):
        assert wire.judge(texts(1), 200, answer, None).lost == [1]


def test_a_carrier_that_fails_is_tried_again_by_class() -> None:
    with running() as (carrier, gateway, notes):
        carrier.manner = answering(500, b"oops")
        gateway.submit(texts(1))
        wait_until(lambda: 1 in notes.answers)
        assert answers.error_code(notes.answers[1][0]) == "http.500"
        assert answers.classify(notes.answers[1][0]) == "transient"
        carrier.manner = accept
        wait_until(lambda: gateway.room() == 50)
        gateway.submit(texts(1))
        wait_until(lambda: notes.answers[1] == (0, "c-101-1"))


def test_a_carrier_that_asks_for_a_slower_pace_gets_it() -> None:
    with running() as (carrier, gateway, notes):
        carrier.manner = answering(429, b"", Retry_After="600")
        gateway.submit(texts(1))
        wait_until(
            lambda: ("paused", "the other side asked for a slower pace (600 s)") in notes.states
        )
        assert gateway.room() == 0
        assert answers.classify(notes.answers[1][0]) == "throttle"


def test_no_answer_after_the_request_was_written_leaves_the_text_unknown_and_is_not_repeated() -> (
    None
):
    with running(answer_seconds=0.3) as (carrier, gateway, notes):
        carrier.manner = say_nothing
        gateway.submit(texts(1, 2))
        wait_until(lambda: notes.lost_tokens == [1, 2])
        carrier.may_go_on.set()
        carrier.manner = hang_up
        wait_until(lambda: gateway.room() == 50)
        gateway.submit(texts(3))
        wait_until(lambda: notes.lost_tokens == [1, 2, 3])
        assert carrier.keys == ["101-1", "102-1", "103-1"]
        assert notes.answers == {}


def test_a_carrier_that_takes_a_key_only_once_is_asked_again_with_the_same_key() -> None:
    with running(idempotent=True, repeats=2) as (carrier, gateway, notes):

        def second_time(carrier: Carrier, handler: Any, document: Any) -> None:
            (hang_up if len(carrier.posted) < 2 else accept)(carrier, handler, document)

        carrier.manner = second_time
        gateway.submit(texts(1))
        wait_until(lambda: 1 in notes.answers)
        assert carrier.keys == ["101-1", "101-1"]
        assert notes.lost_tokens == []


def test_a_connection_that_the_carrier_has_closed_meanwhile_is_not_used_again() -> None:
    with running() as (carrier, gateway, notes):

        def close_after(carrier: Carrier, handler: Any, document: Any) -> None:
            accept(carrier, handler, document)
            handler.close_connection = True

        carrier.manner = close_after
        for token in (1, 2, 3):
            gateway.submit(texts(token))
            wait_until(lambda token=token: token in notes.answers)  # type: ignore[misc]
            wait_until(lambda token=token: carrier.closed == token)  # type: ignore[misc]
        assert notes.lost_tokens == []


def test_without_a_connection_nothing_was_sent_and_all_goes_back() -> None:
    with running(url="http://127.0.0.1:1/") as (_, gateway, notes):
        gateway.submit(texts(1, 2))
        wait_until(lambda: notes.returned_tokens == [1, 2])
        wait_until(lambda: any(state == "waiting" for state, _ in notes.states))


def test_a_carrier_that_refuses_us_is_left_alone_for_long_and_nothing_fails() -> None:
    with running() as (carrier, gateway, notes):
        carrier.manner = answering(401)
        gateway.submit(texts(1))
        wait_until(lambda: notes.returned_tokens == [1])
        wait_until(lambda: any(state == "refused" for state, _ in notes.states))
        assert notes.answers == {}


def test_a_redirection_is_not_followed() -> None:
    with running() as (carrier, gateway, notes):
        carrier.manner = answering(302, b"", Location="http://127.0.0.1:1/")
        gateway.submit(texts(1))
        wait_until(lambda: notes.returned_tokens == [1])


def test_one_text_that_the_carrier_cannot_read_does_not_take_the_others_with_it() -> None:
    with running() as (carrier, gateway, notes):

        def picky(carrier: Carrier, handler: Any, document: Any) -> None:
            bad = any(one["key"] == "103-1" for one in document["messages"])
            (answering(400) if bad else accept)(carrier, handler, document)

        carrier.manner = picky
        gateway.submit(texts(1, 2, 3, 4))
        wait_until(lambda: len(notes.answers) == 4)
        kinds = {token: answers.classify(status) for token, (status, _) in notes.answers.items()}
        assert kinds == {1: "ok", 2: "ok", 3: "permanent", 4: "ok"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"url": "ftp://x"}, "https"),
        ({"url": "http://sms.example.com/"}, "plain"),
        ({"url": "https://me:word@sms.example.com/"}, "token"),
        ({"url": "https://x/", "secret": "short"}, "secret needs at least 16"),
    ],
)
def test_an_address_that_would_give_texts_away_is_refused(
    data: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Invalid) as refused:
        options.load(HttpConfig, "g", data)
    assert problem in refused.value.message
