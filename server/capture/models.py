"""Tables of captured facts; their content never changes, only the verdict beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, UtcDateTime, created_at_column, id_column, one_of

VERDICTS = ("applied", "held", "conflict", "rejected")

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
    "field_note": ("capture_uuid", "staff_id", "noted_at", "subject_type", "subject_id", "text"),
}


class CaptureEvent(Base):
    """One item of a device: what was captured, when, where, and what became of it.

    ``captured_at`` is the device's clock; ``skew_ms`` is how far that clock was ahead of ours
    when it sent. ``payload`` is the item as it came, unknown fields included. ``verdict`` is what
    the device was told, for ever; ``decision`` is what a person did about it afterwards.
    """

    __tablename__ = "capture_event"
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


class DeviceSequence(Base):
    """A run of item numbers received from a device, without a gap in it; no id."""

    __tablename__ = "device_sequence"

    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigId)
