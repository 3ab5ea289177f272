"""A typed client of the device protocol ``/device/v1``: enrol, push, pull.

``Link`` is what every way to the server has in common; ``Client`` goes by HTTP, and
``device_sim.serial.cradle`` by a serial line. Every failure is a named exception whose ``retry`` says whether the same request may succeed later.
The client never retries by itself: who calls it decides, because only he knows what is at stake.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

from device_sim.steps import Step, pass_by

PROTOCOL = 1
PREFIX = "/device/v1"
GZIP_FROM_BYTES = 512
# A server closes idle connections after about two seconds; a request sent into that closing is lost.
REUSE_WITHIN_S = 1.0

Json = dict[str, Any]


class SyncError(Exception):
    """A request that brought no answer to work with; ``retry`` tells whether to try it again later."""

    retry = True

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.details = details


class OfflineError(SyncError):
    """No server was reached: refused, reset, timed out, or a captive portal answered in its place."""


class BusyError(SyncError):
    """429 or 503: come back after ``retry_after`` seconds."""


class ServerFaultError(SyncError):
    """Another 5xx: the server failed; nothing was stored as a verdict."""


class UnauthorizedError(SyncError):
    """401: the token is not known (any more). The device keeps capturing."""

    retry = False


class ResyncRequiredError(SyncError):
    """412: the checkpoint is of another epoch or scope; pull everything again from the start."""


class TooLargeError(SyncError):
    """413: send less at once; ``details`` may tell the limit."""


class UpgradeRequiredError(SyncError):
    """426: this protocol is too old to pull; pushing still works."""

    retry = False


class RefusedError(SyncError):
    """Another 4xx: the request itself is wrong and will stay wrong."""

    retry = False


ERRORS: dict[int, type[SyncError]] = {
    401: UnauthorizedError,
    412: ResyncRequiredError,
    413: TooLargeError,
    426: UpgradeRequiredError,
    429: BusyError,
    503: BusyError,
}


@dataclass(frozen=True)
class Enrolment:
    """What a device is given once: its identity, its token and the server's limits."""

    device_id: str
    token: str
    receipt_prefix: str
    epoch: str
    server_time: str
    settings: Json


@dataclass(frozen=True)
class Result:
    """The server's durable word on one item."""

    id: str
    verdict: str
    replayed: bool = False
    code: str | None = None
    message: str | None = None
    ack: str | None = None


@dataclass(frozen=True)
class PushAnswer:
    """The answer to one push; ``faults`` are ids the server failed on and gave no verdict for."""

    epoch: str
    server_time: str
    received_through: int | None
    results: list[Result]
    faults: list[str] = field(default_factory=list)
    gaps: list[list[int]] = field(default_factory=list)
    track: Json = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)


@dataclass(frozen=True)
class PullPage:
    """One page of changed documents; ``more`` asks for the next page with the new checkpoint."""

    documents: list[Json]
    checkpoint: str | None
    more: bool
    epoch: str = ""


class Link(ABC):
    """A way to the server. One thread at a time.

    ``timeout`` bounds one request, in seconds. ``limits`` are what the way itself can carry at once,
    by the names of the enrolment's settings; the smaller of the two holds.
    """

    token: str | None = None
    protocol = PROTOCOL
    timeout: float
    limits: Mapping[str, int] = MappingProxyType({})
    carries_files = False

    @abstractmethod
    def close(self) -> None:
        """Let go of the line; the next request takes it again."""

    @abstractmethod
    def _exchange(self, request: str, body: Json) -> Json:
        """The JSON of a good answer to ``enrol``, ``push`` or ``pull``. Raises ``SyncError``."""

    def enrol(self, code: str, device: Json) -> Enrolment:
        """Exchange a one-time code for a token. Raises ``RefusedError`` for a wrong, used or expired code."""
        answer = self._exchange("enrol", {"code": code, "device": device})
        return Enrolment(
            device_id=str(answer["device_id"]),
            token=str(answer["token"]),
            receipt_prefix=str(answer.get("receipt_prefix") or ""),
            epoch=str(answer.get("epoch") or ""),
            server_time=str(answer.get("server_time") or ""),
            settings=dict(answer.get("settings") or {}),
        )

    def push(self, body: Json) -> PushAnswer:
        """Hand over one batch (see the sync protocol for its shape)."""
        answer = self._exchange("push", body)
        return PushAnswer(
            epoch=str(answer.get("epoch") or ""),
            server_time=str(answer.get("server_time") or ""),
            received_through=answer.get("received_through"),
            results=[_result(row) for row in answer.get("results") or []],
            faults=[str(row["id"]) for row in answer.get("faults") or []],
            gaps=list(answer.get("gaps") or []),
            track=dict(answer.get("track") or {}),
            commands=list(answer.get("commands") or []),
        )

    def pull(self, checkpoint: str | None, limit: int = 500) -> PullPage:
        """Ask for documents changed since ``checkpoint`` (None: from the start)."""
        asked = {"limit": limit, "protocol": self.protocol, "checkpoint": checkpoint}
        answer = self._exchange("pull", asked)
        return PullPage(
            documents=list(answer.get("documents") or []),
            checkpoint=answer.get("checkpoint"),
            more=bool(answer.get("more")),
            epoch=str(answer.get("epoch") or ""),
        )

    def file_offset(self, sha256: str) -> int:
        """How many bytes of a file the server has. Raises ``RefusedError`` where files cannot go."""
        raise RefusedError(f"this way carries no files ({sha256})", code="link.no_files")

    def send_piece(self, sha256: str, offset: int, piece: bytes) -> Json:
        """Append a piece of a file; the answer tells ``offset`` and ``status``."""
        what = f"{len(piece)} bytes of {sha256} at {offset}"
        raise RefusedError(f"this way carries no files ({what})", code="link.no_files")


