"""The two kinds of session and what must hold whenever one is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from server.db import writers_queue
from server.db.base import db

_WRITE = "fieldbell_write"
_AT_END = "fieldbell_at_end"
_RESTING = "fieldbell_resting"
_RESTS_SAFELY = 1.0  # seconds
# The connection of a transaction that is under way: a session takes its time to say which it is.
CONNECTION = "fieldbell_connection"


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session for writing and commit it when the block ends without an exception.

    On SQLite the write lock is taken at once, so that what was read cannot have changed when
    it is written. Functions registered with :func:`at_end` run last, before the commit.
    """
    with writers_queue.turn(db.engine), Session(db.engine, expire_on_commit=False) as session:
        session.info[CONNECTION] = session.connection(execution_options={_WRITE: True})
        yield session
        session.flush()
        for function in session.info.pop(_AT_END, {}).values():
            function(session)
        del session.info[CONNECTION]
        session.commit()


@contextmanager
def snapshot() -> Iterator[Session]:
    """Open a session for reading; what was loaded stays readable, what is changed in it is forgotten.

    It ends with a commit of nothing: at a rollback psycopg forgets every statement it has prepared.
    """
    with Session(db.engine, expire_on_commit=False, autoflush=False) as session:
        yield session
        session.expunge_all()
        session.commit()


@contextmanager
def glance() -> Iterator[Connection]:
    """Open a connection for one statement that reads; nothing around it, no unit of work."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def at_end(session: Session, key: str, function: Callable[[Session], None]) -> None:
    """Have ``function(session)`` run once as the last step of the transaction."""
    session.info.setdefault(_AT_END, {}).setdefault(key, function)


def prepare_engine(engine: Engine) -> None:
    """Set an engine up as the house rules ask; called once per process by the app."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return
    event.listen(engine, "checkin", _rest)
    event.listen(engine, "checkout", partial(_wake, engine.dialect))


def _rest(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_RESTING] = time.monotonic()


def _wake(
    dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Ask a connection that has rested whether the database is still there.

    SQLAlchemy can ask each time (``pool_pre_ping``); on a busy server that is a statement in twenty.
    """
    rested = time.monotonic() - record.info.get(_RESTING, time.monotonic())
    if rested > _RESTS_SAFELY:
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes a new connection


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
