"""Carries out the kills of the server's programs: in the link, in the SMS centre, and at the day's end."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from device_sim.faults import FaultProxy
from device_sim.smsc.phones import Phones
from device_sim.smsc.wire import Submitted
from device_sim.torture.barrier import Barrier
from device_sim.torture.plan import Day, Kill
from device_sim.torture.system import System, SystemFault

IN_FLIGHT_S = 0.05
WORKER_ANY_S = 1.0
WORKER_LIVES_S = 10.0


class Queue:
    """The kills of one kind that are still to come; the first is armed and counts what passes."""

    def __init__(self) -> None:
        self._kills: deque[Kill] = deque()
        self._passed = 0
        self._lock = threading.Lock()

    def add(self, kills: Sequence[Kill]) -> None:
        """Append the kills of a day."""
        with self._lock:
            self._kills.extend(kills)

    def passes(self, *points: str) -> Kill | None:
        """Something passed that may be killed at these points (any when none is named)."""
        with self._lock:
            if not self._kills or (points and self._kills[0].point not in points):
                return None
            self._passed += 1
            if self._passed < self._kills[0].nth:
                return None
            self._passed = 0
            return self._kills.popleft()

    def __len__(self) -> int:
        return len(self._kills)


class Chaos:
    """The killer of web processes and worker, and the keeper of what was done.

    One kill at a time: the next is armed when the program is back.
    """

    def __init__(self, system: System, barrier: Barrier, seed: int) -> None:
        self.system = system
        self.done: Counter[str] = Counter()
        self.server = Queue()
        self.worker = Queue()
        self.failures: list[str] = []
        self._barrier = barrier
        self._rng = random.Random(f"chaos:{seed}")
        self._worker_since = 0.0
        self._web_busy = threading.Lock()
        self._worker_busy = threading.Lock()

    def arm(self, day: Day) -> None:
        """Add the kills of a day."""
        self.server.add(day.server_kills)
        self.worker.add(day.worker_kills)

    @property
    def left(self) -> int:
        """How many kills have not struck yet."""
        return len(self.server) + len(self.worker)

    def rest(self, end: float) -> None:
        """Strike what is left of the worker's kills, and wait until everything runs again.

        ``end`` is when to stop waiting, by the monotonic clock.
        """
        while time.monotonic() < end:
            struck = self.kill_worker_now()
            busy = self._web_busy.locked() or self._worker_busy.locked()
            if not (struck or busy or len(self.worker)):
                return
            time.sleep(0.1)

    # The web processes, killed from inside the link.

    def push_passes(self) -> Kill | None:
        """A push is about to be forwarded: the kill that takes it, if its turn has come.

        Who gets a kill owns the web processes until :meth:`web_again`.
        """
        if not self._web_busy.acquire(blocking=False):
            return None
        kill = self.server.passes()
        if kill is None:
            self._web_busy.release()
        return kill

    def before_commit(self, request: bytes) -> None:
        """Send a request and kill the server while it cannot commit."""
        held = self._barrier.hold()
        try:
            with socket.create_connection(("127.0.0.1", self.system.port), timeout=10) as upstream:
                upstream.sendall(request)
                if held:
                    self._barrier.wait()
                self.system.kill_web()
        finally:
            self._barrier.release()

    def in_flight(self, request: bytes, *, one: bool) -> None:
        """Send a request and kill the server, or one of its processes, a moment later."""
        with socket.create_connection(("127.0.0.1", self.system.port), timeout=10) as upstream:
            upstream.sendall(request)
            time.sleep(self._rng.uniform(0, IN_FLIGHT_S))
            if one:
                self.system.kill_one_web_worker(self._rng.choice)
            else:
                self.system.kill_web()

    def web_again(self, kill: Kill) -> None:
        """Count the kill and start the web processes in a thread of its own."""
        self.done[kill.point] += 1
        threading.Thread(target=self._restart_web, daemon=True).start()

    def _restart_web(self) -> None:
        try:
            if self.system.web is None or self.system.web.poll() is not None:
                self.system.start_web()
        except SystemFault as fault:
            self.failures.append(str(fault))
        finally:
            self._web_busy.release()

    # The worker, killed from inside the SMS centre.

    def segment_passes(self, point: str) -> bool:
        """A text is being handed over; True when the worker was killed at this point."""
        if not self._worker_busy.acquire(blocking=False):
            return False
        kill = self.worker.passes(point, "worker.any")
        if kill is None:
            self._worker_busy.release()
            return False
        if kill.point == "worker.any":
            delay = self._rng.uniform(0, WORKER_ANY_S)
            threading.Timer(delay, self._kill_worker, (kill,)).start()
            return False
        self._kill_worker(kill)
        return True

    def kill_worker_now(self) -> bool:
        """Kill the worker wherever it stands, when a kill is left; for the end of a day.

        It is left alone for a while first: one that has just started has nothing to lose.
        """
        if time.monotonic() - self._worker_since < WORKER_LIVES_S:
            return False
        if not self._worker_busy.acquire(blocking=False):
            return False
        kill = self.worker.passes()
        if kill is None:
            self._worker_busy.release()
            return False
        self._kill_worker(replace(kill, point="worker.any"))
        return True

    def _kill_worker(self, kill: Kill) -> None:
        """Kill and start again; the caller has taken ``_worker_busy``."""
        self.system.kill_worker()
        self.done[kill.point] += 1
        threading.Thread(target=self._restart_worker, daemon=True).start()

    def _restart_worker(self) -> None:
        try:
            self.system.start_worker()
            self._worker_since = time.monotonic()
        finally:
            self._worker_busy.release()


class KillingLink(FaultProxy):
    """The bad link of one handheld, through which pushes may take the server down."""

    def __init__(self, chaos: Chaos, rates: Mapping[str, float], seed: str) -> None:
        super().__init__(
            "127.0.0.1", chaos.system.port, rates=rates, seed=seed, only="/device/", delay_s=0.05
        )
        self._chaos = chaos
        self.calm = False

    def _choose(self, head: bytes) -> str:
        if self.calm:
            return "pass"
        return super()._choose(head)

    def _apply(self, fault: str, client: socket.socket, head: bytes, body: bytes) -> None:
        is_push = b"/push" in head.split(b"\r\n", 1)[0]
        kill = self._chaos.push_passes() if is_push and not self.calm else None
        if kill is None:
            super()._apply(fault, client, head, body)
            return
        try:
            with suppress(OSError):
                self._strike(kill, head, body)
        finally:
            self._chaos.web_again(kill)
        raise ConnectionResetError("the server was killed")

    def _strike(self, kill: Kill, head: bytes, body: bytes) -> None:
        if kill.point == "server.before_commit":
            self._chaos.before_commit(head + body)
        elif kill.point == "server.after_commit":
            # The answer is here, so the commit is done; the client never gets it.
            self._forward(head, body)
            self._chaos.system.kill_web()
        else:
            self._chaos.in_flight(head + body, one=kill.point.startswith("web_worker"))


class KillingPhones(Phones):
    """Phones of an SMS centre in which the worker dies while it hands over a text."""

    chaos: Chaos | None = None

    def accept(self, submitted: Submitted, system_id: str, report: tuple[str, float] | None) -> str:
        """Take a segment; the worker may die before it is taken, or before it hears of it.

        Raises:
            ConnectionResetError: when the worker was killed.
        """
        if self.chaos and self.chaos.segment_passes("worker.before_take"):
            raise ConnectionResetError("the worker was killed before its text was taken")
        message_id = super().accept(submitted, system_id, report)
        if self.chaos and self.chaos.segment_passes("worker.after_take"):
            raise ConnectionResetError("the worker was killed before it heard of its text")
        return message_id
