"""One bind as a thread: its socket, its reconnections, and the words passed to the listener.

The thread never touches the database. Whatever the queue hands in or acknowledges crosses to it
through one inbox, so that only this thread touches the connection's state. Octets are collected
while there is something to do and written in one go.
"""

from __future__ import annotations

import contextlib
import logging
import random
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from server.notify.gateways.port import Delivery, Listener, Submission
from server.notify.gateways.smpp import codec, protocol
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.rules import answers

log = logging.getLogger(__name__)

_READ = 256 * 1024
_LONGEST_SLEEP = 0.5
# Beside the window some submissions wait in memory, so that the socket is busy while results are
# stored: so many windows, at most so many submissions. A crash leaves at most both together unknown.
_AHEAD_WINDOWS, _AHEAD_MOST = 5, 250
# At a limited pace no more is taken than leaves in this time.
_AHEAD_SECONDS = 0.25
# A carrier that gathers small writes (Nagle) holds each report back until our system has acknowledged
# the answer before it, which may take 40 ms unless it is told to do so at once, again after each read.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class SmppSession:
    """A gateway over SMPP (see `port.Port`). `name` is used in logs and for the thread."""

    def __init__(
        self, name: str, config: SmppConfig, listener: Listener, gateway_id: int = 0
    ) -> None:
        self.name = name
        self.config = config
        self.most = config.window + min(config.window * _AHEAD_WINDOWS, _AHEAD_MOST)
        self._listener = listener
        self._gateway_id = gateway_id
        self._inbox: deque[Callable[[protocol.Link], None]] = deque()
        self._unwritten: deque[Submission] = deque()
        self._lock = threading.Lock()
        self._outstanding: set[int] = set()
        self._rate: float | None = config.rate or None
        self._share: float | None = self._rate
        self._open = False
        self._stopping = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._connections = 0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"smpp-{name}", daemon=True)

    # --- called from the queue's thread ------------------------------------------------------

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self) -> None:
        """Drain the window, unbind and end; blocks until then."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(self.config.drain_seconds * 2 + self.config.connect_seconds + 5)
        self._wake_out.close()
        self._wake_in.close()

    def room(self) -> int:
        """What keeps the socket busy while results are stored, less what is under way."""
        if self.config.mode == "receiver":
            return 0
        most = self.most
        if self._rate is not None:
            most = min(most, max(1, int(self._rate * _AHEAD_SECONDS)) + self.config.window)
        with self._lock:
            return most - len(self._outstanding) if self._open else 0

    def set_rate(self, rate: float | None) -> None:
        """Send at most so many segments a second from now on."""
        self._share = rate
        self._inbox.append(lambda link: link.pace.set_limit(rate))
        self._wake()

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Take submissions; each is answered, lost or returned later."""
        with self._lock:
            self._outstanding.update(submission.token for submission in submissions)
        self._unwritten.extend(submissions)
        self._wake()

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """Answer deliveries once they are stored (status 0) or could not be."""
        self._inbox.append(lambda link: link.acknowledge(deliveries, status))
        self._wake()

    def _wake(self) -> None:
        # A full pipe wakes as well, and a closed one belongs to a thread that has ended.
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._tell("connecting", f"{self.config.host}:{self.config.port}")
            closed = self._connect_and_serve()
            self._return_unwritten()
            if not self._stopping.is_set():
                self._rest(closed)
        self._return_unwritten()
        self._tell("stopped", "")

    def _connect_and_serve(self) -> protocol.Closed:
        try:
            sock = _connect(self.config)
        except (OSError, ssl.CertificateError) as problem:
            return protocol.Closed(f"cannot connect: {problem}")
        self._connections += 1
        link = protocol.Link(self.config, time.monotonic(), self._connections, self._gateway_id)
        link.pace.set_limit(self._share)
        with sock:
            sock.setblocking(False)
            try:
                return self._serve(sock, link)
            except OSError as problem:
                return protocol.Closed(f"connection lost: {problem}")
            finally:
                self._forget(link)

    def _serve(self, sock: socket.socket, link: protocol.Link) -> protocol.Closed:
        drain_until: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            selector.register(self._wake_in, selectors.EVENT_READ)
            while True:
                self._take_inbox(link)
                now = time.monotonic()
                closed = self._handle(link, link.tick(now))
                if closed is None and self._stopping.is_set():
                    drain_until = drain_until or now + self.config.drain_seconds
                    closed = self._leave(link, now, drain_until)
                self._write(sock, link)
                if closed is None:
                    closed = self._wait(selector, sock, link)
                    if closed is None:
                        continue
                    self._write(sock, link)
                return closed

    def _wait(
        self, selector: selectors.BaseSelector, sock: socket.socket, link: protocol.Link
    ) -> protocol.Closed | None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.outgoing else 0)
        selector.modify(sock, wanted)
        due = link.wait(time.monotonic())
        ready = selector.select(_LONGEST_SLEEP if due is None else min(due, _LONGEST_SLEEP))
        for key, events in ready:
            if key.fileobj is self._wake_in:
                with contextlib.suppress(BlockingIOError):
                    self._wake_in.recv(4096)
            elif events & selectors.EVENT_READ:
                data = _read(sock)
                if data is None:
                    continue
                if not data:
                    return protocol.Closed("the carrier closed the connection")
                self._rate = link.pace.rate
                closed = self._handle(link, link.receive(data, time.monotonic()))
                if closed is not None:
                    return closed
        return None

    def _write(self, sock: socket.socket, link: protocol.Link) -> None:
        while link.outgoing:
            try:
                sent = sock.send(link.outgoing)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            del link.outgoing[:sent]

    def _take_inbox(self, link: protocol.Link) -> None:
        while self._inbox:
            self._inbox.popleft()(link)
        if self._unwritten and not self._stopping.is_set():
            taken = list(self._unwritten)
            for _ in taken:
                self._unwritten.popleft()
            self._handle(link, link.submit(taken, time.monotonic()))

    def _leave(self, link: protocol.Link, now: float, drain_until: float) -> protocol.Closed | None:
        """Write nothing new, wait for the window's answers, then unbind."""
        self._unwritten.extendleft(reversed(link.waiting))
        link.waiting.clear()
        self._return_unwritten()
        if link.state == "binding":
            return protocol.Closed("stopped before the bind")
        if link.state == "bound" and (not link.in_flight() or now >= drain_until):
            link.unbind(now)
        return None

    def _handle(self, link: protocol.Link, news: protocol.News) -> protocol.Closed | None:
        if not news:
            return None
        if news.answered:
            self._settle([token for token, _, _ in news.answered])
            self._listener.answered(news.answered)
        if news.timed_out:
            self._settle(news.timed_out)
            self._listener.lost(news.timed_out, cut=False)
        for state, detail in news.states:
            if state == "bound":
                self._failures = 0
                self._set_open(True)
            self._tell(state, detail)
        if news.deliveries:
            self._deliver(link, news.deliveries)
        return news.closed

    def _deliver(self, link: protocol.Link, deliveries: list[Delivery]) -> None:
        try:
            self._listener.delivered(deliveries)
        except Exception:  # whatever went wrong, the carrier must get an answer and send it again
            log.exception("gateway %s: deliveries could not be taken", self.name)
            link.acknowledge(deliveries, codec.ESME_RX_T_APPN)

    def _forget(self, link: protocol.Link) -> None:
        """The connection is gone: what was written is lost, what was not goes back."""
        self._set_open(False)
        lost = link.in_flight()
        if lost:
            self._settle(lost)
            self._listener.lost(lost, cut=True)
        self._unwritten.extendleft(reversed(link.waiting))
        self._inbox.clear()

    def _return_unwritten(self) -> None:
        tokens = []
        while self._unwritten:
            tokens.append(self._unwritten.popleft().token)
        if tokens:
            self._settle(tokens)
            self._listener.returned(tokens)

    def _rest(self, closed: protocol.Closed) -> None:
        """Wait before the next try: longer each time, spread, and long after a refused bind."""
        self._failures += 1
        config = self.config
        pause = min(
            config.retry_first_seconds * 2 ** min(self._failures - 1, 20), config.retry_most_seconds
        )
        refused = closed.status is not None and (
            answers.classify(closed.status, config.statuses) == answers.BIND
        )
        if refused:
            pause = max(pause, config.refused_seconds)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311  # spreads reconnections; no secret
        self._tell(
            "refused" if refused else "waiting", f"{closed.reason}; next try in {pause:.1f} s"
        )
        self._stopping.wait(pause)

    def _settle(self, tokens: Sequence[int]) -> None:
        with self._lock:
            self._outstanding.difference_update(tokens)

    def _set_open(self, is_open: bool) -> None:
        with self._lock:
            self._open = is_open

    def _tell(self, state: str, detail: str) -> None:
        level = logging.WARNING if state in ("waiting", "refused") else logging.INFO
        log.log(level, "gateway %s: %s %s", self.name, state, detail)
        self._listener.changed(state, detail)


def _connect(config: SmppConfig) -> socket.socket:
    """A connection, with TLS shaken hands and the carrier's certificate verified where that is wanted."""
    sock = socket.create_connection((config.host, config.port), timeout=config.connect_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not config.tls:
        return sock
    try:
        context = ssl.create_default_context(cafile=config.tls_ca or None)
        return context.wrap_socket(sock, server_hostname=config.tls_name or config.host)
    except BaseException:
        sock.close()
        raise


def _read(sock: socket.socket) -> bytes | None:
    """Everything that is there; None when there is nothing yet, empty at the end."""
    try:
        data = sock.recv(_READ)
        # TLS keeps what it has unpacked to itself: the selector would not tell of it.
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            data += sock.recv(_READ)
        if _QUICKACK is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    return data
