"""Gateways at work on both databases, against a centre and against peers that behave as a test says."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from device_sim.smsc import wire
from device_sim.smsc.centre import Behaviour, Centre
from device_sim.smsc.phones import Phones
from server.db import snapshot, transaction
from server.notify import queries, service, setup
from server.notify.dispatch import Gateways, results, run_gateways, watch
from server.notify.dispatch import gateways as gateways_module
from server.notify.models import DeliveryReport, Gateway, InboundMessage, OutboxMessage
from tests.notify.conftest import bill, put_gateway, queue_bills, states
from tests.notify.test_codec import deliver
from tests.waiting import wait_until

pytestmark = pytest.mark.sockets


@pytest.fixture(autouse=True)
def _lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways look up more often than a worker need."""
    monkeypatch.setattr(gateways_module, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "TIMED_SECONDS", 0.2)
    monkeypatch.setattr(setup, "FRESH_SECONDS", 0.2)


@pytest.fixture
def centre() -> Iterator[Centre]:
    made = Centre(Phones(), Behaviour(delay=(0.0, 0.1)), "127.0.0.1", 0)
    made.start()
    yield made
    made.stop()


@contextmanager
def running(app: Flask, **more: Any) -> Iterator[Gateways]:
    """The gateways of one worker."""
    gateways = Gateways(app, **more)
    gateways.start()
    try:
        yield gateways
    finally:
        gateways.stop()


class Peer:
    """A carrier whose answer to the n-th submission is what `reply(n, submitted)` says: (status, id)."""

    def __init__(self, reply: Callable[[int, wire.Submitted], tuple[int, str] | None]) -> None:
        self._reply = reply
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.taken: list[wire.Submitted] = []
        self.at: list[float] = []
        self.answers: list[tuple[int, int]] = []
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(60)

    def report(self, message_id: str) -> None:
        """Send a delivery report."""
        assert self.connection is not None
        octets = wire.write_report(900, "8612", "95598", message_id, "DELIVRD", ("1", "2"))
        self.connection.sendall(octets)

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self.connection, _ = self._listening.accept()
                with self.connection, suppress(OSError):
                    self._serve(self.connection)

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray()
        while data := connection.recv(65536):
            buffer += data
            for frame in wire.frames(buffer):
                if frame.command & wire.RESPONSE:
                    self.answers.append((frame.command, frame.status))
                    continue
                status, body = 0, b""
                if frame.command == wire.SUBMIT_SM:
                    submitted = wire.read_submit(frame.body)
                    self.taken.append(submitted)
                    self.at.append(time.monotonic())
                    said = self._reply(len(self.taken), submitted)
                    if said is None:
                        continue
                    status, body = said[0], said[1].encode() + b"\0"
                answer = wire.pdu(frame.command | wire.RESPONSE, frame.sequence, body, status)
                connection.sendall(answer)


@contextmanager
def carrier(
    reply: Callable[[int, wire.Submitted], tuple[int, str] | None], **config: Any
) -> Iterator[Peer]:
    """A peer and a gateway to it."""
    peer = Peer(reply)
    put_gateway("carrier", peer.port, **config)
    yield peer
    peer.close()


def test_texts_of_any_length_arrive_whole(outbox: Flask, centre: Centre) -> None:
    put_gateway("carrier", centre.port, reference_bits=16)
    bodies = ["短", "长文本" * 60, "GSM [brackets] €" * 20, "😀" * 90]
    with transaction() as session:
        for number, text in enumerate(bodies):
            notice = service.Notice(
                "operator.text", f"t{number}", f"+861200000000{number}", None, {"text": text}
            )
            service.enqueue(session, [notice])
    with running(outbox):
        wait_until(lambda: set(states().values()) == {"delivered"})
    shown = {phone["phone"][-1]: phone["texts"][0]["text"] for phone in centre.phones.document()}
    assert [shown[str(number)] for number in range(4)] == bodies


def test_a_demo_refuses_every_gateway_that_is_not_simulated(outbox: Flask, centre: Centre) -> None:
    put_gateway("carrier", centre.port)
    with transaction() as session:
        session.execute(update(Gateway).values(simulated=False))
    (message,) = queue_bills(1)
    with running(outbox, only_simulated=True):
        wait_until(lambda: _state("carrier") == "refused")
        time.sleep(0.5)
    assert states() == {message: "queued"}
    assert centre.phones.counts()["segments"] == 0


def test_a_gateway_that_cannot_be_read_is_refused_and_says_why(outbox: Flask) -> None:
    put_gateway("carrier", 1)
    with transaction() as session:
        session.execute(update(Gateway).values(config={"host": "x"}))
    with running(outbox):
        wait_until(lambda: _state("carrier") == "refused")
    with snapshot() as session:
        assert "port is missing" in queries.gateway_states(session)[0].detail


