"""The demo's read orders: the month's round, and control reads when that is done."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select

from server.db import Session
from server.metering.models import ReadOrder
from server.metering.service import open_orders
from server.rounds.models import Route

REASONS = ("01", "10")
"""Periodic once a month, control reads (which are not billed) as often as all is done."""


def open_next(session: Session, today: date) -> int:
    """Open the next round when no order is open any more; return how many orders it has."""
    waiting = session.execute(
        select(func.count()).select_from(ReadOrder).where(ReadOrder.status == "open")
    ).scalar_one()
    if waiting:
        return 0
    routes = list(session.execute(select(Route.id)).scalars())
    for reason in REASONS:
        opened = open_orders(session, routes, f"{today:%Y-%m}", today, reason)
        if opened:
            return opened
    return 0
