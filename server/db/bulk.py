"""Statements on many rows at once, in the words of each database.

On PostgreSQL the rows travel as one JSON text that ``json_to_recordset`` turns into a table; on
SQLite as executemany, or as one JSON text where rows must come back. Values become what the
driver takes column by column, past SQLAlchemy's own processing of each row, which would cost
more than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    LargeBinary,
    Table,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from server.db import settled
from server.db.base import Base, Scaled, UtcDateTime, db, scaled
from server.db.driver import execute, execute_many, fetch, run
from server.db.sessions import is_postgresql

_Writer = Callable[[Any], Any]


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
    last = run(session, _largest_ids(tuple(wanted)))[0]
    return {
        model: list(range(top + 1, top + 1 + n))
        for (model, n), top in zip(wanted.items(), last, strict=True)
    }


@lru_cache(maxsize=128)
def _largest_ids(models: tuple[type[Base], ...]) -> Any:
    largest = (func.coalesce(func.max(model.__table__.c.id), 0) for model in models)
    return select(*(select(one).scalar_subquery() for one in largest))


def _take_ids_postgresql(
    session: Session, wanted: Mapping[type[Base], int]
) -> dict[type[Base], list[int]]:
    announcing = settled.once(session, settled.read_by_id(wanted))
    joined = "announced, " if announcing else ""
    arrays = ", ".join(
        f"ARRAY(SELECT nextval('{model.__tablename__}_id_seq')"  # noqa: S608 - only names of our own tables and columns
        f" FROM {joined}generate_series(1, CAST(%(n{i})s AS integer)))"
        for i, model in enumerate(wanted)
    )
    counts = {f"n{i}": n for i, n in enumerate(wanted.values())}
    taken = fetch(session, f"{announcing} SELECT {arrays}", counts)[0]
    return {model: sorted(ids) for model, ids in zip(wanted, taken, strict=True)}


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
        sql = _recordset_insert(table, columns, _conflict_key(on_conflict))
        _execute_document(session, sql, _recordset(table, columns, rows))
    else:
        _execute_many(session, _plain_insert(table, columns, _conflict_key(on_conflict)), rows)


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
    if not is_postgresql(session) and tuple(on_conflict) == (returning,):
        return _insert_new_sqlite(session, table, rows, returning)
    announcing = (
        settled.once(session, settled.read_by_id([model])) if is_postgresql(session) else ""
    )
    statement = _insert_returning(
        table, _kind(), tuple(rows[0]), tuple(on_conflict), returning, announcing
    )
    return [row[0] for row in run(session, statement, {"doc": _document(session, table, rows)})]


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
        sql = _recordset_update(table, columns, keys)
        _execute_document(session, sql, _recordset(table, columns, rows))
        return
    _execute_many(session, _plain_update(table, columns, keys), rows)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return table


def _conflict_key(on_conflict: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if on_conflict is None else tuple(on_conflict)


# --- SQLite: executemany ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plain:
    """A statement of SQLite's with a place for each column, and how their values get there."""

    sql: str
    columns: tuple[tuple[str, _Writer | None], ...]


def _execute_many(session: Session, plain: _Plain, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = [_values(rows, name, write) for name, write in plain.columns]
    execute_many(session, plain.sql, list(zip(*columns, strict=True)))


def _values(rows: Sequence[Mapping[str, Any]], name: str, write: _Writer | None) -> list[Any]:
    """One column of the rows; equal instants (most rows of a batch share theirs) are written once."""
    if write is None:
        return [row[name] for row in rows]
    if write is not _instant_text:
        return [None if (value := row[name]) is None else write(value) for row in rows]
    texts: dict[Any, Any] = {None: None}
    for value in {row[name] for row in rows}:
        if value is not None:
            texts[value] = write(value)
    return [texts[row[name]] for row in rows]


def _insert_new_sqlite(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], key: str
) -> list[Any]:
    """Look for the keys first: the transaction holds the only write lock, so the answer stays true."""
    write = _sqlite_writer(table.c[key].type)
    keys = [row[key] for row in rows]
    written = orjson.dumps(keys if write is None else [write(one) for one in keys]).decode()
    known = {row[0] for row in run(session, _known_keys(table, key), {"doc": written})}
    fresh = [row for row in rows if row[key] not in known]
    if fresh:
        _execute_many(session, _plain_insert(table, tuple(rows[0]), (key,)), fresh)
    return list(dict.fromkeys(row[key] for row in fresh))


