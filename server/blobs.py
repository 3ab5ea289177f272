"""Files by content hash: the same bytes are one file, whoever sent them and however often."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Session, created_at_column


class Blob(Base):
    """A file that is whole; its bytes lie in the blob folder under its hash; no id."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = created_at_column()
    size: Mapped[int] = mapped_column(BigId)
    content_type: Mapped[str] = mapped_column(String(80))


def path_of(folder: Path, sha256: str) -> Path:
    """Where a blob lies; two levels of folders keep each of them small.

    Raises:
        ValueError: when the name is not a lower-case SHA-256.
    """
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError("not a SHA-256")
    return folder / "blobs" / sha256[:2] / sha256[2:4] / sha256


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
        part.replace(target)
    return sha256


def note(session: Session, sha256: str, size: int, content_type: str) -> Blob:
    """Record a kept file in the database, once."""
    blob = session.get(Blob, sha256)
    if blob is None:
        blob = Blob(sha256=sha256, size=size, content_type=content_type)
        session.add(blob)
    return blob
