"""The SMPP side of the SMS centre: a thread for each connection and one that sends reports."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from device_sim.smsc import wire
from device_sim.smsc.phones import Phones, Report

_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 2.0
_REPORTS_AT_ONCE = 500
_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Behaviour:
    """How the centre behaves.

    `first` and `last` bound the numbers it serves; reports follow after `delay` seconds (a range);
    `undeliverable` is the share of segments that are reported as failed.
    """

    system_id: str = "fieldbell"
    password: str = "fieldbell"  # noqa: S105  # of a simulator that serves no real phone
    first: int = 8612000000000
    last: int = 8612000009999
    delay: tuple[float, float] = (0.3, 1.5)
    undeliverable: float = 0.0
    seed: int = 1

    def serves(self, destination: str) -> bool:
        """Whether a number belongs to one of the simulated phones."""
        digits = destination.removeprefix("+")
        return digits.isascii() and digits.isdigit() and self.first <= int(digits) <= self.last


class Fates:
    """What becomes of segments, by repeatable chance."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._random = random.Random(behaviour.seed)

    def draw(self) -> tuple[str, float]:
        """What a segment's report will say, and after how many seconds."""
        failed = self._random.random() < self._behaviour.undeliverable
        delay = self._random.uniform(*self._behaviour.delay)
        return ("UNDELIV" if failed else "DELIVRD"), delay


class Centre:
    """An SMS centre listening on `port` (0 takes a free one)."""

    def __init__(self, phones: Phones, behaviour: Behaviour, host: str, port: int) -> None:
        self.phones = phones
        self.behaviour = behaviour
        self.fates = Fates(behaviour)
        self._listening = socket.create_server((host, port))
        self.port: int = self._listening.getsockname()[1]
        self._clients: set[_Client] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._accept, name="smsc-accept", daemon=True),
            threading.Thread(target=self._report, name="smsc-reports", daemon=True),
        ]

    def start(self) -> None:
        """Serve in threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close every connection and end."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for client in self._snapshot():
            client.close()
        for thread in self._threads:
            thread.join(2)

    def drop_connections(self) -> None:
        """Break every connection as a fallen line does."""
        for client in self._snapshot():
            client.close()

    def forget(self, client: _Client) -> None:
        """A connection has ended."""
        with self._lock:
            self._clients.discard(client)

    def _snapshot(self) -> list[_Client]:
        with self._lock:
            return list(self._clients)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            client = _Client(self, connection)
            with self._lock:
                self._clients.add(client)
            client.start()

    def _report(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            bound = {client.system_id: client for client in self._snapshot() if client.system_id}
            for report in self.phones.due(set(bound)):
                bound[report.system_id].send_report(report)


class _Client:
    """One connection of one client."""

    def __init__(self, centre: Centre, connection: socket.socket) -> None:
        self.system_id = ""
        self._centre = centre
        self._connection = connection
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()
        self._sequence = 0
        self._reports: OrderedDict[int, tuple[str, float]] = OrderedDict()
        self._handlers: dict[int, Callable[[wire.Frame], bytes]] = {
            wire.SUBMIT_SM: self._submit,
            wire.ENQUIRE_LINK: self._answer,
            wire.UNBIND: self._answer,
            **dict.fromkeys(wire.BIND, self._bind),
        }

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._run, name="smsc-client", daemon=True).start()

    def close(self) -> None:
        """End the connection at once."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def send_report(self, report: Report) -> None:
        """Send one report unless it is under way already or too many are."""
        now = time.monotonic()
        with self._sending:
            while self._reports and next(iter(self._reports.values()))[1] < now - _ANSWER_SECONDS:
                self._reports.popitem(last=False)
            under_way = {message_id for message_id, _ in self._reports.values()}
            if report.message_id in under_way or len(under_way) >= _REPORTS_AT_ONCE:
                return
            self._sequence = self._sequence % 0x7FFFFFFF + 1
            self._reports[self._sequence] = (report.message_id, now)
            octets = wire.write_report(
                self._sequence,
                report.source,
                report.destination,
                report.message_id,
                report.state,
                (_minute(report.submitted), _minute(report.due)),
            )
            with contextlib.suppress(OSError):
                self._connection.sendall(octets)

    def _run(self) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError, wire.Broken):
            while data := self._connection.recv(65536):
                buffer += data
                answers = bytearray()
                leave = False
                for frame in wire.frames(buffer):
                    answers += self._handle(frame)
                    leave = leave or frame.command == wire.UNBIND
                with self._sending:
                    self._connection.sendall(answers)
                if leave:
                    break
        self._centre.forget(self)
        self.close()

    def _handle(self, frame: wire.Frame) -> bytes:
        if frame.command & wire.RESPONSE:
            if frame.command == wire.DELIVER_SM | wire.RESPONSE:
                self._reported(frame)
            return b""
        handler = self._handlers.get(frame.command)
        if handler is None:
            return wire.pdu(wire.GENERIC_NACK, frame.sequence, status=wire.INVALID_COMMAND_ID)
        return handler(frame)

    def _answer(self, frame: wire.Frame, body: bytes = b"", status: int = wire.OK) -> bytes:
        return wire.pdu(frame.command | wire.RESPONSE, frame.sequence, body, status)

    def _bind(self, frame: wire.Frame) -> bytes:
        try:
            system_id, password = wire.read_bind(frame.body)
        except ValueError:
            return self._answer(frame, status=wire.INVALID_COMMAND_LENGTH)
        if system_id != self._centre.behaviour.system_id:
            return self._answer(frame, status=wire.INVALID_SYSTEM_ID)
        if password != self._centre.behaviour.password:
            return self._answer(frame, status=wire.INVALID_PASSWORD)
        self.system_id = system_id
        return self._answer(frame, b"simulated\0")

    def _submit(self, frame: wire.Frame) -> bytes:
        if not self.system_id:
            return self._answer(frame, status=wire.INVALID_BIND_STATE)
        try:
            submitted = wire.read_submit(frame.body)
        except wire.Broken:
            return self._answer(frame, status=wire.INVALID_COMMAND_LENGTH)
        if not self._centre.behaviour.serves(submitted.destination):
            return self._answer(frame, status=wire.INVALID_DESTINATION)
        fate = self._centre.fates.draw() if submitted.wants_report else None
        message_id = self._centre.phones.accept(submitted, self.system_id, fate)
        return self._answer(frame, message_id.encode() + b"\0")

    def _reported(self, frame: wire.Frame) -> None:
        with self._sending:
            message_id, _ = self._reports.pop(frame.sequence, ("", 0.0))
        if not message_id:
            return
        if frame.status == wire.OK:
            self._centre.phones.reported(message_id)
        else:
            self._centre.phones.postpone(message_id, _AGAIN_SECONDS)


def _minute(seconds: float) -> str:
    """A time as reports write it."""
    return time.strftime("%y%m%d%H%M", time.gmtime(seconds))
