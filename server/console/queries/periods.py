"""Which month is being read."""

from __future__ import annotations

from sqlalchemy import select

from server import clock
from server.console.show import zone
from server.db import Session
from server.metering.models import ReadOrder
from server.rounds.models import Route


def current(session: Session) -> str:
    """This month when it has read orders, else the last month that has, as ``YYYY-MM``."""
    this = f"{clock.now().astimezone(zone()):%Y-%m}"
    order = select(ReadOrder.id).where(ReadOrder.route_id == Route.id, ReadOrder.period == this)
    if session.execute(select(Route.id).where(order.exists()).limit(1)).first():
        return this
    newest = select(ReadOrder.period).where(ReadOrder.reason == "01").order_by(ReadOrder.id.desc())
    return session.execute(newest.limit(1)).scalar() or this
