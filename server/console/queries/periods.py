"""Which month is being read."""

from __future__ import annotations

from sqlalchemy import exists, func, select

from server import clock
from server.console.show import zone
from server.db import Session
from server.metering.models import ReadOrder


def current(session: Session) -> str:
    """This month when it has read orders, else the last month that has, as ``YYYY-MM``."""
    this = f"{clock.now().astimezone(zone()):%Y-%m}"
    if session.execute(select(exists().where(ReadOrder.period == this))).scalar():
        return this
    return session.execute(select(func.max(ReadOrder.period))).scalar() or this
