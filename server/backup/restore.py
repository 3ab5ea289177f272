"""Putting a backup back: checked whole before anything is touched, all rows in one transaction."""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

import orjson
from sqlalchemy import delete, func, select

from config.settings import Settings
from server import audit, blobs, clock
from server.backup import archive
from server.backup.archive import Verified
from server.backup.create import LOST, SECRET_KEY, fingerprint, revision
from server.blobs import Blob
from server.books.proof import differences as differing
from server.capture import attachments, thumbnails
from server.capture.models import CaptureEvent
from server.db import Session, snapshot, transaction, whole
from server.errors import Conflict, Invalid
from server.identity.actor import SYSTEM
from server.identity.models import Staff
from server.jobs import WorkerHeartbeat
from server.notify.models import OutboxMessage
from server.operator import Operator

WORKER_ALIVE = timedelta(seconds=30)
UNSENT = ("queued", "claimed")


@dataclass(frozen=True)
class Restored:
    """What was put back, and what a person should know before the system starts again."""

    operator: str
    made_at: str
    rows: int
    files: int
    expected_again: int
    unsent: int
    other_key: bool
    kept_key: bool


def restore(source: Path, settings: Settings, *, replace: bool = False) -> Restored:
    """Put a backup into this installation.

    Args:
        replace: whether what is in the database may be deleted.

    Raises:
        Invalid: ``backup.unreadable``, ``backup.damaged``, ``backup.other_format``,
            ``backup.wrong_rows``, ``backup.broken_references``, ``backup.books_differ``.
        Conflict: ``backup.other_revision``, ``backup.not_empty``, ``backup.worker_alive``.
    """
    verified = archive.verify(source)
    with snapshot() as session:
        _check_target(session, verified, replace=replace)
    folder = settings.var_dir.absolute()
    files = _Files(folder)
    archive.each(source, files.take)
    try:
        with transaction() as session:
            with whole.emptied(session):
                archive.each(source, _Rows(session).take)
            _prove(session, verified)
            again = _expect_again(session, files.lost)
            unsent = _unsent(session)
            _begin_epoch(session, verified)
    except whole.BrokenReferences as error:
        raise Invalid("backup.broken_references", f"{error}. Nothing was changed.") from error
    other_key = _settle_key(settings, folder, files.key, verified)
    return Restored(
        operator=str(verified.header["operator"]),
        made_at=str(verified.header["made_at"]),
        rows=sum(verified.rows.values()),
        files=files.count,
        expected_again=again,
        unsent=unsent,
        other_key=other_key,
        kept_key=files.key is not None and not settings.secret_key,
    )


# --- before -------------------------------------------------------------------------------


def _check_target(session: Session, verified: Verified, *, replace: bool) -> None:
    here, there = revision(session), verified.header.get("revision")
    if here != there:
        raise Conflict(
            "backup.other_revision",
            f"The backup is of migration {there}, this database is at {here or 'nothing'}: restore"
            " it with the version that made it, then upgrade.",
            {"backup": there, "database": here},
        )
    unknown = sorted(verified.rows.keys() - {table.name for table in whole.tables()})
    if unknown:
        raise Invalid("backup.unknown_table", f"There is no table {', '.join(unknown)}.")
    alive = session.scalar(
        select(func.count())
        .select_from(WorkerHeartbeat)
        .where(
            WorkerHeartbeat.stopped_at.is_(None),
            WorkerHeartbeat.seen_at > clock.now() - WORKER_ALIVE,
        )
    )
    if alive:
        raise Conflict("backup.worker_alive", "A worker runs on this database: stop it first.")
    if not replace and not _is_empty(session):
        raise Conflict(
            "backup.not_empty",
            "This database is in use. With --replace everything in it is deleted first.",
        )


def _is_empty(session: Session) -> bool:
    """Whether nobody has begun to work with this database."""
    return not any(
        session.execute(select(model).limit(1)).first() is not None
        for model in (Operator, Staff, CaptureEvent)
    )


