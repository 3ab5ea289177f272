"""One request after the other over a kept connection, and what a failure at each moment means."""

from __future__ import annotations

import http.client
import select
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from server import clock
from server.notify.gateways.courier import Errand
from server.notify.gateways.http import wire
from server.notify.gateways.http.config import HttpConfig
from server.notify.gateways.port import Submission
from server.notify.rules import signing

_KEEP_SECONDS = 4.0
_LARGEST_ANSWER = 4 * 1024 * 1024
_REPEAT_SECONDS = 0.5
_UNREADABLE = (400, 413, 422)


class Post:
    """Posts batches to one carrier (see `courier.Courier`)."""

    def __init__(self, name: str, config: HttpConfig) -> None:
        self.batch = config.batch
        self._name = name
        self._config = config
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def greet(self) -> Errand:
        """Connect; whether the carrier knows us is told by its first answer."""
        try:
            self._connected()
        except (OSError, http.client.HTTPException) as problem:
            self._close()
            return Errand(trouble=f"no connection: {_said(problem)}")
        return Errand()

    def carry(self, batch: Sequence[Submission]) -> Errand:
        """Post a batch; repeated when nobody answered and the carrier takes a key only once."""
        data = wire.body(batch, self._name, self._config.source)
        for left in reversed(range(1 + (self._config.repeats if self._config.idempotent else 0))):
            found = self._once(batch, data)
            if not (found.lost and left):
                return found
            time.sleep(_REPEAT_SECONDS)
        return found

    def rest(self) -> None:
        """Close a connection that the carrier has closed, or would soon close itself."""
        if self._connection is None:
            return
        old = time.monotonic() - self._used > _KEEP_SECONDS
        if old or select.select([self._connection.sock], [], [], 0)[0]:
            self._close()

    def _once(self, batch: Sequence[Submission], data: bytes) -> Errand:
        tokens = [one.token for one in batch]
        try:
            connection = self._connected()
        except (OSError, http.client.HTTPException) as problem:
            self._close()
            return Errand(returned=tokens, trouble=f"no connection: {_said(problem)}")
        try:
            connection.request("POST", self._path(), data, self._headers(data))
            answer = connection.getresponse()
            content = answer.read(_LARGEST_ANSWER)
        except TimeoutError:
            self._close()
            return Errand(lost=tokens, trouble="no answer in time")
        except (OSError, http.client.HTTPException) as problem:
            self._close()
            return Errand(lost=tokens, cut=True, trouble=f"the line broke: {_said(problem)}")
        self._used = time.monotonic()
        if answer.will_close or answer.read(1):
            self._close()
        if answer.status in _UNREADABLE and len(batch) > 1:
            # One text that the carrier cannot read must not take the others with it.
            half = len(batch) // 2
            return self.carry(batch[:half]).with_(self.carry(batch[half:]))
        return wire.judge(batch, answer.status, content, answer.getheader("Retry-After"))

    def _connected(self) -> http.client.HTTPConnection:
        """A connection on which the carrier still listens; one that was idle for long is not trusted."""
        self.rest()
        if self._connection is None:
            connection = self._made()
            connection.connect()
            connection.sock.settimeout(self._config.answer_seconds)
            self._connection, self._used = connection, time.monotonic()
        return self._connection

    def _made(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._config.url)
        patience = self._config.connect_seconds
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=patience)
        trusted = ssl.create_default_context(cafile=self._config.ca_file or None)
        return http.client.HTTPSConnection(host, parts.port, timeout=patience, context=trusted)

    def _path(self) -> str:
        parts = urlsplit(self._config.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _headers(self, data: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "fieldbell"}
        if self._config.token:
            headers["Authorization"] = f"Bearer {self._config.token}"
        if self._config.secret:
            at = int(clock.now().timestamp())
            headers[signing.TIMESTAMP] = str(at)
            headers[signing.SIGNATURE] = signing.sign(self._config.secret, at, data)
        return headers

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _said(problem: Exception) -> str:
    return str(problem)[:200] or type(problem).__name__
