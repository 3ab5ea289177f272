"""Shifts as spans of time: what was recorded outside of every one of them nobody may see."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

LATEST_MS = 4_102_444_800_000
"""2100: what a broken clock says beyond covers nothing, and no point is later."""
OPEN_SHIFT_MS = 24 * 3_600_000
"""A shift without an end covers at most a day: who forgets to end it is not followed for weeks."""


class Span(NamedTuple):
    """From and to, both included, in milliseconds since 1970."""

    from_ms: int
    to_ms: int


def span(started_ms: int | None, ended_ms: int | None) -> Span | None:
    """The time a shift covers; none before its start is known or when it ends before it starts."""
    if started_ms is None or not 0 <= started_ms < LATEST_MS:
        return None
    end = min(started_ms + OPEN_SHIFT_MS if ended_ms is None else ended_ms, LATEST_MS)
    return Span(started_ms, end) if end >= started_ms else None


def union(spans: Iterable[Span | None]) -> list[Span]:
    """The spans in order, those that touch made one."""
    merged: list[Span] = []
    for one in sorted(s for s in spans if s is not None):
        if merged and one.from_ms <= merged[-1].to_ms + 1:
            merged[-1] = Span(merged[-1].from_ms, max(merged[-1].to_ms, one.to_ms))
        else:
            merged.append(one)
    return merged


def covered(spans: list[Span], at_ms: int) -> bool:
    """Tell whether an instant lies in one of the spans of :func:`union`."""
    i = bisect_right(spans, at_ms, key=lambda s: s.from_ms) - 1
    return i >= 0 and at_ms <= spans[i].to_ms


def minus(whole: Span, cut: list[Span]) -> list[Span]:
    """What remains of a span outside of the spans of :func:`union`."""
    left, start = [], whole.from_ms
    for one in cut:
        if one.to_ms < start or one.from_ms > whole.to_ms:
            continue
        if one.from_ms > start:
            left.append(Span(start, one.from_ms - 1))
        start = one.to_ms + 1
    if start <= whole.to_ms:
        left.append(Span(start, whole.to_ms))
    return left