# --- files --------------------------------------------------------------------------------


class _Files:
    """Puts files back under their hash; whatever a member is called, only a hash becomes a path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.count = 0
        self.lost: list[str] = []
        self.key: str | None = None

    def take(self, name: str, file: IO[bytes]) -> None:
        """Put one member where it belongs; members that are no files are passed by."""
        room, _, sha256 = name.partition("/")
        if name == LOST:
            self.lost = [str(each) for each in orjson.loads(file.read())]
        elif name == SECRET_KEY:
            self.key = file.read(4096).decode()
        elif room in ("blobs", "quarantine") and blobs.is_sha256(sha256):
            self._put(sha256, file, quarantined=room == "quarantine")

    def _put(self, sha256: str, file: IO[bytes], *, quarantined: bool) -> None:
        target = blobs.path_of(self._folder, sha256, quarantined=quarantined)
        if target.exists() and blobs.hash_of(target) == sha256:
            self.count += 1
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as copy:
                shutil.copyfileobj(file, copy)
                copy.flush()
                os.fsync(copy.fileno())
            # One that was damaged on disk when the backup was made is among the lost ones.
            if blobs.hash_of(part) == sha256:
                blobs.place(part, target)
                self.count += 1
        finally:
            part.unlink(missing_ok=True)


# --- rows ---------------------------------------------------------------------------------


class _Rows:
    """Puts rows back, chunk by chunk."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables = {table.name: table for table in whole.tables()}

    def take(self, name: str, file: IO[bytes]) -> None:
        """Insert the rows of a member; others are passed by."""
        room, _, rest = name.partition("/")
        if room == "tables":
            lines = gzip.decompress(file.read()).splitlines()
            whole.insert_lines(self._session, self._tables[rest.partition("/")[0]], lines)


def _prove(session: Session, verified: Verified) -> None:
    """Count every table and compute the books again.

    Raises:
        Invalid: ``backup.wrong_rows``, ``backup.books_differ``; the transaction must not go on.
    """
    for table in whole.tables():
        found, said = whole.count(session, table), verified.rows.get(table.name, 0)
        if found != said:
            raise Invalid(
                "backup.wrong_rows",
                f"{table.name} has {found} rows instead of {said}. Nothing was changed.",
            )
    differences = sum(1 for _ in differing(session))
    if differences != verified.header.get("differences"):
        raise Invalid(
            "backup.books_differ",
            f"The books differ in {differences} places, when the backup was made it were"
            f" {verified.header.get('differences')}. Nothing was changed.",
        )


def _expect_again(session: Session, lost: list[str]) -> int:
    """Ask the handhelds again for files that no longer exist; all small pictures are made anew."""
    thumbnails.forget_all(session)
    if not lost:
        return 0
    session.execute(delete(Blob).where(Blob.sha256.in_(lost)))
    return attachments.lost(session, lost)


def _unsent(session: Session) -> int:
    return int(
        session.scalar(
            select(func.count()).select_from(OutboxMessage).where(OutboxMessage.status.in_(UNSENT))
        )
        or 0
    )


def _begin_epoch(session: Session, verified: Verified) -> None:
    """Begin a new epoch: every handheld starts over and offers what the backup lacks."""
    operator = session.get_one(Operator, 1)
    before, operator.epoch = operator.epoch, secrets.token_hex(8)
    audit.record(
        session,
        SYSTEM,
        "backup.restored",
        "operator",
        operator.id,
        before={"epoch": before},
        after={"epoch": operator.epoch, "made_at": verified.header["made_at"]},
    )


def _settle_key(settings: Settings, folder: Path, key: str | None, verified: Verified) -> bool:
    """Put the installation's own key back; True when passwords were made under another key."""
    if key and not settings.secret_key:
        file = folder / SECRET_KEY
        part = file.with_name(f"{SECRET_KEY}.part")
        part.touch(mode=0o600)
        part.write_text(key)
        part.replace(file)
    return fingerprint(settings) != verified.header.get("key")