class Client(Link):
    """Speaks ``/device/v1`` over HTTP at ``base_url``; ``timeout`` is in seconds."""

    carries_files = True

    def __init__(self, base_url: str, token: str | None = None, timeout: float = 20.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http address: {base_url}")
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._path = parts.path.rstrip("/") + PREFIX
        self.timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self.step: Step = pass_by
        self.token = token

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: str, body: Json) -> Json:
        if request != "pull":
            return self._ask("POST", f"/{request}", body)
        query = urlencode({name: value for name, value in body.items() if value is not None})
        return self._ask("GET", f"/pull?{query}", None)

    def _ask(self, method: str, path: str, body: Json | None) -> Json:
        return parse_answer(*self._request(method, path, *self._encode(body)))

    def file_offset(self, sha256: str) -> int:
        """How many bytes of a file the server has."""
        status, headers, _ = self._request("HEAD", f"/attachments/{sha256}", *self._encode(None))
        offset = headers.get("Upload-Offset", "")
        if status == 200 and not offset.isdigit():
            raise OfflineError("not our server: no offset", code="link.portal", status=status)
        judge(status, {}, _seconds(headers.get("Retry-After")))
        return int(offset)

    def send_piece(self, sha256: str, offset: int, piece: bytes) -> Json:
        """Append a piece of a file; the answer tells ``offset`` and ``status``."""
        _, headers = self._encode(None)
        headers |= {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        return parse_answer(*self._request("PATCH", f"/attachments/{sha256}", piece, headers))

    def _request(
        self, method: str, path: str, raw: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            connection = self._connect()
            connection.request(method, self._path + path, body=raw, headers=headers)
            self.step(f"{re.split('[/?]', path)[1]}.sent")
            response = connection.getresponse()
            content = _inflate(response.read(), response.headers.get("Content-Encoding"))
        except (OSError, EOFError, http.client.HTTPException, zlib.error) as error:
            self.close()
            raise OfflineError(f"{type(error).__name__}: {error}", code="link.failed") from error
        self._used_at = time.monotonic()
        if response.will_close:
            self.close()
        return response.status, dict(response.headers.items()), content

    def _connect(self) -> http.client.HTTPConnection:
        if time.monotonic() - self._used_at > REUSE_WITHIN_S:
            self.close()
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self.timeout)
        return self._connection

    def _encode(self, body: Json | None) -> tuple[bytes | None, dict[str, str]]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is None:
            return None, headers
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
        if len(raw) >= GZIP_FROM_BYTES:
            raw = gzip.compress(raw, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return raw, headers


def parse_answer(status: int, headers: Mapping[str, str], content: bytes) -> Json:
    """The JSON object of a good answer, or the named exception of a bad one.

    An answer that is not JSON came from something else than the server (a captive portal, a proxy's
    log-in page) and counts as being offline; that also keeps a portal's 401 from looking like ours.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    retry_after = _seconds(lower.get("retry-after"))
    value = _json_object(lower.get("content-type", ""), content)
    if value is None and status < 500 and status != 429:
        raise OfflineError(
            f"not our server: HTTP {status}, not JSON", code="link.portal", status=status
        )
    return judge(status, value, retry_after)


def judge(status: int, value: Json | None, retry_after: float | None = None) -> Json:
    """The body of a good answer. Raises the ``SyncError`` of a bad one; ``retry_after`` in seconds."""
    if status < 300 and value is not None:
        return value
    told = value or {}
    default = ServerFaultError if status >= 500 else RefusedError
    raise ERRORS.get(status, default)(
        str(told.get("message") or f"HTTP {status}"),
        code=str(told.get("code") or f"http.{status}"),
        status=status,
        retry_after=retry_after,
        details=told.get("details"),
    )


def _json_object(content_type: str, content: bytes) -> Json | None:
    if "json" not in content_type.lower():
        return None
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _inflate(content: bytes, encoding: str | None) -> bytes:
    return gzip.decompress(content) if encoding == "gzip" else content


def _result(row: Json) -> Result:
    return Result(
        id=str(row["id"]),
        verdict=str(row["verdict"]),
        replayed=bool(row.get("replayed")),
        code=row.get("code"),
        message=row.get("message"),
        ack=row.get("ack"),
    )