def test_the_log_gateway_takes_texts_and_hides_the_number(
    outbox: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction() as session:
        service.put_gateway(session, "log", "log", {})
        service.enqueue(session, [bill(1, "+8612000001234")])
    with caplog.at_level(logging.INFO, "server.notify"), running(outbox):
        wait_until(lambda: set(states().values()) == {"accepted"})
    assert "+8612" in caplog.text
    assert "1234" not in caplog.text
    assert "10000001" not in caplog.text


def test_the_first_gateway_takes_the_queue_and_the_next_stands_by(
    outbox: Flask, centre: Centre
) -> None:
    put_gateway("carrier", centre.port)
    with transaction() as session:
        service.put_gateway(session, "log", "log", {}, position=200)
    with running(outbox):
        wait_until(lambda: _state("log") == "bound")
        queue_bills(20)
        wait_until(lambda: set(states().values()) == {"delivered"})
        with transaction() as session:
            session.execute(update(Gateway).where(Gateway.name == "carrier").values(enabled=False))
        wait_until(lambda: _state("carrier") == "stopped")
        with transaction() as session:
            service.enqueue(session, [bill(99)])
        wait_until(lambda: "accepted" in states().values())


def test_one_worker_owns_a_bind_and_the_other_takes_over_when_it_leaves(
    outbox: Flask, centre: Centre
) -> None:
    put_gateway("carrier", centre.port)
    queue_bills(1)
    with running(outbox) as first:
        wait_until(lambda: set(states().values()) == {"delivered"})
        with running(outbox):
            time.sleep(1.5)
            assert len(centre._clients) == 1
            first.stop()
            queue_bills(3)
            wait_until(lambda: list(states().values()) == ["delivered"] * 3)
            wait_until(lambda: len(centre._clients) == 1)


def test_throttling_pauses_loses_nothing_and_keeps_the_order_for_each_phone(outbox: Flask) -> None:
    def reply(number: int, _: wire.Submitted) -> tuple[int, str]:
        return (0x58, "") if number % 7 in (1, 2) and number < 60 else (0, f"m{number}")

    with carrier(reply, throttle_first_seconds=0.05, throttle_most_seconds=0.1) as peer:
        notices = [bill(number, f"+861200000000{number % 5}") for number in range(40)]
        with transaction() as session:
            service.enqueue(session, notices)
        with running(outbox):
            wait_until(lambda: set(states().values()) == {"accepted"})
    accepted: dict[str, list[str]] = {}
    for number, submitted in enumerate(peer.taken, start=1):
        if reply(number, submitted)[0] == 0:
            text = wire.read_text(submitted.body, submitted.coding)
            accepted.setdefault(submitted.destination, []).append(text)
    assert sum(len(texts) for texts in accepted.values()) == 40
    assert all(texts == sorted(texts) for texts in accepted.values())


def test_an_unanswered_text_becomes_unknown_and_is_sent_once_more(outbox: Flask) -> None:
    def reply(number: int, _: wire.Submitted) -> tuple[int, str] | None:
        return None if number == 1 else (0, "again")

    with carrier(reply, response_seconds=2.0) as peer:
        queue_bills(1)
        with running(outbox):
            wait_until(lambda: "unknown" in states().values())
            wait_until(lambda: set(states().values()) == {"accepted"})
    assert len(peer.taken) == 2
    with snapshot() as session:
        assert session.scalars(select(OutboxMessage.possible_duplicate)).one()


def test_a_report_is_refused_for_now_while_the_database_fails(
    outbox: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, failing = results.record, threading.Event()

    def record(*args: Any, **kwargs: Any) -> None:
        if failing.is_set() and args[2].receipts:
            raise OperationalError("SELECT '+8612000001234'", {}, Exception("disk full"))
        real(*args, **kwargs)

    monkeypatch.setattr(results, "record", record)
    monkeypatch.setattr(watch, "AFTER_TROUBLE_SECONDS", 0.05)
    with carrier(lambda *_: (0, "m1")) as peer:
        queue_bills(1)
        with running(outbox):
            wait_until(lambda: set(states().values()) == {"accepted"})
            failing.set()
            peer.report("m1")
            wait_until(lambda: peer.answers == [(0x80000005, 0x64)])
            failing.clear()
            peer.report("m1")
            wait_until(lambda: peer.answers[1:] == [(0x80000005, 0)])
            assert set(states().values()) == {"delivered"}
    assert "disk full" in caplog.text
    assert "1234" not in caplog.text, "the statement's values stay out of the log"


def test_nothing_is_forgotten_when_the_database_fails_between_answers(
    outbox: Flask, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, turns = results.record, iter(range(1_000_000))

    def record(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        if next(turns) in (2, 3, 7, 11):
            raise OperationalError("UPDATE", {}, Exception("deadlock"))

    monkeypatch.setattr(results, "record", record)
    monkeypatch.setattr(watch, "AFTER_TROUBLE_SECONDS", 0.05)
    put_gateway("carrier", centre.port, response_seconds=2.0, window=5)
    queue_bills(60)
    with running(outbox):
        wait_until(lambda: set(states().values()) == {"delivered"})


def test_a_text_from_a_phone_is_stored_and_then_acknowledged(outbox: Flask) -> None:
    with carrier(lambda *_: (0, "m1")) as peer, running(outbox):
        wait_until(lambda: _state("carrier") == "bound")
        assert peer.connection is not None
        peer.connection.sendall(deliver("查".encode("utf-16-be"), coding=8))
        wait_until(lambda: peer.answers == [(0x80000005, 0)])
        with snapshot() as session:
            assert session.scalars(select(InboundMessage.text)).all() == ["查"]
            assert session.scalars(select(DeliveryReport)).all() == []


def test_stopping_stores_what_was_heard_and_leaves_nothing_claimed(
    outbox: Flask, centre: Centre
) -> None:
    put_gateway("carrier", centre.port, window=5)
    queue_bills(300)
    stop = threading.Event()
    worker = threading.Thread(target=run_gateways, args=(outbox, stop))
    worker.start()
    wait_until(lambda: "accepted" in states().values())
    stop.set()
    worker.join(60)
    assert not worker.is_alive()
    left = set(states().values())
    assert left <= {"queued", "accepted", "delivered"}
    taken = sum(state in ("accepted", "delivered") for state in states().values())
    assert taken == centre.phones.counts()["segments"]
    assert _state("carrier") == "stopped"


def _state(name: str) -> str:
    with snapshot() as session:
        return next(row.state for row in queries.gateway_states(session) if row.name == name)
