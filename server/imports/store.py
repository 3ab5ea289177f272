"""Storing rows by their natural key: new ones are inserted, changed ones updated and audited."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, select

from server import feed
from server.audit import AuditEvent
from server.db import Base, Session, insert_rows, take_ids, update_rows
from server.identity.actor import SYSTEM
from server.imports.subject import Chunk
from server.rounds.models import RouteStop

Values = dict[str, Any]


def ids_of(
    session: Session, model: type[Base], column: str, values: Collection[Any]
) -> dict[Any, int]:
    """The ids of the rows whose unique column has one of these values."""
    if not values:
        return {}
    table = table_of(model)
    wanted = table.c[column].in_(sorted(values))
    return {
        value: number
        for value, number in session.execute(select(table.c[column], table.c.id).where(wanted))
    }


@dataclass(frozen=True)
class Stored:
    """The ids of rows by their key, and those that are new or changed."""

    ids: dict[Any, int]
    fresh: set[int]


def upsert(
    session: Session,
    chunk: Chunk,
    model: type[Base],
    wanted: Mapping[Any, Values],
    *,
    key: str,
    may_change: Sequence[str],
) -> Stored:
    """Insert rows with new keys, update those that differ.

    Args:
        wanted: the values of each key; every one has the same columns, without the key.
        key: the unique column that holds the key.
        may_change: the columns an import may change later; others stay as they are.
    """
    table = table_of(model)
    existing = _existing(session, table, key, wanted, may_change)
    new = [value for value in wanted if value not in existing]
    taken = take_ids(session, {model: len(new)}).get(model, [])
    insert_rows(
        session,
        model,
        [
            {"id": number, "created_at": chunk.now, key: value, **wanted[value]}
            for number, value in zip(taken, new, strict=True)
        ],
    )
    changes = {
        value: before
        for value, before in existing.items()
        if any(before[column] != wanted[value][column] for column in may_change)
    }
    update_rows(
        session,
        model,
        ("id",),
        [
            {"id": before["id"], **{column: wanted[value][column] for column in may_change}}
            for value, before in changes.items()
        ],
    )
    audit_changes(session, chunk, table.name, changes, wanted, may_change)
    count(chunk, len(new), len(changes), len(existing) - len(changes))
    ids = {value: row["id"] for value, row in existing.items()}
    fresh = {*taken, *(before["id"] for before in changes.values())}
    return Stored(ids | dict(zip(new, taken, strict=True)), fresh)


def count(chunk: Chunk, added: int, changed: int, unchanged: int) -> None:
    """Add to what the chunk has done."""
    chunk.tally.added += added
    chunk.tally.changed += changed
    chunk.tally.unchanged += unchanged


def _existing(
    session: Session, table: Table, key: str, wanted: Collection[Any], columns: Sequence[str]
) -> dict[Any, Values]:
    if not wanted:
        return {}
    chosen = [table.c[key], table.c.id, *(table.c[c] for c in columns if c != key)]
    rows = session.execute(select(*chosen).where(table.c[key].in_(sorted(wanted)))).mappings()
    return {row[key]: dict(row) for row in rows}


def audit_changes(
    session: Session,
    chunk: Chunk,
    subject: str,
    changes: Mapping[Any, Values],
    wanted: Mapping[Any, Values],
    columns: Sequence[str],
) -> None:
    """Write what was changed, before and after, one row of the trail for each."""
    rows = []
    for value, before in changes.items():
        after = wanted[value]
        differing = [column for column in columns if before[column] != after[column]]
        rows.append(
            {
                "created_at": chunk.now,
                "actor_kind": SYSTEM.kind,
                "actor_name": "import",
                "action": "import.changed",
                "subject_type": subject,
                "subject_id": str(before["id"]),
                "before": {column: plain(before[column]) for column in differing},
                "after": {column: plain(after[column]) for column in differing},
            }
        )
    insert_rows(session, AuditEvent, rows)


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Decimal | date | datetime):
        return str(value)
    return value


def touch_points(session: Session, point_ids: Iterable[int]) -> None:
    """Tell the handhelds that these service points have changed, where they are on a route."""
    wanted = sorted(set(point_ids))
    if not wanted:
        return
    rows = session.execute(
        select(RouteStop.route_id, RouteStop.subject_id).where(
            RouteStop.kind == "service_point", RouteStop.subject_id.in_(wanted)
        )
    )
    documents = ((f"route:{route_id}", point_id) for route_id, point_id in rows)
    feed.touch_many(session, "service_point", documents)


def table_of(model: type[Base]) -> Table:
    """The table of a model."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not stored in a table")
    return table
