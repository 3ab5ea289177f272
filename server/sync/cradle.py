"""Handhelds that sync through a serial cradle: the requests of ``/device/v1`` in frames.

The cradle is a way, not a second protocol: each request is handed to the application as the HTTP
request it stands for, and its answer goes back in one frame. So everything about tokens, verdicts,
limits and commits is said once. docs/serial.md describes the frames; frames.py reads and writes them.
"""

from __future__ import annotations

import logging
import select
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import orjson
import serial
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from config.settings import Settings
from server import clock
from server.errors import DomainError, Invalid, TooLarge
from server.sync import frames
from server.sync.frames import BadPayload, Damaged, Frame

log = logging.getLogger(__name__)

BAUD = 115_200
MAX_ITEMS = 50
MAX_POINTS = 500
GAP_SECONDS = 0.5
IDLE_SECONDS = 120.0
POLL_SECONDS = 0.2
WRITE_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
_SMALL = 64 * 1024


class LineGone(Exception):
    """The port cannot be opened, or was unplugged."""


class Line(Protocol):
    """What the cradle needs of a port."""

    def read(self, seconds: float) -> bytes:
        """What has arrived, after at most so many seconds; raises ``LineGone``."""

    def write(self, data: bytes) -> None:
        """Send; raises ``LineGone``."""


# --- the application behind the line --------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """The application's answer to one request."""

    status: int
    body: dict[str, Any] | None
    retry_after: int | None = None

    def payload(self) -> bytes:
        """The payload of the answer's frame."""
        answer = {"status": self.status, "retry_after": self.retry_after, "body": self.body}
        return frames.pack(answer)


