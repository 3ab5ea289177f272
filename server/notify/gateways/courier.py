"""Gateways that carry whole texts in one blocking errand each: a thread, a queue, and pauses after trouble."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from server.notify.gateways.port import Answer, Delivery, Listener, Submission
from server.notify.gateways.waiting import Waiting

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5


@dataclass
class Errand:
    """What became of a batch: each token is in exactly one of `answers`, `lost` and `returned`.

    `trouble` says why the other side could not be reached; `pause` that it asked for a slower pace, in
    seconds; `refused` that it refuses us until a person has changed something.
    """

    answers: list[Answer] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    cut: bool = False
    trouble: str = ""
    pause: float = 0.0
    refused: str = ""

    def with_(self, other: Errand) -> Errand:
        """Both errands as one."""
        return Errand(
            self.answers + other.answers,
            self.lost + other.lost,
            self.returned + other.returned,
            self.cut or other.cut,
            self.trouble or other.trouble,
            max(self.pause, other.pause),
            self.refused or other.refused,
        )


class Courier(Protocol):
    """Carries texts to the other side; `batch` is how many at a time."""

    batch: int

    def greet(self) -> Errand:
        """See whether the other side is there and lets us in; carries nothing."""

    def carry(self, batch: Sequence[Submission]) -> Errand:
        """Hand a batch over; blocks, and never raises for what the other side does."""

    def rest(self) -> None:
        """Nothing to carry for a while: a connection may be closed."""


@dataclass(frozen=True)
class Pauses:
    """Seconds between errands after trouble, growing from `first` to `most`, and when `refused`."""

    first: float
    most: float
    refused: float
    stop: float


class CourierGateway:
    """A gateway (see `port.Port`) whose work a courier does."""

    def __init__(self, name: str, courier: Courier, pauses: Pauses, listener: Listener) -> None:
        self.name = name
        self.most = 2 * courier.batch
        self._courier = courier
        self._pauses = pauses
        self._listener = listener
        self._waiting = Waiting()
        self._failures = 0
        self._said = ("", "")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{name}", daemon=True)

    def start(self) -> None:
        """Begin with a greeting; texts are taken once it was answered."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the errand under way and give the rest back."""
        self._stopping.set()
        self._waiting.wake()
        self._thread.join(self._pauses.stop)
        self._say("stopped", "")

    def room(self) -> int:
        """One batch: what is given up for sending and not carried is unknown after a crash."""
        return self._waiting.room(self._courier.batch)

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Take texts, to be carried in this order."""
        self._waiting.add(submissions)

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """Nothing comes in this way."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._waiting.is_open:
                self._greet()
                continue
            self._waiting.wait(_IDLE_SECONDS)
            batch = [] if self._stopping.is_set() else self._waiting.take(self._courier.batch)
            if batch:
                self._tell(self._done(partial(self._courier.carry, batch), batch), len(batch))
            else:
                self._courier.rest()
        self._waiting.give_back(self._listener)
        self._courier.rest()

    def _greet(self) -> None:
        answer = self._done(self._courier.greet, [])
        if answer.trouble or answer.refused:
            self._tell(answer, 0)
            return
        self._waiting.set_open(True)
        self._say("bound", "")

    def _done(self, errand: Callable[[], Errand], batch: Sequence[Submission]) -> Errand:
        try:
            return errand()
        except Exception as problem:  # a gateway that died would leave its texts lying for ever
            log.exception("gateway %s: an errand failed", self.name)
            return Errand(lost=[one.token for one in batch], trouble=type(problem).__name__)

    def _tell(self, errand: Errand, count: int) -> None:
        self._waiting.landed(count)
        if errand.trouble or errand.refused or errand.pause:
            self._waiting.set_open(False)
        if errand.answers:
            self._listener.answered(errand.answers)
        if errand.lost:
            self._listener.lost(errand.lost, cut=errand.cut)
        if errand.returned:
            self._listener.returned(errand.returned)
        if errand.trouble or count:
            self._failures = self._failures + 1 if errand.trouble else 0
        if not self._waiting.is_open:
            self._wait(errand)

    def _wait(self, errand: Errand) -> None:
        """Keep still for as long as the other side wants, or as trouble makes wise; then try again."""
        self._waiting.give_back(self._listener)
        if errand.refused:
            seconds = self._pauses.refused
            self._say("refused", f"{errand.refused}; next try in {seconds:.0f} s")
        elif errand.pause:
            seconds = min(errand.pause, 3600.0)
            self._say("paused", f"the other side asked for a slower pace ({seconds:g} s)")
        else:
            seconds = min(
                self._pauses.first * 2 ** min(self._failures - 1, 20), self._pauses.most
            ) * random.uniform(0.5, 1.0)  # noqa: S311  # spreads tries; no secret
            self._say("waiting", f"{errand.trouble}; next try in {seconds:.1f} s")
        self._stopping.wait(seconds)

    def _say(self, state: str, detail: str) -> None:
        if (state, detail) == self._said:
            return
        self._said = (state, detail)
        level = logging.WARNING if state in ("waiting", "refused", "paused") else logging.INFO
        log.log(level, "gateway %s: %s %s", self.name, state, detail)
        self._listener.changed(state, detail)
