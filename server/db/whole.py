r"""The database as a whole: every row read out as one picture, and put back in, for backups.

Rows travel as lines of JSON that mean the same on both databases: instants as RFC 3339, exact
decimals as their scaled integers, ids of devices as text, bytes as ``\x`` and hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Boolean,
    Connection,
    Date,
    LargeBinary,
    Table,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from server.db.base import Base, Scaled, UtcDateTime, db
from server.db.sessions import is_postgresql

READ_AT_ONCE = 2000


class BrokenReferences(Exception):
    """Rows refer to rows that are not there."""


def tables() -> list[Table]:
    """Every table, those that others refer to first."""
    return Base.metadata.sorted_tables


@contextmanager
def frozen() -> Iterator[Session]:
    """Open a session that sees the whole database at one instant, however long it reads.

    Writers go on meanwhile: on SQLite the write-ahead log keeps the old pages, on PostgreSQL the
    transaction is REPEATABLE READ.
    """
    with db.engine.connect() as connection:
        if db.engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with Session(connection, expire_on_commit=False) as session:
            session.execute(text("SELECT count(*) FROM alembic_version"))
            yield session
            session.rollback()


# --- out ----------------------------------------------------------------------------------


def read_lines(session: Session, table: Table) -> Iterator[bytes]:
    """Every row of a table as one line of JSON, in the order of its key."""
    if is_postgresql(session):
        yield from _read_postgresql(session, table)
        return
    writers = [(str(column.name), _writer(column.type)) for column in table.columns]
    rows = session.execute(
        select(table).order_by(*table.primary_key).execution_options(yield_per=READ_AT_ONCE)
    )
    for row in rows:
        yield orjson.dumps(
            {
                name: write(value) if write and value is not None else value
                for (name, write), value in zip(writers, row, strict=True)
            }
        )


def _read_postgresql(session: Session, table: Table) -> Iterator[bytes]:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    order = ", ".join(f'"{column.name}"' for column in table.primary_key)
    statement = text(
        f'SELECT CAST(row_to_json(x) AS text) FROM (SELECT {names} FROM "{table.name}"'  # noqa: S608 - only names of our own tables and columns
        f" ORDER BY {order}) x"
    )
    session.execute(text("SET LOCAL TIME ZONE 'UTC'"))
    rows = session.execute(statement.execution_options(yield_per=READ_AT_ONCE)).scalars()
    for line in rows:
        yield line.encode()


def _writer(column_type: Any) -> Callable[[Any], Any] | None:
    """How a value of this type is written; None where JSON already agrees."""
    if isinstance(column_type, Scaled):
        places = column_type.places
        return lambda value: int(value.scaleb(places))
    if isinstance(column_type, LargeBinary):
        return lambda value: "\\x" + value.hex()
    return None


# --- in -----------------------------------------------------------------------------------


def insert_lines(session: Session, table: Table, lines: Sequence[bytes]) -> None:
    """Insert rows that :func:`read_lines` wrote, on either database."""
    if not lines:
        return
    if is_postgresql(session):
        session.execute(
            _insert_postgresql(table), {"doc": (b"[" + b",".join(lines) + b"]").decode()}
        )
        return
    readers = {
        str(c.name): reader for c in table.columns if (reader := _reader(c.type)) is not None
    }
    rows = [orjson.loads(line) for line in lines]
    for row in rows:
        for name, read in readers.items():
            if row[name] is not None:
                row[name] = read(row[name])
    session.connection().execute(table.insert(), rows)


def _insert_postgresql(table: Table) -> Any:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    names = ", ".join(f'"{c.name}"' for c in table.columns)
    typed = ", ".join(f'"{c.name}" {c.type.compile(dialect)}' for c in table.columns)
    return text(
        f'INSERT INTO "{table.name}" ({names}) OVERRIDING SYSTEM VALUE SELECT {names}'  # noqa: S608 - only names of our own tables and columns
        f" FROM json_to_recordset(CAST(:doc AS json)) AS x({typed})"
    )


def _reader(column_type: Any) -> Callable[[Any], Any] | None:
    """How a value of this type comes back from JSON; None where it is already right."""
    if isinstance(column_type, Scaled):
        places = column_type.places
        return lambda value: Decimal(value).scaleb(-places)
    for kind, read in _READERS:
        if isinstance(column_type, kind):
            return read
    return None


_READERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (UtcDateTime, datetime.fromisoformat),
    (Date, date.fromisoformat),
    (Uuid, UUID),
    (Boolean, bool),
    (LargeBinary, lambda value: bytes.fromhex(value[2:])),
)


# --- making room --------------------------------------------------------------------------


@contextmanager
def emptied(session: Session) -> Iterator[None]:
    """Empty every table inside a transaction and let it be filled anew in any order of rows.

    The triggers of append-only tables and the checks of references are set aside meanwhile and put
    back at the end, when every reference is checked; sequences go on after the largest key. All of
    it is part of the transaction: a failure leaves the database as it was.

    Raises:
        BrokenReferences: when rows refer to rows that are not there.
    """
    make_room = _emptied_postgresql if is_postgresql(session) else _emptied_sqlite
    with make_room(session.connection()):
        yield


@contextmanager
def _emptied_sqlite(connection: Connection) -> Iterator[None]:
    run = connection.exec_driver_sql
    run("PRAGMA defer_foreign_keys=ON")
    found = run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    for name, _ in found:
        run(f'DROP TRIGGER "{name}"')
    for table in reversed(tables()):
        connection.execute(table.delete())
    yield
    for _, statement in found:
        run(statement)
    broken = run("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise BrokenReferences(
            f"a row of {broken[0]} refers to a row of {broken[2]} that is not there"
        )


@contextmanager
def _emptied_postgresql(connection: Connection) -> Iterator[None]:
    run = connection.exec_driver_sql
    references = run(
        "SELECT CAST(CAST(conrelid AS regclass) AS text), conname, pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
        " AND connamespace = CAST(current_schema() AS regnamespace)"
    ).all()
    for table, name, _ in references:
        run(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    # TRUNCATE, unlike DELETE, does not ask the triggers of append-only rows.
    run("TRUNCATE " + ", ".join(f'"{table.name}"' for table in tables()))
    yield
    try:
        for table, name, definition in references:
            run(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    except Exception as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == "23503":
            raise BrokenReferences(str(error.orig).splitlines()[0]) from error  # type: ignore[attr-defined]
        raise
    _advance_sequences(connection)


def _advance_sequences(connection: Connection) -> None:
    """Let every key's sequence go on after the largest key."""
    for table in tables():
        for column in table.primary_key:
            sequence = connection.scalar(
                select(func.pg_get_serial_sequence(f'"{table.name}"', column.name))
            )
            if sequence is not None:
                largest = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
                connection.execute(select(func.setval(sequence, largest, False)))


def count(session: Session, table: Table) -> int:
    """How many rows a table has."""
    return int(session.scalar(select(func.count()).select_from(table)) or 0)
