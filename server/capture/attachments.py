"""Slots of files: what items promised, what has come, what is missing or was refused.

A slot is written in the transaction that stores its item. Its bytes come later, in pieces, from
that device or from any other that holds the same content. An item never waits for its files: a
reading counts at once, and a file that does not come is shown to the office.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select, update

from server import blobs, clock, review
from server.blobs import Blob
from server.capture.attached import Attached
from server.capture.items import Item, Sender
from server.capture.models import Attachment, CaptureEvent
from server.db import Session, insert_rows, run, take_ids, update_rows
from server.identity.actor import SYSTEM
from server.identity.models import Staff

NEED_LIMIT = 500
FAILURES_SHOWN = 3
OVERDUE_BATCH = 500

TOO_LARGE = "attachment.too_large"
NOT_ALLOWED = "attachment.type_not_allowed"
MISMATCH = "attachment.type_mismatch"
HASH_MISMATCH = "attachment.hash_mismatch"
OVERDUE = "attachment.overdue"


@dataclass(frozen=True)
class Slot:
    """What a device may send under a hash: the size it promised and how things stand.

    ``held`` says that the bytes are here, so that nothing is left to send.
    """

    size: int
    status: str
    code: str | None
    held: bool


def judged(promised: str, blob: Blob) -> tuple[str, str | None]:
    """(status, code) of a slot whose bytes are here, by what they were promised to be."""
    if blob.quarantined:
        return "refused", NOT_ALLOWED
    if promised != blob.content_type:
        return "refused", MISMATCH
    return "received", None


# --- promised -----------------------------------------------------------------------------


def expect(session: Session, sender: Sender, items: Iterable[Item]) -> None:
    """Write the slots of new items; bytes that are here already need not come again."""
    wanted = [(item, n, a) for item in items for n, a in enumerate(item.attachments)]
    if not wanted:
        return
    here = blobs.known(session, {attached.sha256 for _, _, attached in wanted})
    ids = take_ids(session, {Attachment: len(wanted)})[Attachment]
    limit = sender.settings.max_attachment_bytes
    rows = [
        _row(number, sender, item, place, attached, _at_first(attached, here, limit))
        for number, (item, place, attached) in zip(ids, wanted, strict=True)
    ]
    insert_rows(session, Attachment, rows)
    _show(session, [row["id"] for row in rows if row["status"] == "refused"])


def _at_first(attached: Attached, here: dict[str, Blob], limit: int) -> tuple[str, str | None]:
    if attached.sha256 in here:
        return judged(attached.type, here[attached.sha256])
    return ("refused", TOO_LARGE) if attached.size > limit else ("expected", None)


def _row(
    number: int,
    sender: Sender,
    item: Item,
    place: int,
    attached: Attached,
    state: tuple[str, str | None],
) -> dict[str, Any]:
    status, code = state
    return {
        "id": number,
        "created_at": sender.received_at,
        "capture_uuid": item.uuid,
        "position": place,
        "device_id": sender.device_id,
        "sha256": attached.sha256,
        "size": attached.size,
        "type": attached.type,
        "name": attached.name,
        "status": status,
        "code": code,
        "failures": 0,
        "asked": 0,
        "received_at": sender.received_at if status == "received" else None,
    }


def needed(session: Session, device_id: int, limit: int = NEED_LIMIT) -> list[str]:
    """The hashes a device still owes, the oldest promise first."""
    return [row[0] for row in run(session, _NEEDED, {"device_id": device_id, "most": limit})]


_NEEDED = (
    select(Attachment.sha256)
    .where(Attachment.device_id == bindparam("device_id"), Attachment.status == "expected")
    .group_by(Attachment.sha256)
    .order_by(func.min(Attachment.id))
    .limit(bindparam("most"))
)


def slot_of(session: Session, device_id: int, sha256: str) -> Slot | None:
    """What a device may send under a hash; None when it never promised such a file."""
    rows = session.execute(
        select(Attachment.size, Attachment.status, Attachment.code)
        .where(
            Attachment.device_id == device_id,
            Attachment.sha256 == sha256,
            Attachment.status != "waived",
        )
        .order_by(Attachment.status != "expected", Attachment.id)
        .limit(1)
    ).all()
    if not rows:
        return None
    size, status, code = rows[0]
    blob = session.get(Blob, sha256)
    if blob is not None:
        return Slot(blob.size, status, code, held=True)
    return Slot(size, status, code, held=False)


def of_captures(session: Session, uuids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """The slots of items in the order the handheld named the files."""
    rows = session.execute(
        select(Attachment)
        .where(Attachment.capture_uuid.in_(uuids))
        .order_by(Attachment.capture_uuid, Attachment.position)
    ).scalars()
    found: dict[UUID, list[Attachment]] = {}
    for slot in rows:
        found.setdefault(slot.capture_uuid, []).append(slot)
    return found


def is_waited_for(session: Session, sha256: str) -> bool:
    """Whether any slot waits for these bytes."""
    waiting = select(Attachment.id).where(
        Attachment.sha256 == sha256, Attachment.status == "expected"
    )
    return session.execute(waiting.limit(1)).first() is not None


# --- come ---------------------------------------------------------------------------------


def arrived(session: Session, blob: Blob) -> dict[str, int]:
    """Fill every slot that waits for these bytes, whoever promised them; counts by status."""
    waiting = session.execute(
        select(Attachment.id, Attachment.type)
        .where(Attachment.sha256 == blob.sha256, Attachment.status == "expected")
        .order_by(Attachment.id)
        .with_for_update()
    ).all()
    now = clock.now()
    states = {number: judged(promised, blob) for number, promised in waiting}
    rows = [
        {
            "id": number,
            "status": status,
            "code": code,
            "received_at": now if status == "received" else None,
        }
        for number, (status, code) in states.items()
    ]
    update_rows(session, Attachment, ("id",), rows)
    received = [number for number, (status, _) in states.items() if status == "received"]
    refused = [number for number, (status, _) in states.items() if status == "refused"]
    if received:
        review.close_for(session, SYSTEM, "attachment", received, "closed", "The file has come.")
    _show(session, refused)
    return {"received": len(received), "refused": len(refused)}


def note_mismatch(session: Session, device_id: int, sha256: str) -> int:
    """Count an upload whose bytes were others than promised; the office learns of repeated ones."""
    session.execute(
        update(Attachment)
        .where(
            Attachment.device_id == device_id,
            Attachment.sha256 == sha256,
            Attachment.status == "expected",
        )
        .values(failures=Attachment.failures + 1)
    )
    rows = session.execute(
        select(Attachment.id, Attachment.failures).where(
            Attachment.device_id == device_id,
            Attachment.sha256 == sha256,
            Attachment.status == "expected",
        )
    ).all()
    _show(session, [number for number, n in rows if n >= FAILURES_SHOWN], HASH_MISMATCH)
    return max((n for _, n in rows), default=0)


def lost(session: Session, hashes: Sequence[str]) -> int:
    """Expect files again whose bytes are gone, such as those a backup could not read."""
    rows = session.execute(
        select(Attachment.id).where(
            Attachment.sha256.in_(hashes), Attachment.status.in_(("received", "refused"))
        )
    ).scalars()
    again = [
        {"id": number, "status": "expected", "code": None, "received_at": None, "overdue_at": None}
        for number in rows
    ]
    update_rows(session, Attachment, ("id",), again)
    return len(again)


# --- missing ------------------------------------------------------------------------------


def raise_overdue(session: Session, deadline_hours: int) -> int:
    """Show the office the files that have not come in time; returns how many are new."""
    now = clock.now()
    rows = session.execute(
        select(Attachment.id, Attachment.sha256)
        .where(
            Attachment.status == "expected",
            Attachment.overdue_at.is_(None),
            Attachment.created_at < now - timedelta(hours=deadline_hours),
            or_(Attachment.wait_until.is_(None), Attachment.wait_until < now),
        )
        .order_by(Attachment.created_at)
        .limit(OVERDUE_BATCH)
    ).all()
    # A slot written while the same bytes were just coming in from elsewhere may have missed them.
    here = blobs.known(session, {sha256 for _, sha256 in rows})
    for blob in here.values():
        arrived(session, blob)
    late = [number for number, sha256 in rows if sha256 not in here]
    update_rows(session, Attachment, ("id",), [{"id": n, "overdue_at": now} for n in late])
    _show(session, late, OVERDUE)
    return len(late)


def _show(session: Session, slot_ids: Sequence[int], reason: str | None = None) -> None:
    """Put slots into the review queue, each once per reason, where its rep's team sees them."""
    if not slot_ids:
        return
    rows = session.execute(
        select(Attachment, CaptureEvent, Staff.org_unit_id)
        .join(CaptureEvent, CaptureEvent.uuid == Attachment.capture_uuid)
        .join(Staff, Staff.id == CaptureEvent.staff_id)
        .where(Attachment.id.in_(slot_ids))
    )
    review.raise_items(
        session,
        [_item(slot, event, unit, reason or slot.code or "") for slot, event, unit in rows],
    )


def _item(slot: Attachment, event: CaptureEvent, unit: int | None, reason: str) -> review.NewItem:
    return review.NewItem(
        key=f"attachment:{slot.id}:{reason}" + (f":{slot.asked}" if slot.asked else ""),
        kind="attachment",
        reason=reason,
        subject_type="attachment",
        subject_id=slot.id,
        detail={
            "capture": str(event.uuid),
            "type": event.type,
            "device_id": slot.device_id,
            "name": slot.name,
            "promised": slot.type,
            "size": slot.size,
            "sha256": slot.sha256,
        },
        org_unit_id=unit,
        lat_e7=event.lat_e7,
        lon_e7=event.lon_e7,
    )
