"""Photos and documents of the field, as files that can do nothing in a browser."""

from __future__ import annotations

from pathlib import PurePosixPath

from flask import Response, request, send_file

from server import blobs
from server.blobs import Blob
from server.capture.models import Attachment
from server.console import entry, scope
from server.console.queries import attachments
from server.db import snapshot
from server.errors import NotFound

ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
}
SANDBOX = "default-src 'none'; sandbox"


def one(attachment_id: int) -> Response:
    """A photo to look at, or a document to save; ``?small`` gives the small picture of a photo."""
    with snapshot() as session:
        seen = scope.of(session, "captures", "view")
        slot, blob = scope.found(attachments.one(session, seen, attachment_id), "attachment")
    folder = entry.settings().var_dir.absolute()
    path, kind = blobs.path_of(folder, blob.sha256), blob.content_type
    if "small" in request.args and blob.thumbnail == "made":
        small = blobs.thumbnail_path(folder, blob.sha256)
        path, kind = (small, "image/jpeg") if small.exists() else (path, kind)
    if not path.exists():
        raise NotFound("attachment.unknown", "There is no such thing, or it is not yours to see.")
    response = send_file(
        path,
        mimetype=kind,
        as_attachment=kind not in blobs.IMAGES,
        download_name=_name(slot, blob),
        etag=False,
        max_age=3600,
    )
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def _name(slot: Attachment, blob: Blob) -> str:
    """The name to save a file under: the handheld's words without a path, the ending by content."""
    stem = PurePosixPath(slot.name.replace("\\", "/")).stem
    plain = "".join(c for c in stem if c.isprintable() and c not in '<>:"|?*').strip(" .")
    return f"{plain or f'attachment-{slot.id}'}{ENDINGS[blob.content_type]}"
