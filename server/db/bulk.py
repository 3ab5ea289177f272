"""Statements on many rows at once, in the words of each database.

On PostgreSQL the rows travel as one JSON text that ``json_to_recordset`` turns into a table; on
SQLite as executemany, or as one JSON text where rows must come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    LargeBinary,
    Table,
    TextClause,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from server.db.base import Base, Scaled, UtcDateTime, db, scaled
from server.db.sessions import is_postgresql


def take_ids(session: Session, wanted: Mapping[type[Base], int]) -> dict[type[Base], list[int]]:
    """Take primary keys for rows about to be inserted in bulk: one statement for all tables.

    On PostgreSQL they come from the tables' sequences. On SQLite the transaction holds the
    only write lock, so the numbers after the largest key are free until it ends.
    """
    wanted = {model: n for model, n in wanted.items() if n}
    if not wanted:
        return {}
    if is_postgresql(session):
        return _take_ids_postgresql(session, wanted)
    parts = [
        select(func.coalesce(func.max(model.__table__.c.id), 0)).scalar_subquery()
        for model in wanted
    ]
    last = session.execute(select(*parts)).one()
    return {
        model: list(range(top + 1, top + 1 + n))
        for (model, n), top in zip(wanted.items(), last, strict=True)
    }


def _take_ids_postgresql(
    session: Session, wanted: Mapping[type[Base], int]
) -> dict[type[Base], list[int]]:
    selects = " UNION ALL ".join(
        f"SELECT {i} AS t, nextval('{model.__tablename__}_id_seq') AS id"  # noqa: S608 - only names of our own tables and columns
        f" FROM generate_series(1, :n{i})"
        for i, model in enumerate(wanted)
    )
    rows = session.execute(text(selects), {f"n{i}": n for i, n in enumerate(wanted.values())})
    taken: list[list[int]] = [[] for _ in wanted]
    for t, number in rows:
        taken[t].append(number)
    return dict(zip(wanted, (sorted(ids) for ids in taken), strict=True))


def insert_rows(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    on_conflict: Sequence[str] | None = None,
) -> None:
    """Insert many rows with one statement; every row has the keys of the first.

    Args:
        on_conflict: columns of a unique key; a row that exists already is left as it is. An
            empty sequence means any unique key.
    """
    if not rows:
        return
    table = _table(model)
    columns = tuple(rows[0])
    if is_postgresql(session):
        statement = _recordset_insert(table, columns, _conflict_key(on_conflict))
        session.execute(statement, {"doc": _recordset(table, columns, rows)})
    else:
        statement_lite = _plain_insert(table, _conflict_key(on_conflict))
        session.connection().execute(statement_lite, [dict(row) for row in rows])


def insert_new(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    on_conflict: Sequence[str],
    returning: str,
) -> list[Any]:
    """Insert rows whose key is new and return the ``returning`` column of just those rows."""
    if not rows:
        return []
    table = _table(model)
    statement = _insert_returning(table, _kind(), tuple(rows[0]), tuple(on_conflict), returning)
    return list(session.execute(statement, {"doc": _document(session, table, rows)}).scalars())


def update_rows(
    session: Session,
    model: type[Base],
    key_columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Update many rows found by their key columns with one statement."""
    if not rows:
        return
    table = _table(model)
    columns = tuple(rows[0])
    keys = tuple(key_columns)
    if is_postgresql(session):
        statement = _recordset_update(table, columns, keys)
        session.execute(statement, {"doc": _recordset(table, columns, rows)})
        return
    statement_lite = _plain_update(table, columns, keys)
    renamed = [{f"p_{name}": row[name] for name in columns} for row in rows]
    session.connection().execute(statement_lite, renamed)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return table


def _conflict_key(on_conflict: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if on_conflict is None else tuple(on_conflict)


@lru_cache(maxsize=512)
def _plain_insert(table: Table, conflict: tuple[str, ...] | None) -> Any:
    statement = sqlite.insert(table)
    if conflict is not None:
        statement = statement.on_conflict_do_nothing(index_elements=conflict or None)
    return statement


@lru_cache(maxsize=512)
def _plain_update(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Any:
    statement = table.update()
    for key in keys:
        statement = statement.where(table.c[key] == bindparam(f"p_{key}"))
    return statement.values({c: bindparam(f"p_{c}") for c in columns if c not in keys})


@lru_cache(maxsize=512)
def _recordset_insert(
    table: Table, columns: tuple[str, ...], conflict: tuple[str, ...] | None
) -> TextClause:
    names = ", ".join(f'"{c}"' for c in columns)
    tail = ""
    if conflict is not None:
        target = f" ({', '.join(conflict)})" if conflict else ""
        tail = f" ON CONFLICT{target} DO NOTHING"
    return text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names}'  # noqa: S608 - only names of our own tables and columns
        f" FROM {_recordset_source(table, columns)}{tail}"
    )


