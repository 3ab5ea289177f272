"""Where a gateway's thread leaves its news for the runner, which stores them in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.notify.dispatch.results import Batch
from server.notify.gateways.port import Answer, Delivery

LULL_SECONDS = 0.0003


@dataclass
class News:
    """What was collected: a batch to store, deliveries to acknowledge after it, the last state said."""

    batch: Batch = field(default_factory=Batch)
    deliveries: list[Delivery] = field(default_factory=list)
    changed: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.batch or self.deliveries or self.changed)

    def landed(self) -> set[int]:
        """The submissions that are no longer in flight."""
        batch = self.batch
        landed = {token for token, _, _ in batch.answers}
        landed.update(batch.lost, batch.cut, batch.returned)
        return landed

    def take_up(self, later: News) -> None:
        """Add what came later."""
        mine, other = self.batch, later.batch
        mine.answers += other.answers
        mine.lost += other.lost
        mine.cut += other.cut
        mine.returned += other.returned
        mine.receipts += other.receipts
        self.deliveries += later.deliveries
        self.changed = later.changed or self.changed


class Inbox:
    """A listener (see `gateways.port`) that only takes notes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._news = News()
        self._count = 0
        self._enough = 1
        self._texts = False  # whether a person's text is among the notes

    def answered(self, answers: Sequence[Answer]) -> None:
        """Note answers."""
        with self._changed:
            self._news.batch.answers += answers
            self._note(len(answers))

    def lost(self, tokens: Sequence[int], *, cut: bool) -> None:
        """Note submissions without an answer."""
        with self._changed:
            batch = self._news.batch
            (batch.cut if cut else batch.lost).extend(tokens)
            self._note(len(tokens))

    def returned(self, tokens: Sequence[int]) -> None:
        """Note submissions that were never written."""
        with self._changed:
            self._news.batch.returned += tokens
            self._note(len(tokens))

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Note deliveries that wait for their acknowledgement."""
        with self._changed:
            self._news.deliveries += deliveries
            self._texts = self._texts or any(one.inbound is not None for one in deliveries)
            self._note(len(deliveries))

    def changed(self, state: str, detail: str) -> None:
        """Note the gateway's state."""
        with self._changed:
            self._news.changed = (state, detail)
            self._note(1)

    def _note(self, count: int) -> None:
        before = self._count
        self._count += count
        # Waking the runner for every note would only make the two threads stand in each other's way.
        if not before or before < self._enough <= self._count:
            self._changed.notify()

    def collect(self, wait: float, enough: int, gather: float) -> News:
        """Wait up to `wait` seconds for a first note, and `gather` more for `enough`; take all there is.

        A carrier whose window is full of people's texts sends nothing more until they are acknowledged:
        with texts among the notes, a lull ends the gathering.
        """
        with self._changed:
            self._enough = enough
            if not self._count:
                self._changed.wait(wait)
            until = time.monotonic() + gather
            while 0 < self._count < enough:
                seen, left = self._count, until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, LULL_SECONDS) if self._texts else left)
                if self._texts and self._count == seen:
                    break
            news, self._news, self._count, self._texts = self._news, News(), 0, False
        for delivery in news.deliveries:
            if delivery.receipt is not None:
                news.batch.receipts.append(delivery.receipt)
        return news
