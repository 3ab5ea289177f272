"""The bind's thread on a loopback socket, with the simulator's centre and with unkind peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from device_sim.smsc import tls, wire
from device_sim.smsc.centre import Behaviour, Centre
from device_sim.smsc.phones import Phones
from server.notify.gateways.port import Answer, Delivery
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.session import SmppSession
from tests.notify.test_codec import deliver
from tests.notify.test_protocol import submission
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.sockets

CONFIG = SmppConfig(
    "127.0.0.1",
    0,
    "fieldbell",
    "fieldbell",
    source="95598",
    retry_first_seconds=0.05,
    retry_most_seconds=0.2,
    refused_seconds=0.3,
    drain_seconds=20.0,
)


class Heard:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[int, str]] = {}
        self.gone: list[tuple[int, str]] = []
        self.deliveries: list[Delivery] = []
        self.states: list[str] = []
        self.failing = False

    def answered(self, answers: Sequence[Answer]) -> None:
        for token, status, message_id in answers:
            self.answers[token] = (status, message_id)

    def lost(self, tokens: Sequence[int], *, cut: bool) -> None:
        self.gone += [(token, "cut" if cut else "lost") for token in tokens]

    def returned(self, tokens: Sequence[int]) -> None:
        self.gone += [(token, "returned") for token in tokens]

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        if self.failing:
            raise RuntimeError("a handler that fails")
        self.deliveries += deliveries

    def changed(self, state: str, detail: str) -> None:
        self.states.append(state)


@pytest.fixture
def centre() -> Iterator[Centre]:
    made = Centre(Phones(), Behaviour(delay=(0.0, 0.0)), "127.0.0.1", 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


def run(port: int, heard: Heard, **more: object) -> SmppSession:
    session = SmppSession("test", replace(CONFIG, port=port, **more), heard)  # type: ignore[arg-type]
    session.start()
    return session


def accept(listening: socket.socket) -> socket.socket:
    """Let a session in by hand."""
    connection, _ = listening.accept()
    connection.settimeout(PATIENCE)
    (bind,) = read(connection, 1)
    connection.sendall(wire.pdu(bind.command | wire.RESPONSE, bind.sequence, b"x\0"))
    return connection


def read(connection: socket.socket, count: int) -> list[wire.Frame]:
    """Read so many PDUs."""
    buffer = bytearray()
    found: list[wire.Frame] = []
    while len(found) < count:
        data = connection.recv(4096)
        assert data, "the session closed the connection"
        buffer += data
        found += list(wire.frames(buffer))
    return found


def test_texts_reach_the_phones_and_reports_come_back(centre: Centre) -> None:
    heard = Heard()
    session = run(centre.port, heard)
    wait_until(lambda: session.room() > 0)
    for token in range(30):
        session.submit([submission(token)])
    wait_until(lambda: len(heard.answers) == 30 and len(heard.deliveries) == 30)
    session.acknowledge(heard.deliveries, 0)
    wait_until(lambda: centre.phones.counts()["reports_owed"] == 0)
    assert centre.phones.counts()["texts"] == 30
    session.stop()
    assert heard.states == ["connecting", "bound", "stopped"]
    assert heard.gone == []


def test_a_number_that_no_phone_has_is_refused(centre: Centre) -> None:
    heard = Heard()
    session = run(centre.port, heard)
    wait_until(lambda: session.room() > 0)
    session.submit([submission(1)._replace(phone="+8613800000000")])
    wait_until(lambda: heard.answers == {1: (0x0B, "")})
    session.stop()


def test_a_report_whose_handler_fails_is_refused_for_now_and_comes_again(centre: Centre) -> None:
    heard = Heard()
    heard.failing = True
    session = run(centre.port, heard)
    wait_until(lambda: session.room() > 0)
    session.submit([submission(1)])
    wait_until(lambda: 1 in heard.answers)
    threading.Event().wait(0.3)
    assert centre.phones.counts()["reports_owed"] == 1
    heard.failing = False
    wait_until(lambda: len(heard.deliveries) == 1)
    session.stop()


def test_it_comes_back_when_the_line_falls(centre: Centre) -> None:
    heard = Heard()
    session = run(centre.port, heard)
    for token in range(3):
        wait_until(lambda bounds=token + 1: heard.states.count("bound") == bounds)  # type: ignore[misc]
        session.submit([submission(token)])
        wait_until(lambda expected=token: expected in heard.answers)  # type: ignore[misc]
        centre.drop_connections()
    wait_until(lambda: session.room() > 0 and heard.states.count("bound") == 4)
    session.stop()
    assert heard.gone == []


def test_a_wrong_password_is_an_alarm_and_a_long_wait(centre: Centre) -> None:
    heard = Heard()
    session = run(centre.port, heard, password="wrong", refused_seconds=30.0)
    wait_until(lambda: "refused" in heard.states)
    session.stop()
    assert heard.states == ["connecting", "refused", "stopped"]


def test_what_was_written_is_lost_and_what_was_not_goes_back(peer: socket.socket) -> None:
    heard = Heard()
    session = run(
        peer.getsockname()[1], heard, window=2, retry_first_seconds=60.0, retry_most_seconds=60.0
    )
    connection = accept(peer)
    wait_until(lambda: session.room() > 0)
    for token in range(4):
        session.submit([submission(token)])
    read(connection, 2)
    connection.close()
    wait_until(lambda: len(heard.gone) == 4)
    assert sorted(heard.gone) == [(0, "cut"), (1, "cut"), (2, "returned"), (3, "returned")]
    session.stop()


def test_stopping_waits_for_the_window_and_takes_leave(peer: socket.socket) -> None:
    heard = Heard()
    session = run(peer.getsockname()[1], heard)
    connection = accept(peer)
    wait_until(lambda: session.room() > 0)
    session.submit([submission(5)])
    (frame,) = read(connection, 1)
    ending = threading.Thread(target=session.stop)
    ending.start()
    threading.Event().wait(0.2)
    connection.sendall(wire.pdu(0x80000004, frame.sequence, b"late enough\0"))
    (unbind,) = read(connection, 1)
    assert unbind.command == wire.UNBIND
    connection.sendall(wire.pdu(0x80000006, unbind.sequence))
    ending.join(PATIENCE)
    assert heard.answers == {5: (0, "late enough")}
    assert heard.gone == []
    connection.close()


def test_a_drain_without_answers_ends_all_the_same(peer: socket.socket) -> None:
    heard = Heard()
    session = run(peer.getsockname()[1], heard, drain_seconds=0.2)
    connection = accept(peer)
    wait_until(lambda: session.room() > 0)
    session.submit([submission(5)])
    read(connection, 1)
    session.stop()
    assert heard.gone == [(5, "cut")]
    connection.close()


def test_octets_that_come_one_by_one_are_read(peer: socket.socket) -> None:
    heard = Heard()
    session = run(peer.getsockname()[1], heard)
    connection = accept(peer)
    for octet in deliver(b"id:1 stat:DELIVRD", esm_class=4):
        connection.sendall(bytes([octet]))
    wait_until(lambda: len(heard.deliveries) == 1)
    session.acknowledge(heard.deliveries, 0)
    (frame,) = read(connection, 1)
    assert (frame.command, frame.status) == (0x80000005, 0)
    connection.close()
    session.stop()


def test_it_speaks_tls_and_believes_no_certificate_that_it_cannot_check(tmp_path: Path) -> None:
    made = Centre(
        Phones(),
        Behaviour(delay=(0.0, 0.0)),
        "127.0.0.1",
        0,
        tls=tls.context(tmp_path, "127.0.0.1"),
    )
    made.start()
    heard, distrustful = Heard(), Heard()
    try:
        session = run(made.port, heard, tls=True, tls_ca=str(tmp_path / "ca.pem"))
        wait_until(lambda: session.room() > 0)
        session.submit([submission(token) for token in range(20)])
        wait_until(lambda: len(heard.answers) == 20 and len(heard.deliveries) == 20)
        session.acknowledge(heard.deliveries, 0)
        other = run(made.port, distrustful, tls=True)
        wait_until(lambda: "waiting" in distrustful.states)
        other.stop()
        session.stop()
    finally:
        made.stop()
    assert "bound" not in distrustful.states
    assert heard.gone == []


def test_a_receiver_takes_no_texts_and_brings_the_reports_of_a_transmitter(centre: Centre) -> None:
    sends, hears = Heard(), Heard()
    transmitter = run(centre.port, sends, mode="transmitter")
    receiver = run(centre.port, hears, mode="receiver")
    wait_until(lambda: transmitter.room() > 0 and "bound" in hears.states)
    assert receiver.room() == 0
    transmitter.submit([submission(1)])
    wait_until(lambda: len(hears.deliveries) == 1)
    receiver.acknowledge(hears.deliveries, 0)
    transmitter.stop()
    receiver.stop()
    assert sends.deliveries == []