@lru_cache(maxsize=512)
def _known_keys(table: Table, key: str) -> Any:
    return text(
        f'SELECT "{key}" FROM "{table.name}"'  # noqa: S608 - only names of our own tables and columns
        f' WHERE "{key}" IN (SELECT value FROM json_each(:doc))'
    ).columns(table.c[key])


@lru_cache(maxsize=512)
def _plain_insert(
    table: Table, columns: tuple[str, ...], conflict: tuple[str, ...] | None
) -> _Plain:
    names = ", ".join(f'"{c}"' for c in columns)
    places = ", ".join("?" for _ in columns)
    sql = f'INSERT INTO "{table.name}" ({names}) VALUES ({places}){_conflict_tail(conflict)}'  # noqa: S608 - only names of our own tables and columns
    return _Plain(sql, tuple((c, _sqlite_writer(table.c[c].type)) for c in columns))


@lru_cache(maxsize=512)
def _plain_upsert(
    table: Table, columns: tuple[str, ...], key: tuple[str, ...], add: tuple[str, ...]
) -> _Plain:
    plain = _plain_insert(table, columns, None)
    return _Plain(plain.sql + _upsert_tail(table, columns, key, add), plain.columns)


@lru_cache(maxsize=512)
def _plain_update(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> _Plain:
    changed = tuple(c for c in columns if c not in keys)
    sets = ", ".join(f'"{c}" = ?' for c in changed)
    match = " AND ".join(f'"{k}" = ?' for k in keys)
    sql = f'UPDATE "{table.name}" SET {sets} WHERE {match}'  # noqa: S608 - only names of our own tables and columns
    return _Plain(sql, tuple((c, _sqlite_writer(table.c[c].type)) for c in (*changed, *keys)))


@lru_cache(maxsize=512)
def _sqlite_writer(column_type: Any) -> _Writer | None:
    """How a value of this type is handed to SQLite's driver; None where it takes it as it is."""
    if isinstance(column_type, Scaled):
        return partial(scaled, places=column_type.places)
    if isinstance(column_type, UtcDateTime):
        return _instant_text
    if isinstance(column_type, JSON):
        return _json_text
    processor: _Writer | None = column_type.dialect_impl(_SQLITE).bind_processor(_SQLITE)
    return processor


def _instant_text(value: datetime) -> str:
    """The text SQLAlchemy keeps an instant as: UTC, with a blank, microseconds and no zone."""
    return _aware(value).astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


_SQLITE = sqlite.dialect()


# --- PostgreSQL: one JSON text -------------------------------------------------------------


def _conflict_tail(conflict: tuple[str, ...] | None) -> str:
    if conflict is None:
        return ""
    target = f" ({', '.join(conflict)})" if conflict else ""
    return f" ON CONFLICT{target} DO NOTHING"


@lru_cache(maxsize=512)
def _recordset_insert(
    table: Table, columns: tuple[str, ...], conflict: tuple[str, ...] | None
) -> str:
    names = ", ".join(f'"{c}"' for c in columns)
    return (
        f'INSERT INTO "{table.name}" ({names}) SELECT {names}'  # noqa: S608 - only names of our own tables and columns
        f" FROM {_recordset_source(table, columns, _DRIVER)}{_conflict_tail(conflict)}"
    )


@lru_cache(maxsize=512)
def _recordset_update(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> str:
    sets = ", ".join(f'"{c}" = x."{c}"' for c in columns if c not in keys)
    match = " AND ".join(f't."{k}" = x."{k}"' for k in keys)
    return (
        f'UPDATE "{table.name}" AS t SET {sets}'  # noqa: S608 - only names of our own tables and columns
        f" FROM {_recordset_source(table, columns, _DRIVER)} WHERE {match}"
    )


def _execute_document(session: Session, sql: str, document: str) -> None:
    """Hand a finished text to the driver: nothing about it has to be compiled or looked up."""
    execute(session, sql, {"doc": document})


_DRIVER = "%(doc)s"


def _recordset_source(table: Table, columns: tuple[str, ...], place: str = ":doc") -> str:
    dialect = _postgresql_dialect()
    typed = ", ".join(f'"{c}" {table.c[c].type.compile(dialect)}' for c in columns)
    return f"json_to_recordset(CAST({place} AS json)) AS x({typed})"


@lru_cache(maxsize=1)
def _postgresql_dialect() -> Dialect:
    return postgresql.dialect()  # type: ignore[no-untyped-call]


def _recordset(table: Table, columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> str:
    documents = [dict(row) for row in rows]
    for column, write in _recordset_writers(table, columns):
        for document in documents:
            value = document[column]
            if value is not None:
                document[column] = write(value)
    return orjson.dumps(documents).decode()


@lru_cache(maxsize=512)
def _recordset_writers(table: Table, columns: tuple[str, ...]) -> tuple[tuple[str, _Writer], ...]:
    writers = ((c, _recordset_writer(table.c[c].type)) for c in columns)
    return tuple((c, writer) for c, writer in writers if writer is not None)


def _recordset_writer(column_type: Any) -> _Writer | None:
    """How a value of this type enters the JSON document; None where orjson already agrees."""
    if isinstance(column_type, Scaled):
        return partial(scaled, places=column_type.places)
    if isinstance(column_type, UtcDateTime):
        return _aware
    if isinstance(column_type, LargeBinary):
        return _hex_text
    return None


def _hex_text(value: bytes) -> str:
    return "\\x" + value.hex()


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
    columns = tuple(rows[0])
    if not returning:
        if is_postgresql(session):
            sql = _recordset_insert(table, columns, None)
            sql += _upsert_tail(table, columns, tuple(key), tuple(add))
            _execute_document(session, sql, _recordset(table, columns, rows))
        else:
            _execute_many(session, _plain_upsert(table, columns, tuple(key), tuple(add)), rows)
        return []
    statement = _upsert(table, _kind(), columns, tuple(key), tuple(add), tuple(returning))
    return run(session, statement, {"doc": _document(session, table, rows)})


@lru_cache(maxsize=512)
def _insert_returning(
    table: Table,
    kind: str,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    returning: str,
    announcing: str,
) -> Any:
    names = ", ".join(f'"{c}"' for c in columns)
    source = ("announced, " if announcing else "") + _source(table, kind, columns)
    return text(
        f'{announcing} INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {source}'  # noqa: S608 - only names of our own tables and columns
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
    tail = _upsert_tail(table, columns, key, add)
    tail += f" RETURNING {', '.join(returning)}" if returning else ""
    statement = text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {_source(table, kind, columns)}'  # noqa: S608 - only names of our own tables and columns
        f"{tail}"
    )
    return statement.columns(*(table.c[c] for c in returning)) if returning else statement


def _upsert_tail(
    table: Table, columns: tuple[str, ...], key: tuple[str, ...], add: tuple[str, ...]
) -> str:
    sets = ", ".join(
        f'"{c}" = "{table.name}"."{c}" + excluded."{c}"' if c in add else f'"{c}" = excluded."{c}"'
        for c in columns
        if c not in key
    )
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


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
    writers = [(c, _sqlite_writer(table.c[c].type)) for c in columns]
    return orjson.dumps(
        [
            {c: write(row[c]) if write and row[c] is not None else row[c] for c, write in writers}
            for row in rows
        ]
    ).decode()
