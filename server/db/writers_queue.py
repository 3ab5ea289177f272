"""The queue of those who want to write to SQLite.

SQLite has one writer at a time, and whoever comes too early sleeps and asks again, up to a tenth of
a second later, with no regard to who came first: under load the lock lies idle between two writers
while others starve. A lock of the operating system on a file beside the database wakes the next
writer at once. It is only a courtesy: ``BEGIN IMMEDIATE`` still guards the data.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

from sqlalchemy import Engine


@lru_cache(maxsize=64)
def _within_process(_file: str) -> Lock:
    return Lock()


@contextmanager
def turn(engine: Engine) -> Iterator[None]:
    """Wait for our turn to write; at once on anything but a SQLite file."""
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if not file or file == ":memory:":
        yield
        return
    with _within_process(file), Path(f"{file}-turn").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
