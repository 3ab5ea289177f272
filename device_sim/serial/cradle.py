"""Syncing through a serial cradle: the device's end of the link that docs/serial.md describes.

A request waits for its answer; frames that were damaged are asked for again, an unplugged port is
opened again with growing waits, and after that the request is sent anew. That is safe because every
request may come twice: items are known by their ids, an enrolment by its installation.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

from device_sim.protocol import (
    Json,
    Link,
    OfflineError,
    ServerFaultError,
    TooLargeError,
    judge,
)
from device_sim.serial.frames import (
    MAX_PAYLOAD,
    BadPayloadError,
    Broken,
    Decoder,
    Frame,
    Kind,
    pack,
    unpack,
)
from device_sim.serial.line import Line, LineError, parse_port

log = logging.getLogger("device_sim")

BAUD = 115_200
# What fits into a frame with room to spare; the server may tell less.
MAX_ITEMS = 50
MAX_POINTS = 500
GAP_S = 0.5
HELLO_WITHIN_S = 2.0
ANSWER_WITHIN_S = 5.0
TRIES = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 3.0
REQUESTS = {"enrol": Kind.ENROL, "push": Kind.PUSH, "pull": Kind.PULL}


class _LostSessionError(Exception):
    """The server does not know this session (any more): say hello again."""


class CradleLink(Link):
    """Speaks to a server through ``port`` (``PORT`` or ``PORT@BAUD``).

    ``timeout`` is for how many seconds one request is tried, unplugged cables included.
    """

    def __init__(
        self,
        port: str,
        token: str | None = None,
        timeout: float = 20.0,
        *,
        rng: random.Random | None = None,
        answer_within_s: float = ANSWER_WITHIN_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.port, self.baud = parse_port(port, BAUD)
        self.token = token
        self.timeout = timeout
        self.limits = {"max_push_items": MAX_ITEMS, "max_track_points": MAX_POINTS}
        self._rng = rng or random.Random()
        self._answer_within_s = answer_within_s
        self._pause = pause
        self._line: Line | None = None
        self._decoder = Decoder()
        self._session = 0
        self._number = 0
        self._greeted: str | None = None
        self._end = 0.0

    def close(self) -> None:
        """Say goodbye and give the port back; the next request opens it again."""
        if self._line is not None:
            with suppress(LineError):
                self._line.write(Frame(Kind.BYE, self._session, self._number + 1).encode())
            self._drop()

    def _exchange(self, request: str, body: Json) -> Json:
        payload = pack(body)
        if len(payload) > MAX_PAYLOAD:
            raise TooLargeError(
                f"{len(payload)} bytes do not fit into one frame",
                code="frame.too_long",
                details={"max_bytes": MAX_PAYLOAD},
            )
        answer = self._patiently(REQUESTS[request], payload)
        body_of_answer = answer.get("body")
        status = answer.get("status")
        if not isinstance(status, int) or not isinstance(body_of_answer, dict | None):
            raise ServerFaultError("the answer has no status", code="link.bad_answer")
        retry_after = answer.get("retry_after")
        seconds = float(retry_after) if isinstance(retry_after, int | float) else None
        return judge(status, body_of_answer, seconds)

    def _patiently(self, kind: Kind, payload: bytes) -> Json:
        """Try until the time is over: open, greet, ask; begin anew when the cable was cut."""
        end = self._end = time.monotonic() + self.timeout
        wait = FIRST_WAIT_S
        while True:
            try:
                self._greet()
                return self._ask(kind, payload, Kind.ANSWER, self._answer_within_s)
            except (LineError, _LostSessionError) as error:
                self._drop()
                pause = wait * self._rng.uniform(0.5, 1.0)
                if time.monotonic() + pause >= end:
                    raise OfflineError(f"cradle: {error}", code="link.failed") from error
                log.debug("cradle: %s; again in %.1f s", error, pause)
                self._pause(pause)
                wait = min(wait * 2, LONGEST_WAIT_S)

    def _greet(self) -> None:
        """Open the port and say who we are, once per session and token."""
        if self._line is None:
            self._line = Line(self.port, self.baud)
        elif self._greeted == (self.token or ""):
            return
        self._decoder = Decoder()
        self._session = self._rng.getrandbits(32) or 1
        self._number = 0
        hello = pack({"protocol": 1, "token": self.token})
        welcome = self._ask(Kind.HELLO, hello, Kind.WELCOME, HELLO_WITHIN_S)
        told = welcome.get("limits")
        for name in self.limits:
            value = told.get(name) if isinstance(told, dict) else None
            if isinstance(value, int) and value >= 1:
                self.limits = {**self.limits, name: value}
        self._greeted = self.token or ""

    def _ask(self, kind: Kind, payload: bytes, expected: Kind, within_s: float) -> Json:
        """Send a request, again where needed, and return the JSON of its answer.

        Raises ``LineError`` when no whole answer came, ``_LostSessionError`` when the server wants a hello.
        """
        self._number += 1
        request = Frame(kind, self._session, self._number, payload).encode()
        for _ in range(TRIES):
            self._write(request)
            answer = self._await(expected, within_s)
            if answer is None and time.monotonic() >= self._end:
                break
            if answer is not None:
                try:
                    return unpack(answer.payload)
                except BadPayloadError as error:
                    raise LineError("line.bad_answer", f"not an answer: {error}") from error
        raise LineError("line.no_answer", f"no whole answer on {self.port}")

    def _await(self, expected: Kind, within_s: float) -> Frame | None:
        """The answer to the present request; None when the request must be sent again."""
        end = time.monotonic() + within_s
        latest = end + 2 * MAX_PAYLOAD * 10 / self.baud
        naks = 0
        while naks < TRIES and (left := end - time.monotonic()) > 0:
            data = self._read(min(left, GAP_S))
            if data:
                # Long answers need longer than short ones: what counts is that bytes keep coming.
                end = min(latest, max(end, time.monotonic() + GAP_S * 2))
            for one in self._decoder.feed(data):
                if isinstance(one, Frame) and self._is_ours(one):
                    if one.kind == expected:
                        return one
                    if one.kind == Kind.NAK:
                        self._heed(one)
                        return None
                elif isinstance(one, Broken):
                    naks += self._say_again()
            if not data and (self._decoder.reset() or self._decoder.skipped):
                self._decoder.skipped = 0
                naks += self._say_again()
        return None

    def _is_ours(self, frame: Frame) -> bool:
        """Whether a frame belongs to the present request; a NAK for nothing in particular does."""
        unheard = frame.kind == Kind.NAK and frame.number == 0
        return unheard or (frame.session == self._session and frame.number == self._number)

    def _say_again(self) -> int:
        """Ask for the answer once more."""
        self._write(Frame(Kind.NAK, self._session, self._number).encode())
        return 1

    def _heed(self, nak: Frame) -> None:
        """A NAK asks for the request again, unless it says that the session is over."""
        with suppress(BadPayloadError):
            if nak.payload and unpack(nak.payload).get("code") == "session.unknown":
                raise _LostSessionError("the server asks for a hello")

    def _write(self, data: bytes) -> None:
        if self._line is None:
            raise LineError("line.gone", f"{self.port} is closed")
        self._line.write(data)

    def _read(self, within_s: float) -> bytes:
        if self._line is None:
            raise LineError("line.gone", f"{self.port} is closed")
        return self._line.read(within_s)

    def _drop(self) -> None:
        line, self._line, self._greeted = self._line, None, None
        if line is not None:
            with suppress(LineError):
                line.close()
