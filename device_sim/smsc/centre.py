"""The SMPP side of the SMS centre: one thread serves every connection and hands over what is owed."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from device_sim.smsc.behaviour import Behaviour, Chance, changed
from device_sim.smsc.client import Client
from device_sim.smsc.line import Ended, Line
from device_sim.smsc.owed import Parcel
from device_sim.smsc.phones import Phones

__all__ = ["Behaviour", "Centre"]

_T = TypeVar("_T")
_ROUND_SECONDS = 0.005
"""What is owed is handed over in rounds, so that many parcels share one write."""
_LOOK_SECONDS = 0.25
_LONGEST_SECONDS = 1.0
_BURST_SECONDS = 0.2


class Centre:
    """An SMS centre listening on `port` (0 takes a free one)."""

    def __init__(
        self,
        phones: Phones,
        behaviour: Behaviour,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.phones = phones
        self.behaviour = behaviour
        self.chance = Chance(behaviour.seed)
        self.origins: dict[str, int] = {}
        self.started = time.monotonic()
        self._tls = tls
        self._listening = socket.create_server((host, port), backlog=128)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._clients: dict[int, Client] = {}
        self._numbers = itertools.count(1)
        self._dirty: set[Client] = set()
        self._dripping: set[Client] = set()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        self._turn = 0
        self._next_round = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="smsc", daemon=True)

    # For other threads.

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and end."""
        self._stopping = True
        self.nudge()
        if self._thread.is_alive():
            self._thread.join(5)
        else:
            self._leave()

    def call(self, work: Callable[[], _T], seconds: float = 5.0) -> _T:
        """Do something between two turns of the centre and return its result."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return work()
        done: Future[_T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except Exception as problem:  # noqa: BLE001  # it belongs to the caller
                done.set_exception(problem)

        self._calls.append(run)
        self.nudge()
        return done.result(seconds)

    def set(self, **wanted: Any) -> Behaviour:
        """Change options while it runs. Raises Unreadable."""
        self.behaviour = changed(self.behaviour, wanted)
        if "seed" in wanted:
            self.chance = Chance(self.behaviour.seed)
        return self.behaviour

    def reset(self) -> Behaviour:
        """All options back to the standard, for the same accounts and phones."""
        now = self.behaviour
        fixed = ("system_id", "password", "first", "last", "accounts", "seed")
        self.behaviour = replace(Behaviour(), **{name: getattr(now, name) for name in fixed})
        return self.behaviour

    def drop_connections(self) -> None:
        """Break every connection as a fallen line does."""
        with contextlib.suppress(TimeoutError):
            self.call(self._drop_all)

    def clients(self) -> list[Client]:
        """The connections there are."""
        return list(self._clients.values())

    # For clients, in the centre's thread.

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something after a time."""
        when = time.monotonic() + seconds
        heapq.heappush(self._timers, (when, next(self._timer_numbers), work))

    def will_flush(self, client: Client) -> None:
        """Something is to be written at the end of this turn."""
        self._dirty.add(client)

    def forget(self, client: Client) -> None:
        """A connection has ended."""
        self._clients.pop(client.number, None)
        self._dirty.discard(client)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.line.socket)

    def bound(self, system_id: str) -> int:
        """How many binds an account has."""
        return sum(client.system_id == system_id for client in self._clients.values())

    def may_pass(self, account: str, rate: float) -> bool:
        """Take one from the account's bucket, which holds what passes in a fifth of a second."""
        now = time.monotonic()
        most = max(1.0, rate * _BURST_SECONDS)
        left, at = self._buckets.get(account, (most, now))
        left = min(most, left + (now - at) * rate)
        self._buckets[account] = (max(left - 1, 0.0) if left >= 1 else left), now
        return left >= 1

    # The turns.

    def _run(self) -> None:
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._awake)
        self.later(_LOOK_SECONDS, self._look_after)
        while not self._stopping:
            for key, mask in self._selector.select(self._patience()):
                key.data(mask)
            while self._calls:
                self._calls.popleft()()
            self._run_timers()
            self._hand_over()
            for client in list(self._dirty):
                self._flush(client)
        self._leave()

    def _leave(self) -> None:
        self._drop_all()
        self._listening.close()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _patience(self) -> float:
        """Seconds the centre may sleep."""
        now = time.monotonic()
        wait = _LONGEST_SECONDS
        if self._timers:
            wait = min(wait, self._timers[0][0] - now)
        ready = self._ready()
        if ready:
            wait = min(wait, max(self.phones.next_due(ready), self._next_round - now))
        return max(wait, 0.0)

    def _accept(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, address = self._listening.accept()
                number = next(self._numbers)
                line = Line(connection, self._tls)
                client = Client(self, line, number, f"{address[0]}:{address[1]}")
                self._clients[number] = client
                self._selector.register(line.socket, selectors.EVENT_READ, self._serve(client))

    def _serve(self, client: Client) -> Callable[[int], None]:
        def serve(mask: int) -> None:
            if mask & selectors.EVENT_WRITE:
                self.will_flush(client)
            if mask & selectors.EVENT_READ:
                client.receive()

        return serve

    def _flush(self, client: Client) -> None:
        """Write what waits; in pieces with pauses when the behaviour wants that."""
        self._dirty.discard(client)
        if not client.open or client in self._dripping:
            return
        pieces = self.behaviour.pieces
        try:
            client.line.flush(pieces)
        except Ended:
            client.close()
            return
        waits = bool(client.line.outgoing)
        if pieces and waits:
            self._dripping.add(client)
            self.later(self.behaviour.piece_pause, lambda: self._drip(client))
            waits = False
        mask = selectors.EVENT_WRITE if waits else 0
        mask |= 0 if client.line.full else selectors.EVENT_READ
        key = self._selector.get_key(client.line.socket)
        if key.events != mask:
            self._selector.modify(client.line.socket, mask or selectors.EVENT_WRITE, key.data)

    def _drip(self, client: Client) -> None:
        self._dripping.discard(client)
        self._flush(client)

    def _hand_over(self) -> None:
        """Hand over what is due to whoever has room."""
        now = time.monotonic()
        if now < self._next_round:
            return
        ready = self._ready()
        if not ready or self.phones.next_due(ready) > 0:
            return
        self._next_round = now + _ROUND_SECONDS
        for account, clients in ready.items():
            parcels = self.phones.due((account,), sum(client.room for client in clients))
            if self.behaviour.receipt_shuffle:
                self.chance.row("shuffle").shuffle(parcels)
            for parcel in parcels:
                self._choose(clients, parcel).hand_over(parcel)

    def _ready(self) -> dict[str, list[Client]]:
        """Clients with room, by account."""
        found: dict[str, list[Client]] = {}
        for client in self._clients.values():
            if client.room > 0:
                found.setdefault(client.system_id, []).append(client)
        return found

    def _choose(self, clients: list[Client], parcel: Parcel) -> Client:
        """The bind a parcel takes."""
        if len(clients) == 1:
            return clients[0]
        wanted, fitting = self.behaviour.receipt_bind, clients
        if wanted != "any":
            origin = self.origins.pop(parcel.key, 0)
            fitting = [c for c in clients if (c.number == origin) == (wanted == "same")] or clients
        fitting = [client for client in fitting if client.room > 0] or fitting
        self._turn += 1
        return fitting[self._turn % len(fitting)]

    def _look_after(self) -> None:
        now = time.monotonic()
        for client in self.clients():
            client.look_after(now)
        self.later(_LOOK_SECONDS, self._look_after)

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _drop_all(self) -> None:
        for client in self.clients():
            client.close()

    def _awake(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def nudge(self) -> None:
        """Wake the centre: something has changed that it did not see itself."""
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")
