"""What gateways have done today."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select

from server.console.queries.since import rows_since
from server.console.show import midnight
from server.db import Session
from server.notify.models import OutboxSegment
from server.notify.statistics import CHARGED, COST

_S = OutboxSegment


@dataclass(frozen=True)
class Day:
    """Segments of one gateway since midnight: handed over, taken, delivered, refused, and their cost."""

    submitted: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)


def today(session: Session) -> dict[int, Day]:
    """What each gateway has done since midnight."""
    since = rows_since(session, _S.id, _S.submitted_at, midnight())
    counted = select(
        _S.gateway_id,
        func.count().label("submitted"),
        _sum(CHARGED).label("accepted"),
        _sum(_S.status == "delivered").label("delivered"),
        _sum(_S.status.in_(("failed", "expired"))).label("failed"),
    )
    rows = session.execute(counted.where(since).group_by(_S.gateway_id))
    costs = session.execute(
        select(_S.gateway_id, COST).where(since, CHARGED).group_by(_S.gateway_id)
    )
    spent = {number: amount for number, amount in costs if amount is not None}
    return {
        row.gateway_id: Day(
            *(row.submitted, row.accepted, row.delivered, row.failed),
            spent.get(row.gateway_id, Decimal(0)),
        )
        for row in rows
    }


def errors_today(session: Session, gateway_id: int) -> list[Any]:
    """Why segments of a gateway were refused today: (error, how many), the most frequent first."""
    since = rows_since(session, _S.id, _S.submitted_at, midnight())
    return list(
        session.execute(
            select(_S.error, func.count().label("n"))
            .where(since, _S.gateway_id == gateway_id, _S.error.is_not(None))
            .group_by(_S.error)
            .order_by(func.count().desc())
            .limit(20)
        )
    )


def _sum(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))
