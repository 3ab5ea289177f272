"""How fast a bind may send: a token bucket in segments, and what a carrier's throttling makes of it."""

from __future__ import annotations

from collections import deque

_BURST_SECONDS = 0.05
_LEARNING_SECONDS = 1.0
# A little slower at each throttling; slowly up again in between, and fast while the limit is not
# known well (it was met once only, or not for a while).
_SLOWER, _SLOWLY_UP, _FAST_UP, _AFTER_SECONDS = 0.93, 1.02, 1.5, 10.0
_LEAST = 10.0


class Pace:
    """The rate of one bind in segments a second; `rate` None knows no limit of ours.

    A carrier that throttles shows what it takes: the bind goes on a little below what was accepted in
    the last second, and feels its way up again. `first` and `most` bound the pause that each
    throttling begins with.
    """

    def __init__(self, rate: float | None, first: float, most: float, now: float) -> None:
        self._limit = rate
        self._learnt: float | None = None
        self._met = 0
        self._first, self._most = first, most
        self._pause = 0.0
        self._until = now
        self._raised = self._throttled = now
        self._tokens = 1.0
        self._at = now
        self._accepted: deque[tuple[float, int]] = deque()

    @property
    def rate(self) -> float | None:
        """Segments a second at present, or None."""
        rates = [rate for rate in (self._limit, self._learnt) if rate is not None]
        return min(rates) if rates else None

    def set_limit(self, rate: float | None) -> None:
        """Take over another share of the account's rate."""
        self._limit = rate

    def paused(self, now: float) -> bool:
        """Whether the carrier's request to wait still holds."""
        return now < self._until

    def allowance(self, now: float, wanted: int) -> int:
        """How many of `wanted` segments may leave now."""
        if self.paused(now):
            return 0
        self._feel_the_way_up(now)
        rate = self.rate
        if rate is None:
            return wanted
        burst = 1.0 + rate * _BURST_SECONDS
        self._tokens = min(self._tokens + (now - self._at) * rate, burst)
        self._at = now
        return min(wanted, int(self._tokens))

    def spend(self, segments: int) -> None:
        """So many segments have left."""
        self._tokens -= segments

    def wait(self, now: float) -> float:
        """Seconds until a segment may leave."""
        rate = self.rate
        missing = 0.0 if rate is None else max(0.0, 1.0 - self._tokens) / rate
        return max(self._until - now, missing, 0.0)

    def accepted(self, now: float, segments: int) -> None:
        """The carrier took so many segments."""
        self._pause = 0.0
        self._accepted.append((now, segments))
        while self._accepted[0][0] < now - _LEARNING_SECONDS:
            self._accepted.popleft()

    def throttled(self, now: float) -> float | None:
        """The carrier asked for a slower pace; the seconds of the pause, or None when it holds already."""
        if self.paused(now):
            return None  # the rest of the same window; one refusal is one reason to slow down
        if self._learnt is None:
            taken = sum(n for at, n in self._accepted if at >= now - _LEARNING_SECONDS)
            self._learnt = float(min(taken, self._limit or taken))
            self._met = 0
        self._met += 1
        self._learnt = max(_LEAST, self._learnt * _SLOWER)
        self._raised = self._throttled = now
        self._pause = min(max(self._pause * 2, self._first), self._most)
        self._until = now + self._pause
        self._tokens, self._at = 1.0, self._until
        return self._pause

    def _feel_the_way_up(self, now: float) -> None:
        if self._learnt is None or now - self._raised < _LEARNING_SECONDS:
            return
        self._raised = now
        quiet = self._met < 2 or now - self._throttled > _AFTER_SECONDS
        self._learnt = self._learnt * (_FAST_UP if quiet else _SLOWLY_UP)
        taken = sum(n for at, n in self._accepted if at >= now - _LEARNING_SECONDS)
        if self._learnt > 4 * (taken + 25):
            self._learnt = None  # nobody has asked for a slower pace for long
