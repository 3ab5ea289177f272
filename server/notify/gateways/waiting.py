"""What a gateway was given and has not finished: shared by the thread that gives and the one that sends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from server.notify.gateways.port import Listener, Submission


class Waiting:
    """Submissions in their order, a count of those not finished, and whether more are welcome.

    Whoever takes a submission says `landed` when it is answered, lost or returned.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[Submission] = deque()
        self._outstanding = 0
        self._open = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Whether more are welcome."""
        return self._open

    def set_open(self, is_open: bool) -> None:
        """Say whether more are welcome."""
        with self._changed:
            self._open = is_open

    def room(self, most: int) -> int:
        """How many more there may be so that `most` are not finished; none while it is closed."""
        with self._changed:
            return max(0, most - self._outstanding) if self._open else 0

    def add(self, submissions: Sequence[Submission]) -> None:
        """Take submissions, to be sent in this order."""
        with self._changed:
            self._queue.extend(submissions)
            self._outstanding += len(submissions)
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Wait for a first one, so long at most, or until woken."""
        with self._changed:
            if not self._queue:
                self._changed.wait(seconds)

    def take(self, most: int) -> list[Submission]:
        """Up to `most` from the front."""
        with self._changed:
            return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def landed(self, count: int) -> None:
        """So many that were taken are finished."""
        with self._changed:
            self._outstanding -= count

    def give_back(self, listener: Listener) -> None:
        """Return everything that was not taken."""
        left = [one.token for one in self.take(len(self))]
        if left:
            self.landed(len(left))
            listener.returned(left)

    def wake(self) -> None:
        """End a wait for the first one."""
        with self._changed:
            self._changed.notify()
