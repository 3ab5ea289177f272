"""What handhelds send, made before the clock runs, and the connections that send it."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from benchmarks.plant import Handheld, Target
from server import clock


@dataclass(frozen=True, slots=True)
class Push:
    """One push as it travels: the token it is sent with, the gzipped body, how many items."""

    token: str
    body: bytes
    items: int


@dataclass(frozen=True)
class Sent:
    """What happened to pushes: seconds each took, readings settled, wall time of all."""

    seconds: Sequence[float]
    settled: int
    wall: float


class NotSettled(Exception):
    """A push was not answered as it must be, so that there is nothing to measure."""


def pushes(handheld: Handheld, size: int, seed: int) -> list[Push]:
    """The walk of a handheld as pushes of ``size`` readings, numbered from 1."""
    return [
        _push(handheld.token, handheld.targets[start : start + size], start + 1, seed)
        for start in range(0, len(handheld.targets), size)
    ]


def _push(token: str, targets: Sequence[Target], first_seq: int, seed: int) -> Push:
    items = [_item(target, first_seq + i, seed) for i, target in enumerate(targets)]
    body = {
        "batch": str(uuid.uuid4()),
        "sent_at": clock.to_iso(clock.now()),
        "boot": "benchmark",
        "uptime_ms": 36_000_000,
        "protocol": 1,
        "items": items,
        "health": {"unsent": 0, "battery": 71, "persisted": True, "free_mb": 812},
    }
    return Push(token, gzip.compress(orjson.dumps(body), 6), len(items))


def _item(target: Target, seq: int, seed: int) -> dict[str, object]:
    at = target.read_at.isoformat()
    return {
        "id": str(uuid.UUID(int=(seed << 64) + target.order_id, version=4)),
        "seq": seq,
        "type": "meter_reading.v1",
        "captured_at": at,
        "uptime_ms": 1000 * seq,
        "gps": {
            "lat": target.lat_e7 / 1e7 + 0.00005,
            "lon": target.lon_e7 / 1e7,
            "accuracy_m": 6.0,
            "fix_at": at,
            "provider": "gnss",
            "mock": False,
            "crs": "wgs84",
        },
        "data": {
            "read_order": target.order_id,
            "service_point": target.service_point_id,
            "meter_serial": target.serial,
            "reason": "01",
            "registers": [{"kind": "total", "value": str(target.value)}],
        },
    }


def send(port: int, queue: Sequence[Push], connections: int, limit: float | None = None) -> Sent:
    """Send pushes over several connections at once, a new connection for each push.

    Args:
        limit: seconds after which no further push is begun.

    Raises:
        NotSettled: when an answer is not 200 or a verdict is not ``applied``.
    """
    sender = _Sender(port, queue, limit)
    threads = [threading.Thread(target=sender.run) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    if sender.problem is not None:
        raise NotSettled(sender.problem)
    return Sent(sender.seconds, sender.settled, wall)


class _Sender:
    """The connections share one queue; each takes the next push when its last is answered."""

    def __init__(self, port: int, queue: Sequence[Push], limit: float | None) -> None:
        self.port = port
        self.queue = deque(queue)
        self.end = time.perf_counter() + limit if limit is not None else float("inf")
        self.seconds: list[float] = []
        self.settled = 0
        self.problem: str | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Send until the queue is empty, time is over or something is wrong."""
        while self.problem is None and time.perf_counter() < self.end:
            try:
                push = self.queue.popleft()
            except IndexError:
                return
            began = time.perf_counter()
            try:
                status, answer = self._post(push)
            except OSError as error:
                self.problem = f"a push failed: {error!r}"
                return
            took = time.perf_counter() - began
            # A device parses its answer too; here only what proves the verdicts is looked at.
            settled = answer.count(b'"verdict":"applied"') if status == 200 else 0
            if settled != push.items:
                self.problem = (
                    f"status {status}, {settled} of {push.items} settled: {answer[:600]!r}"
                )
                return
            with self._lock:
                self.seconds.append(took)
                self.settled += settled

    def _post(self, push: Push) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {
            "Authorization": f"Bearer {push.token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Accept-Encoding": "gzip",
            "Connection": "close",
        }
        try:
            connection.request("POST", "/device/v1/push", push.body, headers)
            response = connection.getresponse()
            body = response.read()
            if response.getheader("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            return response.status, body
        finally:
            connection.close()
