"""The database: column types, the two kinds of session, bulk statements, append-only tables.

The only file that commits and the only one (beside migrations) that knows which of the two
databases is below. Services take a ``Session`` and never commit; entry points open one of

``transaction()``  writes; ``BEGIN IMMEDIATE`` on SQLite; commits when the block ends well.
``snapshot()``     reads; rolled back when the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TextClause,
    TypeDecorator,
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from server import clock

__all__ = [
    "Base",
    "BigId",
    "Json",
    "Money",
    "Quantity",
    "Session",
    "UtcDateTime",
    "at_end",
    "bulk_upsert",
    "created_at_column",
    "db",
    "id_column",
    "insert_new",
    "insert_rows",
    "is_deadlock",
    "one_of",
    "snapshot",
    "take_ids",
    "transaction",
    "update_rows",
]

_WRITE = "fieldbell_write"
_AT_END = "fieldbell_at_end"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table; constraints have names so that migrations can speak of them."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(metadata=Base.metadata)


# --- column types -------------------------------------------------------------------------


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC; a naive value is refused rather than guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class sets the signature
        """Turn an aware instant into UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class sets the signature
        """Give the instant back aware; SQLite returns it naive."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Scaled(TypeDecorator[Decimal]):
    """An exact decimal kept as a scaled 64-bit integer, so that sums are exact in SQL."""

    impl = BigInteger
    cache_ok = True
    places = 0

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base class sets the signature
        """Scale the number; more places than the type has are refused, never rounded."""
        return None if value is None else scaled(value, self.places)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - the base class sets the signature
        """Give the exact decimal back."""
        return None if value is None else Decimal(int(value)).scaleb(-self.places)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:  # noqa: ARG002 - the base class sets the signature
        """Compare with decimals as with columns of the same type."""
        return self


def scaled(value: Decimal | int, places: int) -> int:
    """Return value × 10^places as a whole number.

    Raises:
        ValueError: when the number has more decimal places or does not fit 64 bits.
    """
    moved = Decimal(value).scaleb(places)
    whole = int(moved)
    if whole != moved:
        raise ValueError(f"{value} has more than {places} decimal places")
    if not -(2**63) <= whole < 2**63:
        raise ValueError(f"{value} does not fit")
    return whole


class Money(_Scaled):
    """An amount of currency, four decimal places (currencies have at most four)."""

    places = 4


class Quantity(_Scaled):
    """A reading, a consumption, a price or a factor: six decimal places."""

    places = 6


BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def id_column() -> Mapped[int]:
    """The primary key every table has unless its docstring says otherwise."""
    return mapped_column(BigId, primary_key=True, autoincrement=True)


def created_at_column() -> Mapped[datetime]:
    """When the row was written, by the server's clock."""
    return mapped_column(UtcDateTime, default=clock.now, nullable=False)


def one_of(column: str, values: Sequence[str]) -> str:
    """The SQL of a check constraint that a column holds one of a few words."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


# --- sessions -----------------------------------------------------------------------------


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session for writing and commit it when the block ends without an exception.

    On SQLite the write lock is taken at once, so that what was read cannot have changed when
    it is written. Functions registered with :func:`at_end` run last, before the commit.
    """
    with Session(db.engine, expire_on_commit=False) as session:
        session.connection(execution_options={_WRITE: True})
        yield session
        session.flush()
        for function in session.info.pop(_AT_END, {}).values():
            function(session)
        session.commit()


@contextmanager
def snapshot() -> Iterator[Session]:
    """Open a session for reading; whatever it holds is rolled back at the end."""
    with Session(db.engine, expire_on_commit=False) as session:
        yield session
        session.rollback()


def at_end(session: Session, key: str, function: Callable[[Session], None]) -> None:
    """Have ``function(session)`` run once as the last step of the transaction."""
    session.info.setdefault(_AT_END, {}).setdefault(key, function)


def prepare_engine(engine: Engine) -> None:
    """Set an engine up as the house rules ask; called once per process by the app."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-32000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def is_postgresql(session: Session) -> bool:
    """Tell which database is below; for this module, migrations and maintenance commands."""
    return session.get_bind().dialect.name == "postgresql"


def is_deadlock(error: OperationalError) -> bool:
    """Tell whether the database chose this transaction to end a deadlock: run it again."""
    return getattr(error.orig, "sqlstate", None) in {"40P01", "40001"}


# --- bulk statements ----------------------------------------------------------------------


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
    statement = _insert_returning(table, tuple(rows[0]), tuple(on_conflict), returning)
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
    return postgresql.dialect()  # type: ignore[no-untyped-call,no-any-return]


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
    if isinstance(column_type, _Scaled):
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
    statement = _upsert(table, tuple(rows[0]), tuple(key), tuple(add), tuple(returning))
    result = session.execute(statement, {"doc": _document(session, table, rows)})
    return [tuple(row) for row in result] if returning else []


@lru_cache(maxsize=512)
def _insert_returning(
    table: Table, columns: tuple[str, ...], key: tuple[str, ...], returning: str
) -> Any:
    names = ", ".join(f'"{c}"' for c in columns)
    return text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {_source(table, columns)}'  # noqa: S608 - only names of our own tables and columns
        f" ON CONFLICT ({', '.join(key)}) DO NOTHING RETURNING {returning}"
    ).columns(table.c[returning])


@lru_cache(maxsize=512)
def _upsert(
    table: Table,
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
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {_source(table, columns)}'  # noqa: S608 - only names of our own tables and columns
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}{tail}"
    )
    return statement.columns(*(table.c[c] for c in returning)) if returning else statement


def _source(table: Table, columns: tuple[str, ...]) -> str:
    """The rows of the JSON document ``:doc`` as a table of this database."""
    if db.engine.dialect.name == "postgresql":
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
