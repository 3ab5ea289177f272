"""What gateways have done today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select

from server import clock
from server.console.queries.since import SLACK, ends, first_id
from server.console.show import midnight, zone
from server.db import Session
from server.notify.models import MessageDay, OutboxSegment
from server.notify.statistics import CHARGED, COST

_S, _D = OutboxSegment, MessageDay
# A day of more segments is not counted anew for everybody who looks.
FEW = 20_000
ERRORS_OF = 200_000


@dataclass(frozen=True)
class Day:
    """Segments of one gateway since midnight: handed over, taken, delivered, refused, and their cost."""

    submitted: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True)
class Today:
    """The day of every gateway; ``counted_at`` says of a large one when it was counted last."""

    days: Mapping[int, Day] = field(default_factory=dict)
    counted_at: datetime | None = None

    def of(self, gateway_id: int) -> Day:
        """The day of one gateway."""
        return self.days.get(gateway_id, Day())


def today(session: Session) -> Today:
    """What each gateway has done since midnight: a small day is counted, of a large one the last count."""
    first = first_id(session, _S.id, _S.submitted_at, midnight()) - SLACK
    if ends(session, _S.id)[1] - first > FEW:
        return _counted(session, clock.now().astimezone(zone()).date())
    since = (_S.id >= first) & (_S.submitted_at >= midnight())
    rows = session.execute(
        select(
            _S.gateway_id,
            func.sum(_S.units),
            _sum(CHARGED),
            _sum(_S.status == "delivered"),
            _sum(_S.status.in_(("failed", "expired"))),
            COST,
        )
        .where(since)
        .group_by(_S.gateway_id)
    )
    return Today({row[0]: _day(row) for row in rows})


def _counted(session: Session, day: date) -> Today:
    rows = session.execute(
        select(
            _D.gateway_id,
            *(func.sum(c) for c in (_D.segments, _D.accepted, _D.delivered, _D.failed, _D.cost)),
        )
        .where(_D.day == day)
        .group_by(_D.gateway_id)
    )
    at = session.scalar(select(func.max(_D.created_at)).where(_D.day == day))
    return Today({row[0]: _day(row) for row in rows}, at)


def _day(row: Any) -> Day:
    _, submitted, accepted, delivered, failed, cost = row
    return Day(int(submitted), int(accepted), int(delivered), int(failed), cost or Decimal(0))


def errors_today(session: Session, gateway_id: int) -> list[Any]:
    """Why segments of a gateway were refused today: (error, how many), the most frequent first.

    Of a day with more than :data:`ERRORS_OF` segments, the newest of them.
    """
    newest = ends(session, _S.id)[1] - ERRORS_OF
    first = max(first_id(session, _S.id, _S.submitted_at, midnight()) - SLACK, newest)
    return list(
        session.execute(
            select(_S.error, func.count().label("n"))
            .where(
                _S.id >= first,
                _S.submitted_at >= midnight(),
                _S.gateway_id == gateway_id,
                _S.error.is_not(None),
            )
            .group_by(_S.error)
            .order_by(func.count().desc())
            .limit(20)
        )
    )


def _sum(condition: Any) -> Any:
    return func.sum(case((condition, _S.units), else_=0))
