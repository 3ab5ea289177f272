"""Small JPEGs of photos, made by the worker; what cannot be made small safely is left alone."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps
from sqlalchemy import select, update

from server import blobs
from server.blobs import Blob
from server.db import Session

logger = logging.getLogger(__name__)

EDGE = 320
MOST_PIXELS = 40_000_000
"""A few kilobytes can unfold to gigabytes; no handheld's camera makes more than this."""
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def wanted(session: Session, limit: int) -> list[Blob]:
    """Photos that have no thumbnail yet, the oldest first."""
    rows = session.execute(
        select(Blob).where(Blob.thumbnail == "wanted").order_by(Blob.created_at).limit(limit)
    ).scalars()
    return list(rows)


def make(folder: Path, blob: Blob) -> bool:
    """Write the thumbnail of a photo; False when the photo is none or would unfold too far."""
    source = blobs.path_of(folder, blob.sha256)
    target = blobs.thumbnail_path(folder, blob.sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            _shrink(source, part, FORMATS[blob.content_type])
        part.replace(target)
    except Exception as error:  # noqa: BLE001 - a hostile or broken image may fail in any way
        logger.warning("no thumbnail of %s: %s", blob.sha256, type(error).__name__)
        part.unlink(missing_ok=True)
        return False
    return True


def _shrink(source: Path, part: Path, kind: str) -> None:
    with Image.open(source, formats=[kind]) as photo:
        if photo.width * photo.height > MOST_PIXELS:
            raise Image.DecompressionBombError(f"{photo.width} x {photo.height}")
        photo.draft("RGB", (EDGE * 2, EDGE * 2))
        photo.thumbnail((EDGE, EDGE))
        upright = ImageOps.exif_transpose(photo)
        upright.convert("RGB").save(part, "JPEG", quality=70)


def note(session: Session, made: Sequence[str], failed: Sequence[str]) -> None:
    """Record which thumbnails are there and which cannot be made."""
    for state, hashes in (("made", made), ("failed", failed)):
        if hashes:
            session.execute(update(Blob).where(Blob.sha256.in_(hashes)).values(thumbnail=state))


def forget_all(session: Session) -> None:
    """Have every thumbnail made again, as after a restore."""
    session.execute(update(Blob).where(Blob.thumbnail.is_not(None)).values(thumbnail="wanted"))
