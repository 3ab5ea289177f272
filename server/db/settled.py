"""Reading a table by its ids while others write it, without ever passing a row.

Ids are taken before the commit: on PostgreSQL a row may appear below one that was read long ago.
Who takes ids of a table that is read so (``read_by_id``) therefore announces first after which
number they will lie, by a shared advisory lock whose key holds table and number; the database drops it
when the transaction has ended and its rows can be seen. A reader goes no further than the lowest
number announced. SQLite has one writer at a time, so there ids are in the order of commits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, SessionTransaction

from server.db.base import Base
from server.db.sessions import is_postgresql

_ANNOUNCED = "fieldbell_announced"
_NUMBER_BITS = 40
_TAG_BITS = 23


def announce(session: Session, *models: type[Base]) -> None:
    """Announce ids that the ORM or a default of the database will take in this transaction.

    ``take_ids`` and ``insert_new`` do it by themselves.
    """
    clause = once(session, models) if is_postgresql(session) else ""
    if clause:
        session.execute(text(f"{clause} SELECT held FROM announced"))  # noqa: S608 - only names of our own tables


def settled_through(session: Session, model: type[Base]) -> int:
    """The id up to which every row of a table is there to be read, now and for good.

    Rows must be read after this, by a later statement of a session that sees what others commit
    (READ COMMITTED).
    """
    if not is_postgresql(session):
        return int(session.scalar(select(func.max(_id(model)))) or 0)
    name = model.__tablename__
    # In this order: who announces only after the second statement takes ids above the first's.
    taken = int(session.scalar(text(f"SELECT {_LAST} FROM {name}_id_seq")) or 0)  # noqa: S608 - only names of our own tables
    lowest = session.scalar(_LOWEST_ANNOUNCED, {"tag": _tag(name)})
    return taken if lowest is None else min(taken, int(lowest))


def read_by_id(models: Iterable[type[Base]]) -> list[type[Base]]:
    """The tables among these that are read by their ids."""
    return [model for model in models if model.read_by_id]


def once(session: Session, models: Iterable[type[Base]]) -> str:
    """A WITH clause whose one row ``announced`` announces; join it to whatever takes the ids.

    Empty for what the transaction has announced: the lowest number counts, and locks are few. What was
    announced in a savepoint is gone when that was rolled back.
    """
    held: dict[str, SessionTransaction | None] = session.info.setdefault(_ANNOUNCED, {})
    inside = session.get_nested_transaction()
    names = [model.__tablename__ for model in models]
    new = tuple(name for name in names if name not in held or not _stands(held[name]))
    held.update(dict.fromkeys(new, inside))
    return _announcing(new)


def _stands(savepoint: SessionTransaction | None) -> bool:
    return savepoint is None or savepoint.is_active


@lru_cache(maxsize=64)
def _announcing(tables: tuple[str, ...]) -> str:
    if not tables:
        return ""
    locks = " UNION ALL ".join(
        f"SELECT pg_advisory_xact_lock_shared({_tag(name) << _NUMBER_BITS} + {_LAST}) AS held"  # noqa: S608 - only names of our own tables
        f" FROM {name}_id_seq"
        for name in tables
    )
    return f"WITH announced AS MATERIALIZED (SELECT count(p.held) AS held FROM ({locks}) AS p)"  # noqa: S608 - only names of our own tables


_LAST = "last_value - CASE WHEN is_called THEN 0 ELSE 1 END"

_LOWEST_ANNOUNCED = text(
    f"""
    SELECT min((CAST(classid AS bigint) << 32 | CAST(objid AS bigint)) & {(1 << _NUMBER_BITS) - 1})
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND CAST(classid AS bigint) >> {_NUMBER_BITS - 32} = CAST(:tag AS bigint)
    """  # noqa: S608 - only numbers of our own
)


def _tag(table: str) -> int:
    """What tells the locks of one table from those of another."""
    return zlib.crc32(table.encode()) & ((1 << _TAG_BITS) - 1)


def _id(model: type[Base]) -> Any:
    return model.__table__.c.id
