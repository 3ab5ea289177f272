"""Time comes from here: aware, UTC. The edge converts to a person's or a team's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_fixed: datetime | None = None
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """Return the present instant, or the one a test has set."""
    return _fixed if _fixed is not None else datetime.now(UTC)


def set(instant: datetime) -> None:  # noqa: A001 - read as clock.set(…), as one sets a clock
    """Stop the clock at an aware instant; for tests only."""
    global _fixed  # noqa: PLW0603 - a process has one clock
    if instant.tzinfo is None:
        raise ValueError("the clock only takes aware instants")
    _fixed = instant.astimezone(UTC)


def reset() -> None:
    """Let the clock run again."""
    global _fixed  # noqa: PLW0603 - a process has one clock
    _fixed = None


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970 of an aware instant, exact."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC instant of milliseconds since 1970.

    Raises:
        OverflowError: when the instant is outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_iso(instant: datetime) -> str:
    """The instant in RFC 3339, UTC, to the millisecond: ``2026-11-21T01:14:03.120Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
