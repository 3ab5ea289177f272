"""Tables of captured facts; their content never changes, only the verdict beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, UtcDateTime, created_at_column, id_column, one_of

VERDICTS = ("applied", "held", "conflict", "rejected")
ATTACHMENT_STATUSES = ("expected", "received", "refused", "waived")

APPEND_ONLY = {
    "capture_event": (
        "uuid",
        "device_id",
        "staff_id",
        "seq",
        "type",
        "captured_at",
        "received_at",
        "payload",
        "payload_hash",
    ),
    "capture_variant": ("uuid", "device_id", "payload", "payload_hash", "received_at"),
    "capture_reject": ("device_id", "body", "code", "received_at"),
    "attachment": ("capture_uuid", "position", "device_id", "sha256", "size", "type", "name"),
    "field_note": ("capture_uuid", "staff_id", "noted_at", "subject_type", "subject_id", "text"),
}


class CaptureEvent(Base):
    """One item of a device: what was captured, when, where, and what became of it.

    ``captured_at`` is the device's clock; ``skew_ms`` is how far that clock was ahead of ours
    when it sent. ``payload`` is the item as it came, unknown fields included. ``verdict`` is what
    the device was told, for ever; ``decision`` is what a person did about it afterwards.
    """

    __tablename__ = "capture_event"
    read_by_id: ClassVar[bool] = True
    __table_args__ = (
        CheckConstraint(one_of("verdict", VERDICTS), name="verdict"),
        Index("ix_capture_event_device_seq", "device_id", "seq"),
        Index("ix_capture_event_received", "received_at"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    uuid: Mapped[UUID] = mapped_column(Uuid, unique=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    seq: Mapped[int | None] = mapped_column(BigId)
    type: Mapped[str] = mapped_column(String(40))
    captured_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    skew_ms: Mapped[int | None] = mapped_column(BigId)
    lat_e7: Mapped[int | None] = mapped_column()
    lon_e7: Mapped[int | None] = mapped_column()
    accuracy_m: Mapped[int | None] = mapped_column()
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    payload_hash: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(8), default="applied")
    code: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str | None] = mapped_column(String(255))
    field: Mapped[str | None] = mapped_column(String(80))
    decision: Mapped[str | None] = mapped_column(String(12))


class CaptureVariant(Base):
    """Another content under an id that is taken: kept for review, never applied."""

    __tablename__ = "capture_variant"
    __table_args__ = (Index("uq_capture_variant_content", "uuid", "payload_hash", unique=True),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    uuid: Mapped[UUID] = mapped_column(Uuid)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    payload_hash: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CaptureReject(Base):
    """Something sent that is not an item with an id: kept as text so that it can be found."""

    __tablename__ = "capture_reject"
    __table_args__ = (Index("uq_capture_reject_body", "device_id", "body_hash", unique=True),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    body: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigId)
    code: Mapped[str] = mapped_column(String(60))
    message: Mapped[str] = mapped_column(String(255))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FieldNote(Base):
    """Free words of a rep, about a thing of ours or about nothing in particular."""

    __tablename__ = "field_note"
    __table_args__ = (Index("ix_field_note_subject", "subject_type", "subject_id"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    capture_uuid: Mapped[UUID] = mapped_column(Uuid, unique=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    noted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject_type: Mapped[str | None] = mapped_column(String(16))
    subject_id: Mapped[int | None] = mapped_column(BigId)
    text: Mapped[str] = mapped_column(String(1000))


class Attachment(Base):
    """A file that belongs to an item, expected until its bytes are here: a slot.

    What the device told of it stands in ``size``, ``type`` and ``name``; ``name`` is data, never a
    path. ``code`` says why it was refused. ``failures`` counts uploads whose hash was not the
    promised one; ``overdue_at`` is when the office was told that it is missing, ``wait_until`` and
    ``asked`` until when and how often it gave the file more time. Nobody waits for a ``waived`` one.
    """

    __tablename__ = "attachment"
    __table_args__ = (
        CheckConstraint(one_of("status", ATTACHMENT_STATUSES), name="status"),
        Index("uq_attachment_place", "capture_uuid", "position", unique=True),
        Index("ix_attachment_sha256", "sha256"),
        Index(
            "ix_attachment_expected",
            "device_id",
            "id",
            sqlite_where=text("status = 'expected'"),
            postgresql_where=text("status = 'expected'"),
        ),
        Index(
            "ix_attachment_overdue",
            "created_at",
            sqlite_where=text("status = 'expected' AND overdue_at IS NULL"),
            postgresql_where=text("status = 'expected' AND overdue_at IS NULL"),
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    capture_uuid: Mapped[UUID] = mapped_column(ForeignKey("capture_event.uuid"))
    position: Mapped[int] = mapped_column()
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigId)
    type: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(8), default="expected")
    code: Mapped[str | None] = mapped_column(String(60))
    failures: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    wait_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    asked: Mapped[int] = mapped_column(default=0)


class DeviceSequence(Base):
    """A run of item numbers received from a device, without a gap in it; no id.

    ``since`` is when the run began to stand apart from the one before it: the age of that gap.
    """

    __tablename__ = "device_sequence"

    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigId)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
