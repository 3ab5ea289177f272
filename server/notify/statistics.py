"""What was sent and what it cost, by day, gateway, event and network: counted in the table `message_day`.

Days are those of the operator's calendar, and a segment belongs to the day it was submitted. The rows
of a day are counted anew as long as reports still come; they stay when the messages are anonymised,
and a month on a page is a few hundred rows instead of some hundred thousand segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, and_, case, delete, func, or_, select

from server import clock
from server.db import Money, Session, insert_rows
from server.notify.models import MessageDay, OutboxMessage, OutboxSegment
from server.notify.rules.phones import network

_S = OutboxSegment
_M = OutboxMessage
_D = MessageDay

# A segment that was refused for a while keeps its row and may be submitted again this much later.
_RETRIED_WITHIN = timedelta(days=2)
# As many characters of a number as `phones.network` looks at.
_TELLING = 9

# A segment was taken by its carrier: by his answer, or a report proves it.
CHARGED: ColumnElement[bool] = or_(
    _S.status.in_(("accepted", "delivered")), _S.error.like("report.%")
)
# The sum of what segment rows cost: for each segment the price at its submission, nothing untaken.
COST: ColumnElement[Decimal | None] = func.sum(
    case((and_(CHARGED, _S.price.is_not(None)), _S.price * _S.units), else_=0), type_=Money()
)


@dataclass(frozen=True)
class DayCount:
    """One row of a day. `accepted` segments are those the carrier took and charges."""

    day: date
    gateway_id: int
    event: str
    category: str
    carrier: str
    messages: int = 0
    segments: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)

    def plus(self, other: DayCount) -> DayCount:
        """Both together, under the name of the first."""
        return replace(
            self,
            messages=self.messages + other.messages,
            segments=self.segments + other.segments,
            accepted=self.accepted + other.accepted,
            delivered=self.delivered + other.delivered,
            failed=self.failed + other.failed,
            cost=self.cost + other.cost,
        )


def count_day(session: Session, day: date, zone: ZoneInfo) -> list[DayCount]:
    """Count the segments submitted on a day of the operator's calendar."""
    begin, end = bounds(day, zone)
    first = first_since(session, begin - _RETRIED_WITHIN)
    beginning = func.substr(_M.phone, 1, _TELLING)
    statement = (
        select(
            *(_S.gateway_id, _M.event, _M.category),
            beginning.label("beginning"),
            func.length(_M.phone).label("length"),
            _sum(case((and_(_S.part == 1, _S.copy == 0), 1), else_=0)).label("messages"),
            _sum(_S.units).label("segments"),
            _sum(case((CHARGED, _S.units), else_=0)).label("accepted"),
            _sum(case((_S.status == "delivered", _S.units), else_=0)).label("delivered"),
            _sum(case((_S.status.in_(("failed", "expired")), _S.units), else_=0)).label("failed"),
            COST.label("cost"),
        )
        .join(_M, _M.id == _S.message_id)
        .where(_S.id >= first, _S.submitted_at >= begin, _S.submitted_at < end)
        .group_by(_S.gateway_id, _M.event, _M.category, beginning, func.length(_M.phone))
    )
    return _joined(_day_count(day, row) for row in session.execute(statement))


def store_day(session: Session, day: date, counts: Sequence[DayCount]) -> None:
    """Put the rows of a day in the place of those counted before."""
    session.execute(delete(_D).where(_D.day == day))
    now = clock.now()
    insert_rows(session, _D, [{**vars(one), "created_at": now} for one in counts])


def first_since(session: Session, at: datetime) -> int:
    """A segment's id before which none is younger than `at`: found by halving, no index is needed.

    Ids are given a little before rows are committed; that little is far below `_RETRIED_WITHIN`.
    """
    low = 0
    high = int(session.scalar(select(func.max(_S.id))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = session.execute(
            select(_S.id, _S.created_at).where(_S.id >= middle).order_by(_S.id).limit(1)
        ).first()
        if row is None or row.created_at >= at:
            high = middle
        else:
            low = row.id + 1
    return low


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants at which a day of a zone begins and ends."""
    begin = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return begin.astimezone(UTC), end.astimezone(UTC)


def _sum(expression: Any) -> ColumnElement[int]:
    return func.sum(expression, type_=Integer)


def _day_count(day: date, row: Any) -> DayCount:
    # A number of the same beginning and length belongs to the same network.
    carrier = network(str(row.beginning).ljust(row.length, "0"))
    return DayCount(
        *(day, row.gateway_id, row.event, row.category, carrier[:60]),
        *(int(row.messages), int(row.segments), int(row.accepted)),
        *(int(row.delivered), int(row.failed), row.cost or Decimal(0)),
    )


def _joined(counts: Iterable[DayCount]) -> list[DayCount]:
    """One row for each gateway, event, category and network."""
    found: dict[tuple[Any, ...], DayCount] = {}
    for one in counts:
        key = (one.gateway_id, one.event, one.category, one.carrier)
        found[key] = found[key].plus(one) if key in found else one
    return list(found.values())
