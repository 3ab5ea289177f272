"""Does a carrier let us in? Opens a gateway as a worker would, sends nothing, and listens."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from server.notify.dispatch.specify import specify
from server.notify.gateways.port import Delivery
from server.notify.models import Gateway

Tell = Callable[[float, str, str], None]

_GOOD = ("bound", "up")
_ENDED = ("refused", "waiting", "stopped")


class _Notes:
    """A listener that keeps what the gateway says of its own state."""

    def __init__(self) -> None:
        self.said: queue.Queue[tuple[float, str, str]] = queue.Queue()

    def answered(self, answers: Sequence[tuple[int, int, str]]) -> None:
        """Nothing was submitted."""

    def lost(self, tokens: Sequence[int], *, cut: bool) -> None:
        """Nothing was submitted."""

    def returned(self, tokens: Sequence[int]) -> None:
        """Nothing was submitted."""

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """A delivery is not acknowledged here, so that the carrier brings it to a worker again."""

    def changed(self, state: str, detail: str) -> None:
        """Keep it with its time."""
        self.said.put((time.monotonic(), state, detail))


def probe(row: Gateway, seconds: float, tell: Tell) -> bool:
    """Open the gateway of `row`, `tell(seconds since the start, state, detail)` each step, and close it.

    Whether it was let in before `seconds` were over or the carrier refused. Raises Invalid
    `notify.bad_gateway`.
    """
    notes = _Notes()
    port = specify(row)[0].open(notes)
    begun = time.monotonic()
    port.start()
    bound = False
    try:
        while (left := begun + seconds - time.monotonic()) > 0 and not bound:
            try:
                at, state, detail = notes.said.get(timeout=left)
            except queue.Empty:
                break
            tell(at - begun, state, detail)
            bound = state in _GOOD
            if state in _ENDED:
                return False
    finally:
        port.stop()
    while not notes.said.empty():
        at, state, detail = notes.said.get()
        tell(at - begun, state, detail)
    return bound
