"""``/attachments/<sha256>``: files come in pieces, by their hash, and go on where the link broke.

``HEAD`` tells in ``Upload-Offset`` how many bytes are here, ``PATCH`` appends at that offset. The
file is complete when size and hash agree with the promise of an item; only then has it a name.
"""

from __future__ import annotations

from pathlib import Path

from flask import Response, request

from config.settings import Settings
from server import blobs
from server.capture import attachments
from server.capture.attachments import Slot
from server.db import snapshot, transaction
from server.errors import Conflict, Invalid, NotFound, TooLarge
from server.identity.service import CallingDevice
from server.sync import parts
from server.sync.caller import calling_device, json_answer
from server.sync.parts import Part

OFFSET, LENGTH = "Upload-Offset", "Upload-Length"
CHUNK = 256 * 1024
"""How much a device is advised to send at once."""


class AttachmentFace:
    """The two requests by which a device sends a file."""

    def __init__(self, settings: Settings) -> None:
        self.folder: Path = settings.var_dir.absolute()
        self.chunk_limit = settings.max_body_bytes

    def head(self, sha256: str) -> Response:
        """Tell how much of a file is here; all of it when nothing is left to send."""
        device = calling_device()
        slot = _slot(device, sha256)
        if slot.held:
            _settle(sha256)
            return _told(Response(status=200), slot.size, slot.size)
        here = parts.received(self.folder, device.id, sha256)
        return _told(Response(status=200), here, slot.size)

    def patch(self, sha256: str) -> Response:
        """Append a piece of a file; revoked devices may still hand in what they promised."""
        device = calling_device()
        offset = _offset()
        slot = _slot(device, sha256)
        if slot.held:
            return _answer(_settle(sha256) or slot, slot.size)
        self._check_length()
        with parts.locked(self.folder, device.id, sha256) as part:
            if part.size != offset:
                raise _wrong_offset(part.size)
            part.append(request.stream, slot.size - offset)
            here = part.size
            if here < slot.size:
                return _answer(slot, here)
            kind = self._complete(device, sha256, part)
        with transaction() as session:
            blob = blobs.note(session, sha256, here, kind)
            attachments.arrived(session, blob)
        return _answer(_slot(device, sha256), here)

    def _check_length(self) -> None:
        length = request.content_length
        if length is not None and length > self.chunk_limit:
            raise TooLarge(
                "sync.body_too_large", "Send smaller pieces.", {"max_bytes": self.chunk_limit}
            )

    def _complete(self, device: CallingDevice, sha256: str, part: Part) -> str:
        """Give a whole file its place and say what it is.

        Raises:
            Invalid: ``attachment.hash_mismatch`` when the bytes are not the promised ones.
        """
        if blobs.hash_of(part.path) != sha256:
            part.drop()
            with transaction() as session:
                attachments.note_mismatch(session, device.id, sha256)
            raise Invalid(
                attachments.HASH_MISMATCH,
                "The bytes are not those that were promised; send the file again from its start.",
                {"upload_offset": 0},
            )
        kind = blobs.content_type(part.head())
        quarantined = kind not in blobs.ALLOWED
        blobs.place(part.path, blobs.path_of(self.folder, sha256, quarantined=quarantined))
        return kind


def _slot(device: CallingDevice, sha256: str) -> Slot:
    """What this device promised under a hash.

    Raises:
        NotFound: ``attachment.not_expected``, whoever else may have promised it.
    """
    slot = None
    if blobs.is_sha256(sha256):
        with snapshot() as session:
            slot = attachments.slot_of(session, device.id, sha256)
    if slot is None or (slot.status == "refused" and not slot.held):
        raise NotFound("attachment.not_expected", "No item of this handheld names this file.")
    return slot


def _settle(sha256: str) -> Slot | None:
    """Fill slots that were written while the same bytes were just coming in from elsewhere."""
    with snapshot() as session:
        waiting = attachments.is_waited_for(session, sha256)
    if not waiting:
        return None
    with transaction() as session:
        blob = blobs.known(session, {sha256})[sha256]
        attachments.arrived(session, blob)
    status, code = attachments.judged(blob.content_type, blob)
    return Slot(blob.size, status, code, held=True)


def _offset() -> int:
    """Where the piece begins.

    Raises:
        Invalid: ``attachment.no_offset``.
    """
    text = request.headers.get(OFFSET, "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Invalid("attachment.no_offset", f"The request needs the header {OFFSET}.")
    return int(text)


def _wrong_offset(here: int) -> Conflict:
    return Conflict(
        "attachment.wrong_offset", "The piece does not fit what is here.", {"upload_offset": here}
    )


def _told(response: Response, offset: int, length: int) -> Response:
    response.headers[OFFSET] = str(offset)
    response.headers[LENGTH] = str(length)
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer(slot: Slot, here: int) -> Response:
    body = {"offset": here, "size": slot.size, "status": slot.status, "code": slot.code}
    return _told(json_answer(body), here, slot.size)
