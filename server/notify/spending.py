"""What gateways have spent, and the stop of one that has spent its budget.

A stopped gateway takes nothing until its day or month is over: `Gateway.over_until` says so to every
worker, and what waits for it goes to the next choice. The stop is soft by what is on its way in a few
seconds; the budgets of categories (`budgets`) are the hard ones.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select, update

from server.db import Session
from server.notify import setup, statistics
from server.notify.models import Gateway, MessageDay, OutboxSegment
from server.operator import Operator

log = logging.getLogger(__name__)

_G = Gateway
_S = OutboxSegment


def stop_spenders(session: Session, now: datetime) -> list[str]:
    """Stop every gateway whose budget is spent, and let those go on whose time has come; who stopped."""
    limited = session.execute(
        select(_G.id, _G.name, _G.daily_budget, _G.monthly_budget, _G.over_until).where(
            or_(_G.daily_budget.is_not(None), _G.monthly_budget.is_not(None)), _G.enabled
        )
    ).all()
    if not limited:
        return []
    zone = ZoneInfo(session.scalar(select(Operator.time_zone)) or "UTC")
    today = now.astimezone(zone).date()
    spent = Spent(session, [row.id for row in limited], today, zone)
    stopped = []
    for row in limited:
        until = _until(row, spent, today, zone)
        if until != row.over_until:
            session.execute(update(_G).where(_G.id == row.id).values(over_until=until))
            setup.changed(session)
        if until is not None and (row.over_until is None or row.over_until <= now):
            log.error("gateway %s has spent its budget: nothing leaves before %s", row.name, until)
            stopped.append(row.name)
    return stopped


class Spent:
    """What gateways spent today and in the month so far, read with two statements."""

    def __init__(
        self, session: Session, gateway_ids: Collection[int], today: date, zone: ZoneInfo
    ) -> None:
        self._today = _today(session, gateway_ids, today, zone)
        self._before = _before(session, gateway_ids, today)

    def day(self, gateway_id: int) -> Decimal:
        """What the carrier charges for today's segments."""
        return self._today.get(gateway_id, Decimal(0))

    def month(self, gateway_id: int) -> Decimal:
        """What the carrier charges for this month's segments, today's included."""
        return self.day(gateway_id) + self._before.get(gateway_id, Decimal(0))


def _until(row: Any, spent: Spent, today: date, zone: ZoneInfo) -> datetime | None:
    if row.monthly_budget is not None and spent.month(row.id) >= row.monthly_budget:
        after = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
        return statistics.bounds(after, zone)[0]
    if row.daily_budget is not None and spent.day(row.id) >= row.daily_budget:
        return statistics.bounds(today, zone)[1]
    return None


def _today(
    session: Session, gateway_ids: Collection[int], today: date, zone: ZoneInfo
) -> Mapping[int, Decimal]:
    begin, _ = statistics.bounds(today, zone)
    first = statistics.first_since(session, begin - timedelta(days=2))
    rows = session.execute(
        select(_S.gateway_id, statistics.COST)
        .where(_S.id >= first, _S.submitted_at >= begin, _S.gateway_id.in_(gateway_ids))
        .group_by(_S.gateway_id)
    )
    return {row[0]: row[1] or Decimal(0) for row in rows}


def _before(session: Session, gateway_ids: Collection[int], today: date) -> Mapping[int, Decimal]:
    """The month's days before today, as they were counted."""
    d = MessageDay
    rows = session.execute(
        select(d.gateway_id, func.sum(d.cost))
        .where(d.day >= today.replace(day=1), d.day < today, d.gateway_id.in_(gateway_ids))
        .group_by(d.gateway_id)
    )
    return {row[0]: row[1] for row in rows}
