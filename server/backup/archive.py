"""The file of a backup: a tar whose last member lists the SHA-256 of every other one.

The members come as they are made, and nothing is ever held whole in memory. Names inside the file are
labels: reading never makes a path of them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from server import clock
from server.errors import Conflict, Invalid

FORMAT = 1
HEADER = "fieldbell-backup.json"
MANIFEST = "manifest.jsonl"
SEAL = "manifest.sha256"
_PIECE = 256 * 1024


# --- writing ------------------------------------------------------------------------------


class Writer:
    """Adds members to a backup that is being made."""

    def __init__(self, archive: tarfile.TarFile, manifest: IO[bytes]) -> None:
        self._archive = archive
        self._manifest = manifest
        self.members = 0

    def add(self, name: str, content: bytes, **more: Any) -> None:
        """Add a member from memory; ``more`` is written beside it into the manifest."""
        self._add(name, io.BytesIO(content), len(content), more)

    def add_file(self, name: str, path: Path) -> str:
        """Add a member from a file and return the hash of what was read."""
        with path.open("rb") as file:
            return self._add(name, file, os.fstat(file.fileno()).st_size, {})

    def finish(self) -> None:
        """Add the manifest and the seal over it."""
        self._manifest.seek(0)
        content = self._manifest
        seal = self._add_plain(MANIFEST, content, _length(content))
        self._add_plain(SEAL, io.BytesIO(seal.encode()), len(seal))

    def _add(self, name: str, source: IO[bytes], size: int, more: dict[str, Any]) -> str:
        sha256 = self._add_plain(name, source, size)
        line = {"name": name, "size": size, "sha256": sha256, **more}
        self._manifest.write(orjson.dumps(line) + b"\n")
        self.members += 1
        return sha256

    def _add_plain(self, name: str, source: IO[bytes], size: int) -> str:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, int(clock.now().timestamp())
        hashing = _Hashing(source)
        self._archive.addfile(member, hashing)
        _forget(self._archive)
        return hashing.digest.hexdigest()


def _forget(archive: tarfile.TarFile) -> None:
    """Let go of the members so far: tarfile keeps them all, and a million photos fill the memory."""
    archive.members.clear()  # type: ignore[attr-defined]  # not in the type stubs


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


def _length(file: IO[bytes]) -> int:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    return end


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """Make a backup file: it gets its name only when it is whole and on disk.

    Raises:
        Conflict: ``backup.exists`` when there is such a file; none is ever overwritten.
    """
    if target.exists():
        raise Conflict("backup.exists", f"There is a file {target}; a backup overwrites nothing.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            tempfile.TemporaryFile(dir=target.parent) as manifest,
        ):
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
                writer = Writer(archive, manifest)
                yield writer
                writer.finish()
            file.flush()
            os.fsync(file.fileno())
        _name(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _name(part: Path, target: Path) -> None:
    """Give the finished file its name, unless another one has it by now."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise Conflict("backup.exists", f"There is a file {target} by now.") from None
    part.unlink()
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# --- reading ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verified:
    """A backup whose every byte was checked: its header and rows by table."""

    header: dict[str, Any]
    rows: dict[str, int]
    members: int


Take = Callable[[str, IO[bytes]], None]


def each(source: Path, take: Take) -> None:
    """Hand every member to ``take(name, file)`` in order.

    Raises:
        Invalid: ``backup.unreadable`` for a file that is no tar or ends early.
    """
    try:
        with tarfile.open(source, "r:") as archive:
            while (member := archive.next()) is not None:
                _forget(archive)
                file = archive.extractfile(member)
                if file is not None:
                    take(member.name, file)
    except (tarfile.TarError, EOFError) as error:
        raise _unreadable(source, str(error)) from error


def verify(source: Path) -> Verified:
    """Read a backup once from end to end and check every member against the manifest.

    Raises:
        Invalid: ``backup.unreadable`` or ``backup.damaged``; nothing may be restored from it.
    """
    with tempfile.TemporaryFile() as seen:
        check = _Check(seen)
        each(source, check.take)
        return check.result(source)


class _Check:
    """Collects what a file holds and compares it with what its manifest says."""

    def __init__(self, seen: IO[bytes]) -> None:
        self._seen = seen
        self._manifest = hashlib.sha256()
        self._seal: str | None = None
        self._last = ""
        self.header: dict[str, Any] | None = None
        self.rows: dict[str, int] = {}
        self.members = 0
        self.damaged: str | None = None

    def take(self, name: str, file: IO[bytes]) -> None:
        """Look at one member."""
        self._last = name
        if name == MANIFEST:
            self._compare(file)
        elif name == SEAL:
            self._seal = file.read(200).decode("ascii", "replace")
        else:
            self._note(name, file)

    def _note(self, name: str, file: IO[bytes]) -> None:
        content = file.read() if name == HEADER else None
        digest, size = hashlib.sha256(content or b""), len(content or b"")
        while content is None and (piece := file.read(_PIECE)):
            digest.update(piece)
            size += len(piece)
        if content is not None:
            self.header = _object(content)
        line = {"name": name, "size": size, "sha256": digest.hexdigest()}
        self._seen.write(orjson.dumps(line) + b"\n")
        self.members += 1

    def _compare(self, manifest: IO[bytes]) -> None:
        """Compare the manifest line by line with what was read."""
        self._seen.seek(0)
        for raw in manifest:
            self._manifest.update(raw)
            line, seen = _object(raw), _object(self._seen.readline())
            same = all(line.get(key) == seen.get(key) for key in ("name", "size", "sha256"))
            if not same and self.damaged is None:
                self.damaged = str(seen.get("name") or line.get("name"))
            if "table" in line:
                table = str(line["table"])
                self.rows[table] = self.rows.get(table, 0) + int(line["rows"])
        left = self._seen.readline()
        if left and self.damaged is None:
            self.damaged = str(_object(left).get("name"))

    def result(self, source: Path) -> Verified:
        """Say what was found.

        Raises:
            Invalid: ``backup.unreadable`` or ``backup.damaged``.
        """
        if self.header is None:
            raise _unreadable(source, "it is no backup of Fieldbell")
        if self.header.get("format") != FORMAT:
            raise Invalid(
                "backup.other_format",
                f"The backup has format {self.header.get('format')}, this program reads {FORMAT}.",
            )
        if self._last != SEAL:
            raise _unreadable(source, "it ends before its list of contents")
        if self.damaged is None and self._seal != self._manifest.hexdigest():
            self.damaged = MANIFEST
        if self.damaged is not None:
            raise Invalid(
                "backup.damaged",
                f"{self.damaged} in {source} is not as it was written. Nothing was changed.",
                {"member": self.damaged},
            )
        return Verified(self.header, self.rows, self.members)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _unreadable(source: Path, why: str) -> Invalid:
    return Invalid(
        "backup.unreadable", f"{source} cannot be read: {why}. Nothing was changed.", {"why": why}
    )
