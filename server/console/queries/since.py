"""Rows of a time in tables whose ids grow with it, without an index on the time."""

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
    low = first_id(session, key, written, instant)
    return (key >= low - SLACK) & (written >= instant)


def rows_before(
    session: Session,
    key: InstrumentedAttribute[int],
    written: InstrumentedAttribute[datetime],
    instant: datetime,
) -> ColumnElement[bool]:
    """Condition for the rows written before an instant."""
    low = first_id(session, key, written, instant)
    return (key < low + SLACK) & (written < instant)


def ends(session: Session, key: InstrumentedAttribute[int]) -> tuple[int, int]:
    """The smallest id and the one after the largest; (0, 1) in an empty table."""
    # Asked for side by side in one plain statement, SQLite reads the whole table.
    first, last = select(func.min(key)), select(func.max(key))
    row: Any = session.execute(select(first.scalar_subquery(), last.scalar_subquery())).one()
    return row[0] or 0, (row[1] or 0) + 1


def first_id(
    session: Session,
    key: InstrumentedAttribute[int],
    written: InstrumentedAttribute[datetime],
    instant: datetime,
) -> int:
    """The id of the first row written at or after an instant, found by halving."""
    low, high = ends(session, key)
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
