"""What happened to messages off the straight road, written down for those who ask later why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from server import clock
from server.db import Session, insert_rows, take_ids
from server.notify.models import OutboxTransition


class Transition(NamedTuple):
    """One step of a message; `reason` is a stable code such as `throttled`, `detail` plain values."""

    message_id: int
    source: str
    target: str
    reason: str
    gateway_id: int | None = None
    detail: dict[str, Any] | None = None


def record(session: Session, steps: Sequence[Transition]) -> None:
    """Write steps down in the caller's transaction."""
    if not steps:
        return
    now = clock.now()
    ids = take_ids(session, {OutboxTransition: len(steps)})[OutboxTransition]
    insert_rows(
        session,
        OutboxTransition,
        [
            {"id": number, "created_at": now, **step._asdict()}
            for number, step in zip(ids, steps, strict=True)
        ],
    )