class Desk:
    """Hands requests to the application, which cannot tell them from those of the network."""

    def __init__(self, app: Flask, port: str) -> None:
        self._app = app
        self._port = port
        self.settings: Settings = app.extensions["fieldbell"]

    def ask(
        self, request: str, token: str, body: bytes | None, query: dict[str, str] | None = None
    ) -> Told:
        """Put one request of ``/device/v1`` and wait for its answer, which leaves after the commit."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None and frames.is_gzip(body):
            headers["Content-Encoding"] = "gzip"
        builder = EnvironBuilder(
            path=f"/device/v1/{request}",
            base_url=self.settings.base_url,
            method="GET" if body is None else "POST",
            query_string=query,
            headers=headers.items(),
            data=body,
            content_type="application/json" if body is not None else None,
            environ_base={"REMOTE_ADDR": f"cradle {self._port}"},
        )
        try:
            content, status, told = run_wsgi_app(self._app, builder.get_environ(), buffered=True)
            whole = b"".join(content)
        finally:
            builder.close()
        return Told(int(status.split()[0]), _object(whole), _seconds(told.get("Retry-After")))


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


# --- one handheld in the cradle ---------------------------------------------------------------


@dataclass
class _Session:
    """A handheld that said hello. Its last answer is kept, to be sent again when it was damaged."""

    number: int
    token: str
    heard_at: float
    last: int = 0
    last_payload: bytes = b""
    answer: bytes = b""


class Cradle:
    """Answers the frames of one port, one handheld after the other."""

    def __init__(self, desk: Desk, seconds: Callable[[], float] = monotonic) -> None:
        self._desk = desk
        self._seconds = seconds
        self._session: _Session | None = None
        self._reader = frames.Reader()

    def serve(self, line: Line, stopped: Callable[[], bool]) -> None:
        """Answer until ``stopped``.

        Raises:
            LineGone: when the port went away; nothing of its handheld is remembered then.
        """
        self._session, self._reader = None, frames.Reader()
        heard_at, noise = self._seconds(), 0
        while not stopped():
            data = line.read(POLL_SECONDS)
            if data:
                heard_at = self._seconds()
            for found in self._reader.feed(data):
                line.write(self.answer(found))
                heard_at, noise = self._seconds(), self._reader.noise
            if self._seconds() - heard_at >= GAP_SECONDS:
                self._reader.forget()
                self._forget_idle()
                if self._reader.noise > noise:
                    log.warning("%d bytes were no frame", self._reader.noise - noise)
                    noise = self._reader.noise
                    line.write(self._nak(0, 0, "frame.cut"))

    def _forget_idle(self) -> None:
        """Keep the token of a handheld that went away no longer than its session."""
        session = self._session
        if session is not None and self._seconds() - session.heard_at > IDLE_SECONDS:
            self._session = None

    def answer(self, found: Frame | Damaged) -> bytes:
        """The bytes to send for a frame; none for a farewell."""
        if isinstance(found, Damaged):
            log.warning("a frame came damaged: %s", found.code)
            return self._nak(found.session, found.number, found.code)
        if found.kind == frames.HELLO:
            return self._welcome(found)
        if found.kind >= frames.WELCOME:
            return b""  # an echo of our own
        session = self._current(found.session)
        if session is None:
            if found.kind in (frames.BYE, frames.NAK):
                return b""
            return self._nak(found.session, found.number, "session.unknown")
        if found.kind == frames.BYE:
            self._session = None
            return b""
        if found.kind == frames.NAK:
            return session.answer if found.number == session.last else b""
        return self._once(session, found)

    def _current(self, number: int) -> _Session | None:
        """The session a frame belongs to; one that was silent for long is over."""
        session, now = self._session, self._seconds()
        if session is None or session.number != number or now - session.heard_at > IDLE_SECONDS:
            return None
        session.heard_at = now
        return session

    def _welcome(self, hello: Frame) -> bytes:
        """Begin a session; whoever was here before has left the cradle."""
        try:
            told = frames.unpack(hello.payload, _SMALL)
        except BadPayload:
            return self._nak(hello.session, hello.number, "frame.payload")
        token = told.get("token")
        usable = isinstance(token, str) and token.isascii() and token.isprintable()
        body = {
            "protocol": 1,
            "max_payload": frames.MAX_PAYLOAD,
            "limits": {
                "max_push_items": min(MAX_ITEMS, self._desk.settings.max_push_items),
                "max_track_points": min(MAX_POINTS, self._desk.settings.max_track_points),
            },
            "server_time": clock.to_iso(clock.now()),
        }
        welcome = Frame(frames.WELCOME, hello.session, hello.number, frames.pack(body)).encode()
        self._session = _Session(
            hello.session, str(token)[:200] if usable else "", self._seconds(), hello.number
        )
        self._session.last_payload, self._session.answer = hello.payload, welcome
        log.info("a handheld is in the cradle", extra={"session": hello.session})
        return welcome

    def _once(self, session: _Session, request: Frame) -> bytes:
        """Carry a request out, or send the kept answer when it comes a second time."""
        if request.number == session.last and request.payload == session.last_payload:
            return session.answer
        if request.number <= session.last:
            return self._nak(request.session, request.number, "frame.old_number")
        told = self._carry_out(session, request)
        payload = told.payload()
        if len(payload) > frames.MAX_PAYLOAD:
            payload = _too_large().payload()
        session.last, session.last_payload = request.number, request.payload
        session.answer = Frame(frames.ANSWER, request.session, request.number, payload).encode()
        return session.answer

    def _carry_out(self, session: _Session, request: Frame) -> Told:
        if request.kind == frames.ENROL:
            return self._desk.ask("enrol", "", request.payload)
        if request.kind == frames.PUSH:
            return self._desk.ask("push", session.token, request.payload)
        if request.kind == frames.PULL:
            return self._pull(session, request)
        return _refused(
            Invalid("frame.unknown_kind", f"There is no request {request.kind}.", status=400)
        )

    def _pull(self, session: _Session, request: Frame) -> Told:
        """The next page, made smaller until it fits into a frame."""
        try:
            asked = frames.unpack(request.payload, _SMALL)
        except BadPayload as error:
            problem = f"The request is not JSON: {error}"
            return _refused(Invalid("sync.bad_json", problem, status=400))
        names = ("checkpoint", "limit", "protocol")
        query = {name: str(asked[name]) for name in names if asked.get(name) is not None}
        limit = self._desk.settings.pull_page_size
        while True:
            told = self._desk.ask("pull", session.token, None, query)
            documents = (told.body or {}).get("documents")
            if told.status != 200 or not documents or len(told.payload()) <= frames.MAX_PAYLOAD:
                return told
            limit = min(limit, len(documents)) // 2
            if limit < 1:
                return _too_large()
            query["limit"] = str(limit)

    def _nak(self, session: int, number: int, code: str) -> bytes:
        return Frame(frames.NAK, session, number, frames.pack({"code": code})).encode()


def _refused(error: DomainError) -> Told:
    return Told(error.status, error.body())


def _too_large() -> Told:
    """What is committed stays so; the device asks for less and hears the same verdicts again."""
    return _refused(TooLarge("sync.answer_too_large", "The answer fits no frame; ask for less."))


# --- the port ---------------------------------------------------------------------------------


class SerialLine:
    """A real port as the cradle sees it; a context manager that gives it back."""

    def __init__(self, port: str, baud: int) -> None:
        with _gone(port):
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=WRITE_SECONDS, exclusive=True
            )
        self._port = port

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._serial.close()

    def read(self, seconds: float) -> bytes:
        """What has arrived, after at most so many seconds; raises ``LineGone``."""
        with _gone(self._port):
            ready, _, _ = select.select([self._serial.fileno()], [], [], seconds)
            return bytes(self._serial.read(self._serial.in_waiting or 1)) if ready else b""

    def write(self, data: bytes) -> None:
        """Send and wait until it has left; raises ``LineGone``."""
        if data:
            with _gone(self._port):
                self._serial.write(data)
                self._serial.flush()


@contextmanager
def _gone(port: str) -> Iterator[None]:
    try:
        yield
    except (OSError, termios.error, ValueError, TypeError) as error:
        raise LineGone(f"{port}: {error}") from error


def serve_port(app: Flask, port: str, baud: int, stop: threading.Event) -> None:
    """Serve a port until ``stop`` is set; one that is away is opened again with growing waits."""
    cradle = Cradle(Desk(app, port))
    wait = FIRST_WAIT
    told = ""
    while not stop.is_set():
        try:
            with SerialLine(port, baud) as line:
                log.info("the cradle is ready", extra={"port": port, "baud": baud})
                wait, told = FIRST_WAIT, ""
                cradle.serve(line, stop.is_set)
        except LineGone as error:
            if str(error) != told:
                log.warning("the cradle's port is away: %s", error, extra={"port": port})
                told = str(error)
            stop.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)
