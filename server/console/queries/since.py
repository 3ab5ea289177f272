"""Rows since an instant in tables whose ids grow with time, without an index on the time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from server.db import Session

SLACK = 1000
"""Rows that may have got their id earlier than their time: transactions run side by side."""


def rows_since(
    session: Session,
    key: InstrumentedAttribute[int],
    written: InstrumentedAttribute[datetime],
    instant: datetime,
) -> ColumnElement[bool]:
    """Condition for the rows written at or after an instant; finds their first id by halving."""
    low = _first_id(session, key, written, instant)
    return (key >= low - SLACK) & (written >= instant)


def rows_before(
    session: Session,
    key: InstrumentedAttribute[int],
    written: InstrumentedAttribute[datetime],
    instant: datetime,
) -> ColumnElement[bool]:
    """Condition for the rows written before an instant."""
    low = _first_id(session, key, written, instant)
    return (key < low + SLACK) & (written < instant)


def _first_id(
    session: Session,
    key: InstrumentedAttribute[int],
    written: InstrumentedAttribute[datetime],
    instant: datetime,
) -> int:
    ends: Any = session.execute(select(func.min(key), func.max(key))).one()
    low: int = ends[0] or 0
    high: int = (ends[1] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row: Any = session.execute(
            select(key, written).where(key >= middle).order_by(key).limit(1)
        ).first()
        if row is None or row[1] >= instant:
            high = middle
        else:
            low = row[0] + 1
    return low
