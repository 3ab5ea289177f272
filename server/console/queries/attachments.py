"""Photos and documents of captured items."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select, true

from server.blobs import Blob
from server.capture.models import Attachment, CaptureEvent
from server.db import Session
from server.identity.models import Staff
from server.rounds.scope import Scope


def visible(seen: Scope) -> Select[Attachment]:
    """The slots of items that visible people captured."""
    mine = (
        true() if seen.sees_all else CaptureEvent.staff_id.in_(select(Staff.id).where(seen.staff()))
    )
    return (
        select(Attachment)
        .join(CaptureEvent, CaptureEvent.uuid == Attachment.capture_uuid)
        .where(mine)
    )


def of_capture(session: Session, seen: Scope, uuid: UUID) -> Sequence[Attachment]:
    """The slots of one item in the order the handheld named them; none when it is not visible."""
    return (
        session.execute(
            visible(seen).where(Attachment.capture_uuid == uuid).order_by(Attachment.position)
        )
        .scalars()
        .all()
    )


def one(session: Session, seen: Scope, attachment_id: int) -> tuple[Attachment, Blob] | None:
    """A visible file that has come and may be shown, with what its bytes are."""
    slot = session.execute(
        visible(seen).where(Attachment.id == attachment_id, Attachment.status == "received")
    ).scalar_one_or_none()
    blob = session.get(Blob, slot.sha256) if slot is not None else None
    if slot is None or blob is None or blob.quarantined:
        return None
    return slot, blob
