"""Files that are still coming in: one part file per device and hash, appended under a lock.

A part survives the process and the link; what was received and synced to disk need not be sent again.
Each device has parts of its own, so that none can spoil what another one sends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from server import blobs, clock
from server.errors import DomainError, TooLarge

ABANDONED_DAYS = 30
_PIECE = 64 * 1024


class Readable(Protocol):
    """A stream of bytes such as the body of a request."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class Part:
    """The part file of one upload, open and locked."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, stream: Readable, most: int) -> None:
        """Append a stream in small pieces; what has come is on disk even when the link breaks.

        Raises:
            TooLarge: ``attachment.too_long`` when more comes than was promised; nothing of the
                stream is kept then.
            DomainError: 507 ``server.disk_full``.
        """
        before, left = self.size, most
        try:
            while piece := stream.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    self._file.truncate(before)
                    raise TooLarge("attachment.too_long", "More bytes came than were promised.")
                self._file.write(piece)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = "The server has no room for the file; try again later."
            raise DomainError("server.disk_full", message, status=507) from error
        finally:
            self._sync()

    def _sync(self) -> None:
        with suppress(OSError):
            self._file.flush()
        os.fsync(self._file.fileno())

    def head(self) -> bytes:
        """The first bytes, which say what the file is."""
        with self.path.open("rb") as file:
            return file.read(blobs.HEAD_BYTES)

    def drop(self) -> None:
        """Forget the bytes: they are not what was promised."""
        self.path.unlink(missing_ok=True)


def part_path(folder: Path, device_id: int, sha256: str) -> Path:
    """Where the part of an upload lies; the hash was checked to be one."""
    return folder / "parts" / str(int(device_id)) / f"{sha256}.part"


def received(folder: Path, device_id: int, sha256: str) -> int:
    """How many bytes of an upload are here."""
    try:
        return part_path(folder, device_id, sha256).stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def locked(folder: Path, device_id: int, sha256: str) -> Iterator[Part]:
    """Open a part for appending; nobody else writes it meanwhile.

    Raises:
        DomainError: 503 ``attachment.busy`` while another request of the device writes it.
    """
    path = part_path(folder, device_id, sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _busy() from None
        if not _is_still(path, file):
            # Whoever held it before has finished and moved the file away.
            raise _busy()
        yield Part(path, file)


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _busy() -> DomainError:
    message = "Another request of this handheld is sending the same file."
    return DomainError("attachment.busy", message, {"retry_after_s": 1}, status=503)


def drop_abandoned(folder: Path, days: int = ABANDONED_DAYS) -> int:
    """Delete parts that nobody has added to for long; returns how many."""
    oldest = clock.now().timestamp() - days * 86_400
    gone = 0
    for path in (folder / "parts").glob("*/*.part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                gone += 1
    return gone