@lru_cache(maxsize=512)
def _recordset_update(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> TextClause:
    sets = ", ".join(f'"{c}" = x."{c}"' for c in columns if c not in keys)
    match = " AND ".join(f't."{k}" = x."{k}"' for k in keys)
    return text(
        f'UPDATE "{table.name}" AS t SET {sets}'  # noqa: S608 - only names of our own tables and columns
        f" FROM {_recordset_source(table, columns)} WHERE {match}"
    )


def _recordset_source(table: Table, columns: tuple[str, ...]) -> str:
    dialect = _postgresql_dialect()
    typed = ", ".join(f'"{c}" {table.c[c].type.compile(dialect)}' for c in columns)
    return f"json_to_recordset(CAST(:doc AS json)) AS x({typed})"


@lru_cache(maxsize=1)
def _postgresql_dialect() -> Dialect:
    return postgresql.dialect()  # type: ignore[no-untyped-call]


def _recordset(table: Table, columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> str:
    writers = [(c, writer) for c in columns if (writer := _writer(table.c[c].type)) is not None]
    documents = [{c: row[c] for c in columns} for row in rows]
    for column, write in writers:
        for document in documents:
            if document[column] is not None:
                document[column] = write(document[column])
    return orjson.dumps(documents).decode()


def _writer(column_type: Any) -> Callable[[Any], Any] | None:
    """How a value of this type enters the JSON document; None where orjson already agrees."""
    if isinstance(column_type, Scaled):
        places = column_type.places
        return lambda value: scaled(value, places)
    if isinstance(column_type, UtcDateTime):
        return _aware
    if isinstance(column_type, LargeBinary):
        return lambda value: "\\x" + value.hex()
    return None


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a naive datetime cannot be stored")
    return value


def bulk_upsert(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    *,
    add: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[Any]:
    """Insert rows or, where the key exists, overwrite the other columns.

    Args:
        key: the columns of the unique key.
        add: columns whose new value is added to the old one instead of replacing it.
        returning: columns to give back, one row each, in no promised order.
    """
    if not rows:
        return []
    table = _table(model)
    statement = _upsert(table, _kind(), tuple(rows[0]), tuple(key), tuple(add), tuple(returning))
    result = session.execute(statement, {"doc": _document(session, table, rows)})
    return [tuple(row) for row in result] if returning else []


@lru_cache(maxsize=512)
def _insert_returning(
    table: Table, kind: str, columns: tuple[str, ...], key: tuple[str, ...], returning: str
) -> Any:
    names = ", ".join(f'"{c}"' for c in columns)
    return text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {_source(table, kind, columns)}'  # noqa: S608 - only names of our own tables and columns
        f" ON CONFLICT ({', '.join(key)}) DO NOTHING RETURNING {returning}"
    ).columns(table.c[returning])


@lru_cache(maxsize=512)
def _upsert(
    table: Table,
    kind: str,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    add: tuple[str, ...],
    returning: tuple[str, ...],
) -> Any:
    names = ", ".join(f'"{c}"' for c in columns)
    sets = ", ".join(
        f'"{c}" = "{table.name}"."{c}" + excluded."{c}"' if c in add else f'"{c}" = excluded."{c}"'
        for c in columns
        if c not in key
    )
    tail = f" RETURNING {', '.join(returning)}" if returning else ""
    statement = text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {_source(table, kind, columns)}'  # noqa: S608 - only names of our own tables and columns
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}{tail}"
    )
    return statement.columns(*(table.c[c] for c in returning)) if returning else statement


def _kind() -> str:
    return db.engine.dialect.name


def _source(table: Table, kind: str, columns: tuple[str, ...]) -> str:
    """The rows of the JSON document ``:doc`` as a table of a kind of database."""
    if kind == "postgresql":
        return _recordset_source(table, columns)
    values = ", ".join(f"json_extract(value, '$.{c}') AS \"{c}\"" for c in columns)
    return f"(SELECT {values} FROM json_each(:doc)) WHERE true"  # noqa: S608 - only names of our own tables and columns


def _document(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as the JSON document that :func:`_source` reads."""
    columns = tuple(rows[0])
    if is_postgresql(session):
        return _recordset(table, columns, rows)
    dialect = session.get_bind().dialect
    writers = [(c, table.c[c].type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]
    return orjson.dumps(
        [{c: write(row[c]) if write else row[c] for c, write in writers} for row in rows]
    ).decode()
