"""The database: column types, the two kinds of session, bulk statements, append-only tables.

The only place that commits and the only one (beside migrations) that knows which of the two
databases is below. Services take a ``Session`` and never commit; entry points open one of

``transaction()``  writes; ``BEGIN IMMEDIATE`` on SQLite; commits when the block ends well.
``snapshot()``     reads; rolled back when the block ends.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from server.db.again import carry_out
from server.db.among import among, among_texts, many_ids, many_texts
from server.db.base import (
    Base,
    BigId,
    Json,
    Money,
    Quantity,
    UtcDateTime,
    created_at_column,
    db,
    id_column,
    one_of,
    only,
    scaled,
    sorted_text,
)
from server.db.bulk import bulk_upsert, insert_new, insert_rows, take_ids, update_rows
from server.db.columns import Many, by_index
from server.db.driver import run
from server.db.sessions import (
    at_end,
    glance,
    is_postgresql,
    prepare_engine,
    snapshot,
    transaction,
)
from server.db.settled import announce, settled_through

__all__ = [
    "Base",
    "BigId",
    "Json",
    "Many",
    "Money",
    "Quantity",
    "Session",
    "UtcDateTime",
    "among",
    "among_texts",
    "announce",
    "at_end",
    "bulk_upsert",
    "by_index",
    "carry_out",
    "created_at_column",
    "db",
    "glance",
    "id_column",
    "insert_new",
    "insert_rows",
    "is_postgresql",
    "many_ids",
    "many_texts",
    "one_of",
    "only",
    "prepare_engine",
    "run",
    "scaled",
    "settled_through",
    "snapshot",
    "sorted_text",
    "take_ids",
    "transaction",
    "update_rows",
]
