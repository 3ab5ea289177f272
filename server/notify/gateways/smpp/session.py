"""One bind as a thread: its socket, its reconnections, and the words passed to the listener.

The thread never touches the database. Whatever the queue hands in or acknowledges crosses to it
through one inbox, so that only this thread touches the connection's state.
"""

from __future__ import annotations

import contextlib
import logging
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from server.notify.gateways.port import Delivery, Listener, Submission
from server.notify.gateways.smpp import codec, protocol
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.rules import answers

log = logging.getLogger(__name__)

_READ = 64 * 1024
_LONGEST_SLEEP = 0.5


class SmppSession:
    """A gateway over SMPP (see `port.Port`). `name` is used in logs and for the thread."""

    def __init__(self, name: str, config: SmppConfig, listener: Listener) -> None:
        self.name = name
        self.config = config
        self.most = config.window * 2
        self._listener = listener
        self._inbox: deque[Callable[[protocol.Link], None]] = deque()
        self._unwritten: deque[Submission] = deque()
        self._lock = threading.Lock()
        self._outstanding: set[int] = set()
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
        """Twice the window less what is under way: the socket stays busy while results are stored."""
        with self._lock:
            return self.most - len(self._outstanding) if self._open else 0

    def submit(self, submission: Submission) -> None:
        """Take one submission; it is answered, lost or returned later."""
        with self._lock:
            self._outstanding.add(submission.token)
        self._unwritten.append(submission)
        self._wake()

    def acknowledge(self, delivery: Delivery, status: int) -> None:
        """Answer a delivery once it is stored (status 0) or could not be."""
        self._inbox.append(lambda link: link.acknowledge(delivery, status))
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
        address = (self.config.host, self.config.port)
        try:
            sock = socket.create_connection(address, timeout=self.config.connect_seconds)
        except OSError as problem:
            return protocol.Closed(f"cannot connect: {problem}")
        self._connections += 1
        link = protocol.Link(self.config, time.monotonic(), self._connections)
        with sock:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
                if closed is not None:
                    return closed
                closed = self._wait(selector, sock, link)
                if closed is not None:
                    self._write(sock, link)
                    return closed

    def _wait(
        self, selector: selectors.BaseSelector, sock: socket.socket, link: protocol.Link
    ) -> protocol.Closed | None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.outgoing else 0)
        selector.modify(sock, wanted)
        for key, ready in selector.select(
            _LONGEST_SLEEP if not link.paused(time.monotonic()) else 0.05
        ):
            if key.fileobj is self._wake_in:
                with contextlib.suppress(BlockingIOError):
                    self._wake_in.recv(4096)
            elif ready & selectors.EVENT_READ:
                try:
                    data = sock.recv(_READ)
                except BlockingIOError:
                    continue
                if not data:
                    return protocol.Closed("the carrier closed the connection")
                closed = self._handle(link, link.receive(data, time.monotonic()))
                if closed is not None:
                    return closed
        return None

    def _write(self, sock: socket.socket, link: protocol.Link) -> None:
        while link.outgoing:
            try:
                sent = sock.send(link.outgoing)
            except BlockingIOError:
                return
            del link.outgoing[:sent]

    def _take_inbox(self, link: protocol.Link) -> None:
        while self._inbox:
            self._inbox.popleft()(link)
        now = time.monotonic()
        while self._unwritten and not self._stopping.is_set():
            link.submit(self._unwritten.popleft(), now)

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

    def _handle(self, link: protocol.Link, events: list[protocol.Event]) -> protocol.Closed | None:
        for event in events:
            match event:
                case protocol.Bound():
                    self._failures = 0
                    self._set_open(True)
                    self._tell("bound", "")
                case protocol.Resumed():
                    self._tell("bound", "")
                case protocol.Answered():
                    self._settle(event.token)
                    self._listener.answered(event.token, event.status, event.message_id)
                case protocol.TimedOut():
                    self._settle(event.token)
                    self._listener.lost(event.token)
                case protocol.Paused():
                    self._tell(
                        "paused", f"the carrier asked for a slower pace ({event.seconds:g} s)"
                    )
                case Delivery():
                    self._deliver(link, event)
                case protocol.Closed():
                    return event
        return None

    def _deliver(self, link: protocol.Link, delivery: Delivery) -> None:
        try:
            self._listener.delivered(delivery)
        except Exception:  # whatever went wrong, the carrier must get an answer and send it again
            log.exception("gateway %s: a delivery could not be taken", self.name)
            link.acknowledge(delivery, codec.ESME_RX_T_APPN)

    def _forget(self, link: protocol.Link) -> None:
        """The connection is gone: what was written is lost, what was not goes back."""
        self._set_open(False)
        for token in link.in_flight():
            self._settle(token)
            self._listener.lost(token)
        self._unwritten.extendleft(reversed(link.waiting))
        self._inbox.clear()

    def _return_unwritten(self) -> None:
        while self._unwritten:
            token = self._unwritten.popleft().token
            self._settle(token)
            self._listener.returned(token)

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

    def _settle(self, token: int) -> None:
        with self._lock:
            self._outstanding.discard(token)

    def _set_open(self, is_open: bool) -> None:
        with self._lock:
            self._open = is_open

    def _tell(self, state: str, detail: str) -> None:
        level = logging.WARNING if state in ("waiting", "refused") else logging.INFO
        log.log(level, "gateway %s: %s %s", self.name, state, detail)
        self._listener.changed(state, detail)
