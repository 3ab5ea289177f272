"""Fresh databases for every round: filled once, copied for each round, as durable as in real use."""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import flask_migrate
import psycopg
from flask import Flask
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from benchmarks import postgres
from config.settings import Settings
from server.app import create_app
from server.db import db

KINDS = ("sqlite", "postgresql")


class Databases(ABC):
    """The databases of one kind: a filled original and the copies that rounds work on."""

    kind = ""
    words: Mapping[str, str] = MappingProxyType({})
    """What the two kinds of database say differently in statements that write a history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def create(self, name: str) -> str:
        """Make an empty database and return its address."""

    @abstractmethod
    def address(self, name: str) -> str:
        """The address of a database that exists."""

    @abstractmethod
    def write(self, name: str, statements: Sequence[str], numbered: Sequence[str]) -> None:
        """Execute statements as one transaction that trusts their foreign keys.

        Args:
            numbered: tables whose rows got their ids from the statements.
        """

    @abstractmethod
    def settle(self, name: str) -> None:
        """Take statistics and write everything to its place after a large load."""

    @abstractmethod
    def copy(self, original: str, name: str) -> str:
        """Copy a database that nobody is connected to and return the copy's address."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a database."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Version and the settings that decide about durability."""


class Sqlite(Databases):
    """Files in the working folder; the application itself sets WAL and synchronous=FULL."""

    kind = "sqlite"
    words = MappingProxyType(
        {
            "months_before": "strftime('%Y-%m-%d %H:%M:%S', {time}, (-30 * {months}) || ' days')"
            " || '.000000'",
            "hex": "'000000700000400080' || printf('%014x', k)",
            "uuid": "text",
            "json": "text",
        }
    )

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.db"

    def create(self, name: str) -> str:
        """A file's address; the first connection makes the file."""
        self.drop(name)
        return self.address(name)

    def address(self, name: str) -> str:
        """The file as an address."""
        return f"sqlite:///{self._file(name)}"

    def write(self, name: str, statements: Sequence[str], numbered: Sequence[str]) -> None:  # noqa: ARG002 - the next id follows the largest
        """Execute them on a connection that does not look at foreign keys."""
        connection = sqlite3.connect(self._file(name), isolation_level=None)
        for statement in ("PRAGMA cache_size = -400000", "BEGIN", *statements, "COMMIT"):
            connection.execute(statement)
        connection.close()

    def settle(self, name: str) -> None:
        """Take statistics and empty the write-ahead log into the file."""
        connection = sqlite3.connect(self._file(name))
        connection.execute("ANALYZE")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def copy(self, original: str, name: str) -> str:
        """Copy the file; its log is empty."""
        self.drop(name)
        shutil.copyfile(self._file(original), self._file(name))
        return self.address(name)

    def drop(self, name: str) -> None:
        """Remove the file with its log."""
        for suffix in ("", "-wal", "-shm", "-turn"):
            Path(f"{self._file(name)}{suffix}").unlink(missing_ok=True)

    def describe(self) -> dict[str, str]:
        """Version; the rest is the same everywhere."""
        return {
            "version": sqlite3.sqlite_version,
            "journal_mode": "wal",
            "synchronous": "full",
        }


class Postgresql(Databases):
    """Databases of one server whose user may create databases."""

    kind = "postgresql"
    words = MappingProxyType(
        {
            "months_before": "{time} - {months} * interval '30 days'",
            "hex": "('000000700000400080' || lpad(to_hex(k), 14, '0'))",
            "uuid": "uuid",
            "json": "jsonb",
        }
    )

    def __init__(self, folder: Path, server: URL) -> None:
        super().__init__(folder)
        self.server = server

    def _name(self, name: str) -> str:
        return f"fieldbell_bench_{name}"

    def address(self, name: str) -> str:
        """The server's address with the database's name."""
        return self.server.set(database=self._name(name)).render_as_string(hide_password=False)

    @contextmanager
    def _connect(self, database: str | None = None) -> Iterator[psycopg.Connection]:
        url = self.server.set(drivername="postgresql")
        if database is not None:
            url = url.set(database=self._name(database))
        address = url.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection

    def create(self, name: str) -> str:
        """An empty database."""
        self.drop(name)
        with self._connect() as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._name(name))))
        return self.address(name)

    def write(self, name: str, statements: Sequence[str], numbered: Sequence[str]) -> None:
        """Execute them, without the triggers of foreign keys if this user may set them aside."""
        with self._connect(name) as connection:
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET session_replication_role = replica")
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement.encode())
                for table in numbered:
                    connection.execute(
                        sql.SQL("SELECT setval({}, (SELECT max(id) FROM {}))").format(
                            sql.Literal(f"{table}_id_seq"), sql.Identifier(table)
                        )
                    )

    def settle(self, name: str) -> None:
        """Clean up, take statistics, and write everything to disk."""
        with self._connect(name) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def copy(self, original: str, name: str) -> str:
        """Copy the files of the original, statistics included."""
        self.drop(name)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(self._name(name)), sql.Identifier(self._name(original))
        )
        with self._connect() as admin:
            admin.execute(statement)
            admin.execute("CHECKPOINT")
        return self.address(name)

    def drop(self, name: str) -> None:
        """Drop the database, ending what is still connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self._connect() as admin:
            admin.execute(statement.format(sql.Identifier(self._name(name))))

    def describe(self) -> dict[str, str]:
        """Version and what decides about speed and durability."""
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")
        with self._connect() as admin:
            return {name: str(admin.execute(f"SHOW {name}").fetchone()[0]) for name in names}  # type: ignore[index]


@contextmanager
def databases(kind: str, folder: Path, postgres_url: str | None) -> Iterator[Databases]:
    """The databases of a kind; a PostgreSQL of our own where no server is named.

    Raises:
        postgres.Unavailable: when this machine has no PostgreSQL.
    """
    if kind == "sqlite":
        yield Sqlite(folder)
    elif postgres_url:
        yield Postgresql(folder, make_url(postgres_url))
    else:
        with postgres.server() as url:
            yield Postgresql(folder, url)


@contextmanager
def application(url: str, folder: Path) -> Iterator[Flask]:
    """The application on a database, in this process; its connections are closed at the end."""
    app = create_app(Settings(database_url=url, var_dir=folder / "var", secret_key="-" * 32))
    with app.app_context():
        yield app
        db.engine.dispose()


def migrate(url: str, folder: Path) -> None:
    """Bring an empty database to the newest version."""
    with application(url, folder):
        flask_migrate.upgrade()
