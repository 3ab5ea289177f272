"""A lock that lets the server do all of a push's work and keeps it from committing.

While it is held, a request that was sent to the server cannot have been committed; a kill now is a
kill before the commit, whatever the machine's speed.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import Any, Protocol

LAST_TABLE = "device_sequence"
"""The table a push writes last; on PostgreSQL the server gets this far before it waits."""
WAITS_WITHIN = 3.0


class Barrier(Protocol):
    """Holds back every commit of captures between ``hold`` and ``release``."""

    def hold(self) -> bool:
        """Take the lock; False when it could not be had in time."""

    def wait(self) -> None:
        """Wait until the server stands before the barrier, or long enough that it should."""

    def release(self) -> None:
        """Let go."""


class SqliteBarrier:
    """Holds the write lock of the file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def hold(self) -> bool:
        """Take the lock; False when it could not be had in time."""
        self._db = sqlite3.connect(
            self._path, timeout=WAITS_WITHIN, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self.release()
            return False
        return True

    def wait(self) -> None:
        """SQLite does not tell who waits."""
        time.sleep(0.3)

    def release(self) -> None:
        """Let go."""
        if self._db is not None:
            self._db.close()
            self._db = None


class PostgresBarrier:
    """Locks the table that a push writes last."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+psycopg", "", 1)
        self._connection: Any = None

    def hold(self) -> bool:
        """Take the lock; False when it could not be had in time."""
        import psycopg  # noqa: PLC0415  # only a run on PostgreSQL needs it

        self._connection = psycopg.connect(self._url)
        try:
            self._connection.execute(f"SET lock_timeout = {int(WAITS_WITHIN * 1000)}")
            self._connection.execute(f"LOCK TABLE {LAST_TABLE} IN ACCESS EXCLUSIVE MODE")
        except psycopg.Error:
            self.release()
            return False
        return True

    def wait(self) -> None:
        """Wait until somebody waits for the table."""
        end = time.monotonic() + WAITS_WITHIN
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass LIMIT 1"
        while time.monotonic() < end and not self._has(waiting):
            time.sleep(0.02)

    def _has(self, statement: str) -> bool:
        return bool(self._connection.execute(statement, [LAST_TABLE]).fetchone())

    def release(self) -> None:
        """Let go."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None


def barrier_for(database_url: str) -> Barrier:
    """The barrier of a database."""
    if database_url.startswith("sqlite:///"):
        return SqliteBarrier(database_url.removeprefix("sqlite:///"))
    return PostgresBarrier(database_url)
