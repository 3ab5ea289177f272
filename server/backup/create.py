"""Making a backup while the system runs: all tables as of one instant, then the files they name."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, select

from config.settings import Settings
from server import blobs, clock
from server.backup import archive
from server.backup.archive import Writer
from server.blobs import Blob
from server.books.proof import differences
from server.db import Session, whole
from server.operator import current

CHUNK_BYTES = 4 * 1024 * 1024
LOST = "lost-files.json"
SECRET_KEY = "secret_key"  # noqa: S105 - the name of a file


@dataclass
class Made:
    """What went into a backup; ``lost`` are files that the tables name and the disk has not whole."""

    rows: int = 0
    files: int = 0
    differences: int = 0
    lost: list[str] = field(default_factory=list)


def create(target: Path, settings: Settings) -> Made:
    """Write the whole system into a new file.

    Raises:
        Conflict: ``backup.exists``.
        NotFound: ``operator.missing`` for a system that was never set up.
    """
    made = Made()
    with whole.frozen() as session, archive.writing(target) as writer:
        header = _header(session, settings)
        made.differences = header["differences"]
        writer.add(archive.HEADER, orjson.dumps(header, option=orjson.OPT_INDENT_2))
        for table in whole.tables():
            made.rows += _add_table(writer, session, table)
        _add_files(writer, session, settings.var_dir.absolute(), made)
        writer.add(LOST, orjson.dumps(made.lost))
        _add_secret_key(writer, settings)
    return made


def _header(session: Session, settings: Settings) -> dict[str, Any]:
    operator = current(session)
    return {
        "format": archive.FORMAT,
        "made_at": clock.to_iso(clock.now()),
        "operator": operator.name,
        "epoch": operator.epoch,
        "revision": revision(session),
        "database": session.get_bind().dialect.name,
        "differences": sum(1 for _ in differences(session)),
        "key": fingerprint(settings),
    }


def revision(session: Session) -> str:
    """The migration a database is at."""
    heads = MigrationContext.configure(session.connection()).get_current_heads()
    return ", ".join(sorted(heads))


def fingerprint(settings: Settings) -> str:
    """What tells two secret keys apart without telling either; passwords work under one only."""
    return hashlib.sha256(b"fieldbell-backup:" + secret_key(settings).encode()).hexdigest()[:16]


def secret_key(settings: Settings) -> str:
    """The key of the installation: the configured one, or the one that was made at its first start."""
    if settings.secret_key:
        return settings.secret_key
    file = settings.var_dir.absolute() / SECRET_KEY
    return file.read_text().strip() if file.exists() else ""


def _add_table(writer: Writer, session: Session, table: Table) -> int:
    """Add a table in chunks that fit into memory; one without rows has one empty chunk."""
    total = 0
    for number, lines in enumerate(_chunks(whole.read_lines(session, table))):
        writer.add(
            f"tables/{table.name}/{number:06}.jsonl.gz",
            gzip.compress(b"".join(line + b"\n" for line in lines), 5, mtime=0),
            table=table.name,
            rows=len(lines),
        )
        total += len(lines)
    return total


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    yield chunk


def _add_files(writer: Writer, session: Session, folder: Path, made: Made) -> None:
    """Add every file the tables name; a file is never changed, so that none can be torn."""
    rows = session.execute(
        select(Blob.sha256, Blob.quarantined)
        .order_by(Blob.sha256)
        .execution_options(yield_per=1000)
    )
    for sha256, quarantined in rows:
        path = blobs.path_of(folder, sha256, quarantined=quarantined)
        room = "quarantine" if quarantined else "blobs"
        try:
            found = writer.add_file(f"{room}/{sha256}", path)
        except FileNotFoundError:
            found = ""
        if found == sha256:
            made.files += 1
        else:
            made.lost.append(sha256)


def _add_secret_key(writer: Writer, settings: Settings) -> None:
    """Add the key that the installation made itself; a configured one is kept where it came from."""
    if not settings.secret_key:
        writer.add(SECRET_KEY, secret_key(settings).encode())
