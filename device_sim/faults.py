"""A bad link: a TCP proxy for HTTP that loses requests and answers on purpose.

Each request gets one fault, from a script (in order, then ``pass``) or drawn by seeded rates:

- ``reset_before_send``: the server never hears of the request
- ``mid_body``: the server gets half of the body, then a reset
- ``after_commit``: the server answers, the answer is thrown away – the hardest case for a client
- ``cut_answer``: the server answers, half of the answer arrives
- ``twice``: the server gets the request twice at once, one answer comes back
- ``late``: the client is cut off, the request reaches the server ``late_s`` seconds later
- ``delay``: passes after ``delay_s`` seconds
- ``unavailable``, ``too_many``, ``server_error``: 503 and 429 with ``Retry-After``, 500; the server
  never hears of it
- ``portal``: a captive portal answers in its place with a page to log in
- ``pass``: nothing happens
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType

CHUNK = 65_536


def _canned(head: str, kind: str, body: str) -> bytes:
    lines = (f"HTTP/1.1 {head}", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", body]).encode()


_FAULT = '{"code":"link.fault","message":"fault"}'
CANNED = {
    "unavailable": _canned("503 Service Unavailable\r\nRetry-After: 1", "application/json", _FAULT),
    "too_many": _canned("429 Too Many Requests\r\nRetry-After: 1", "application/json", _FAULT),
    "server_error": _canned("500 Internal Server Error", "application/json", _FAULT),
    "portal": _canned("200 OK", "text/html", "<html>Welcome to the free Wi-Fi. Log in.</html>"),
}
BEFORE = ("reset_before_send", "mid_body", "late")
AFTER = ("after_commit", "cut_answer", "twice", "delay", "pass")
FAULTS = (*BEFORE, *CANNED, *AFTER)


class FaultProxy:
    """Listens on loopback and forwards to ``host:port``; use as a context manager.

    ``script`` names the faults of the first requests in order; after it ``rates`` (fault → probability)
    are drawn with ``seed``. ``only`` limits faults to paths that contain it. ``applied`` lists what
    was done to each request in order of arrival.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        script: Iterable[str] = (),
        rates: Mapping[str, float] | None = None,
        seed: str = "1",
        only: str = "",
        delay_s: float = 0.2,
        late_s: float = 0.5,
        listen_port: int = 0,
    ) -> None:
        self._upstream = (host, port)
        self._script = list(script)
        self._rates = dict(rates or {})
        unknown = {*self._script, *self._rates} - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}")
        self._rng = random.Random(seed)
        self._only = only.encode()
        self._delay_s = delay_s
        self._late_s = late_s
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", listen_port))
        self.applied: list[str] = []

    @property
    def url(self) -> str:
        """The address to give to the client."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection carries one request: the proxy closes it after the answer."""
        client.settimeout(60)
        try:
            head, body = _read_request(client)
            if head:
                self._apply(self._choose(head), client, head, body)
        except OSError:
            _reset(client)
        finally:
            client.close()

    def _choose(self, head: bytes) -> str:
        with self._lock:
            fault = self._draw() if self._only in head.split(b"\r\n", 1)[0] else "pass"
            self.applied.append(fault)
        return fault

    def _draw(self) -> str:
        if self._script:
            return self._script.pop(0)
        if not self._rates:
            return "pass"
        names = [*self._rates, "pass"]
        rest = max(0.0, 1 - sum(self._rates.values()))
        return self._rng.choices(names, [*self._rates.values(), rest])[0]

    def _apply(self, fault: str, client: socket.socket, head: bytes, body: bytes) -> None:
        if fault in CANNED:
            client.sendall(CANNED[fault])
        elif fault in BEFORE:
            self._cut_off(fault, client, head, body)
        else:
            self._pass_on(fault, client, head, body)

    def _cut_off(self, fault: str, client: socket.socket, head: bytes, body: bytes) -> None:
        """The client is cut off before the server has the request, or all of it."""
        _reset(client)
        if fault == "mid_body":
            with socket.create_connection(self._upstream, timeout=10) as upstream:
                upstream.sendall(head + body[: len(body) // 2])
                _reset(upstream)
        elif fault == "late":
            self._stopped.wait(self._late_s)
            self._forward(head, body)

    def _pass_on(self, fault: str, client: socket.socket, head: bytes, body: bytes) -> None:
        """The server gets the whole request; what comes back may be lost."""
        if fault == "delay":
            self._stopped.wait(self._delay_s)
        double = threading.Thread(target=self._forward_unheard, args=(head, body), daemon=True)
        if fault == "twice":
            double.start()
        answer = self._forward(head, body)
        if fault == "twice":
            double.join()
        if fault == "after_commit":
            _reset(client)
        elif fault == "cut_answer":
            client.sendall(answer[: len(answer) // 2])
            _reset(client)
        else:
            client.sendall(answer)

    def _forward_unheard(self, head: bytes, body: bytes) -> None:
        with suppress(OSError):
            self._forward(head, body)

    def _forward(self, head: bytes, body: bytes) -> bytes:
        with socket.create_connection(self._upstream, timeout=60) as upstream:
            upstream.sendall(head + body)
            parts = []
            while part := upstream.recv(CHUNK):
                parts.append(part)
        return _closing(b"".join(parts))


def _read_request(client: socket.socket) -> tuple[bytes, bytes]:
    """The head (asking the server to close afterwards) and the body of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(CHUNK)
        if not part:
            return b"", b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lengths = [int(x.split(b":")[1]) for x in lines if x.lower().startswith(b"content-length:")]
    while len(body) < (lengths[0] if lengths else 0):
        part = client.recv(CHUNK)
        if not part:
            return b"", b""
        body += part
    return _closing(head + b"\r\n\r\n"), body


def _closing(message: bytes) -> bytes:
    """The message with a head that announces the end of the connection."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = [x for x in head.split(b"\r\n") if not x.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def _reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN, as a lost link looks to the other side."""
    linger = struct.pack("ii", 1, 0)
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m device_sim proxy``."""
    parser.description = __doc__
    parser.epilog = (
        "example:\n  python -m device_sim proxy --to 127.0.0.1:8000 --port 8100"
        " --fault after_commit=0.2 --fault reset_before_send=0.1"
    )
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the server behind it")
    parser.add_argument("--port", type=int, default=8100, help="default: %(default)s")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE")
    parser.add_argument(
        "--only", default="/device/", help="paths with faults (default: %(default)s)"
    )
    parser.add_argument("--seed", default="1")


def run(args: argparse.Namespace) -> int:
    """Run the proxy until it is interrupted."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    host, _, port = args.to.rpartition(":")
    try:
        rates = {name: float(rate) for name, _, rate in (f.partition("=") for f in args.fault)}
        proxy = FaultProxy(
            host, int(port), rates=rates, seed=args.seed, only=args.only, listen_port=args.port
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"proxy: {error}\n")
        return 2
    with proxy:
        sys.stdout.write(f"{proxy.url} -> {args.to}\n")
        sys.stdout.flush()
        stop.wait()
    return 0
