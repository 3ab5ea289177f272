"""A person's decision about a file that has not come, or was refused.

The item it belongs to has counted from the first; what is decided is whether its file is still
waited for. Whoever decides is not the one who captured the item, and every decision is audited by
closing its review item.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from config.settings import Settings
from server import clock, review
from server.blobs import Blob
from server.capture.attachments import NOT_ALLOWED
from server.capture.models import Attachment, CaptureEvent
from server.db import Session
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor


def wait_longer(
    session: Session, actor: Actor, item_id: int, why: str, settings: Settings
) -> Attachment:
    """Give a missing file as long again to come; the handheld hears at each push what it owes.

    A file that came damaged again and again, or that was too large for an earlier limit, is asked
    for anew.

    Raises:
        Invalid: ``review.why`` without a reason.
        Forbidden: ``capture.same_person`` for the person who captured it.
        NotFound: ``review.unknown``.
        Conflict: ``review.closed``; ``attachment.too_large`` while the limit is what it was;
            ``attachment.here`` when there is nothing to wait for.
    """
    slot = _slot(session, actor, item_id, why)
    if session.get(Blob, slot.sha256) is not None:
        raise Conflict("attachment.here", "The bytes are here: there is nothing to wait for.")
    if slot.size > settings.max_attachment_bytes:
        raise Conflict("attachment.too_large", "The file is larger than the limit allows.")
    slot.status, slot.code, slot.failures, slot.overdue_at = "expected", None, 0, None
    slot.wait_until = clock.now() + timedelta(hours=settings.attachment_deadline_hours)
    slot.asked += 1
    review.close(session, actor, item_id, "closed", why)
    return slot


def go_without(session: Session, actor: Actor, item_id: int, why: str) -> Attachment:
    """Let the item stand without its file: nobody is asked for it any more.

    Raises:
        Invalid, Forbidden, NotFound, Conflict: as :func:`wait_longer`.
    """
    slot = _slot(session, actor, item_id, why)
    slot.status = "waived"
    review.close(session, actor, item_id, "discarded", why)
    return slot


def accept_as_it_is(session: Session, actor: Actor, item_id: int, why: str) -> Attachment:
    """Take a file that is here and harmless, though of another kind than was promised.

    Raises:
        Invalid, Forbidden, NotFound: as :func:`wait_longer`.
        Conflict: ``attachment.type_not_allowed`` for what is never shown.
    """
    slot = _slot(session, actor, item_id, why)
    blob = session.get(Blob, slot.sha256)
    if blob is None or blob.quarantined:
        raise Conflict(NOT_ALLOWED, "Such a file is never shown.")
    slot.status, slot.code, slot.received_at = "received", None, clock.now()
    review.close(session, actor, item_id, "released", why)
    return slot


def _slot(session: Session, actor: Actor, item_id: int, why: str) -> Attachment:
    """The slot an open item is about, locked, after the decider has been looked at."""
    actor.require("review", "decide")
    if not why.strip():
        raise Invalid("review.why", "Say why.")
    item = review.waiting(session, item_id)
    slot = session.get(Attachment, int(item.subject_id), with_for_update=True)
    if item.kind != "attachment" or slot is None:
        raise NotFound("review.unknown", f"Review item {item_id} is about no file.")
    author = session.scalar(
        select(CaptureEvent.staff_id).where(CaptureEvent.uuid == slot.capture_uuid)
    )
    if actor.staff_id is not None and actor.staff_id == author:
        raise Forbidden("capture.same_person", "Somebody else must decide about your own capture.")
    return slot
