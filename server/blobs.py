"""Files by content hash: the same bytes are one file, whoever sent them and however often.

What a file is, its own first bytes say; neither its name nor what the sender calls it is believed.
Bytes of a kind that is not allowed are kept in ``quarantine/`` and never served.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from sqlalchemy import CheckConstraint, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server import clock
from server.db import Base, BigId, Session, created_at_column, insert_rows, one_of

IMAGES = ("image/jpeg", "image/png", "image/webp")
ALLOWED = (*IMAGES, "application/pdf")
UNKNOWN = "application/octet-stream"
THUMBNAIL_STATES = ("wanted", "made", "failed")

HEAD_BYTES = 4096
_CHUNK = 256 * 1024
_HEX = frozenset("0123456789abcdef")


class Blob(Base):
    """A file that is whole; its bytes lie in the blob folder under its hash; no id.

    ``content_type`` is what the bytes say they are. ``thumbnail`` is null for what has none.
    """

    __tablename__ = "blob"
    __table_args__ = (
        CheckConstraint(one_of("thumbnail", THUMBNAIL_STATES), name="thumbnail"),
        Index(
            "ix_blob_thumbnail_wanted",
            "created_at",
            sqlite_where=text("thumbnail = 'wanted'"),
            postgresql_where=text("thumbnail = 'wanted'"),
        ),
    )

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = created_at_column()
    size: Mapped[int] = mapped_column(BigId)
    content_type: Mapped[str] = mapped_column(String(80))
    quarantined: Mapped[bool] = mapped_column(default=False)
    thumbnail: Mapped[str | None] = mapped_column(String(8))


# --- where files lie ----------------------------------------------------------------------


def is_sha256(name: str) -> bool:
    """Tell whether a text is a lower-case SHA-256: the only names that become paths."""
    return len(name) == 64 and not set(name) - _HEX


def path_of(folder: Path, sha256: str, *, quarantined: bool = False) -> Path:
    """Where a blob lies; two levels of folders keep each of them small.

    Raises:
        ValueError: when the name is not a lower-case SHA-256.
    """
    return _place(folder / ("quarantine" if quarantined else "blobs"), sha256)


def thumbnail_path(folder: Path, sha256: str) -> Path:
    """Where the small JPEG of an image lies; it can be made again at any time.

    Raises:
        ValueError: when the name is not a lower-case SHA-256.
    """
    return _place(folder / "thumbnails", sha256).with_suffix(".jpg")


def _place(room: Path, sha256: str) -> Path:
    if not is_sha256(sha256):
        raise ValueError("not a SHA-256")
    return room / sha256[:2] / sha256[2:4] / sha256


# --- what a file is -----------------------------------------------------------------------


def content_type(head: bytes) -> str:
    """What the first bytes of a file say it is; ``application/octet-stream`` when they say nothing."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<script", b"<head", b"<body")):
        return "text/html"
    if b"<svg" in start[:1024]:
        return "image/svg+xml"
    return UNKNOWN


_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
    (b"GIF8", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/x-executable"),
)


# --- keeping ------------------------------------------------------------------------------


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def keep(folder: Path, content: bytes) -> str:
    """Write bytes durably under their hash, before the transaction that speaks of them."""
    sha256 = hashlib.sha256(content).hexdigest()
    target = path_of(folder, sha256)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{sha256}.{os.getpid()}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        place(part, target)
    return sha256


def place(part: Path, target: Path) -> None:
    """Give a finished file its name, durably; what lies there has the same content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    entries = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(entries)
    finally:
        os.close(entries)


def note(session: Session, sha256: str, size: int, kind: str) -> Blob:
    """Record a kept file in the database, once, and return what is known of it.

    Args:
        kind: what its bytes say it is; anything not allowed is recorded as quarantined.
    """
    row = {
        "sha256": sha256,
        "created_at": clock.now(),
        "size": size,
        "content_type": kind,
        "quarantined": kind not in ALLOWED,
        "thumbnail": "wanted" if kind in IMAGES else None,
    }
    insert_rows(session, Blob, [row], on_conflict=("sha256",))
    return session.execute(select(Blob).where(Blob.sha256 == sha256)).scalar_one()


def known(session: Session, hashes: Collection[str]) -> dict[str, Blob]:
    """The blobs among these hashes."""
    if not hashes:
        return {}
    rows = session.execute(select(Blob).where(Blob.sha256.in_(hashes))).scalars()
    return {blob.sha256: blob for blob in rows}
