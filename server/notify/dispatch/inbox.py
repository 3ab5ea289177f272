"""Where a gateway's thread leaves its news for the runner, which stores them in batches."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from server.notify.dispatch.results import Answer, Batch
from server.notify.gateways.port import Delivery


@dataclass(frozen=True)
class Changed:
    """The gateway's own state changed."""

    state: str
    detail: str


@dataclass(frozen=True)
class Lost:
    """A submission without an answer; `written` says whether the carrier may have it."""

    token: int
    written: bool


Note = Answer | Lost | Delivery | Changed


@dataclass
class News:
    """What was collected: a batch to store, deliveries to acknowledge after it, the last state said."""

    batch: Batch = field(default_factory=Batch)
    deliveries: list[Delivery] = field(default_factory=list)
    changed: Changed | None = None

    def tokens(self) -> Iterator[int]:
        """The submissions that are no longer in flight."""
        yield from (answer.token for answer in self.batch.answers)
        yield from self.batch.lost
        yield from self.batch.returned


class Inbox:
    """A listener (see `gateways.port`) that only takes notes."""

    def __init__(self) -> None:
        self._notes: queue.SimpleQueue[Note] = queue.SimpleQueue()

    def answered(self, token: int, status: int, message_id: str) -> None:
        """Note an answer."""
        self._notes.put(Answer(token, status, message_id))

    def lost(self, token: int) -> None:
        """Note a submission without an answer."""
        self._notes.put(Lost(token, written=True))

    def returned(self, token: int) -> None:
        """Note a submission that was never written."""
        self._notes.put(Lost(token, written=False))

    def delivered(self, delivery: Delivery) -> None:
        """Note a delivery that waits for its acknowledgement."""
        self._notes.put(delivery)

    def changed(self, state: str, detail: str) -> None:
        """Note the gateway's state."""
        self._notes.put(Changed(state, detail))

    def collect(self, wait: float, most: int) -> list[Note]:
        """Wait up to `wait` seconds for a first note and take what is there, at most `most`."""
        notes: list[Note] = []
        until = time.monotonic() + wait
        while len(notes) < most:
            left = until - time.monotonic()
            try:
                block = not notes and left > 0
                notes.append(self._notes.get(block, left if block else None))
            except queue.Empty:
                break
        return notes
