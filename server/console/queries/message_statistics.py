"""What was sent, by day, gateway, notice, category or carrier, with what it cost."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import func, select

from server.db import Session
from server.notify.models import Gateway, MessageDay

_D = MessageDay
GROUPS: dict[str, Any] = {
    "day": _D.day,
    "gateway": Gateway.name,
    "event": _D.event,
    "category": _D.category,
    "carrier": _D.carrier,
}
FIGURES = ("messages", "segments", "accepted", "delivered", "failed", "cost")
MOST = 1000


def figures(session: Session, by: str, begin: date, end: date) -> list[Any]:
    """The sums of a time for each value of a group, days newest first, others by their size."""
    group = GROUPS[by]
    sums = [func.sum(getattr(_D, name)).label(name) for name in FIGURES]
    return list(
        session.execute(
            select(group.label("group"), *sums)
            .select_from(_D)
            .join(Gateway, Gateway.id == _D.gateway_id)
            .where(_D.day >= begin, _D.day <= end)
            .group_by(group)
            .order_by(group.desc() if by == "day" else sums[1].desc(), group)
            .limit(MOST)
        )
    )


def course(session: Session, begin: date, end: date) -> list[tuple[date, int]]:
    """Segments of each day, oldest first."""
    rows = session.execute(
        select(_D.day, func.sum(_D.segments))
        .where(_D.day >= begin, _D.day <= end)
        .group_by(_D.day)
        .order_by(_D.day)
    )
    return [(day, int(n)) for day, n in rows]
