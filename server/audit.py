"""The audit trail: who did what to which thing, before and after; rows never change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server import logs
from server.db import Base, BigId, Json, Session, created_at_column, id_column

APPEND_ONLY = (
    "created_at",
    "actor_kind",
    "actor_id",
    "action",
    "subject_type",
    "subject_id",
    "before",
    "after",
)


class AuditEvent(Base):
    """One act on one thing; ``before`` and ``after`` hold the fields that changed."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_subject", "subject_type", "subject_id"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    actor_kind: Mapped[str] = mapped_column(String(12))
    actor_id: Mapped[int | None] = mapped_column(BigId)
    actor_name: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    request_id: Mapped[str | None] = mapped_column(String(40))


class Acting(Protocol):
    """What the trail needs to know of whoever acts; ``identity.Actor`` is one."""

    @property
    def kind(self) -> str:
        """``staff``, ``device`` or ``system``."""

    @property
    def id(self) -> int | None:
        """The id of the person or device, none for the system itself."""

    @property
    def name(self) -> str:
        """How the actor is called when the row is read."""


def record(
    session: Session,
    actor: Acting,
    action: str,
    subject_type: str,
    subject_id: object,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one row of the trail in the transaction of the act itself."""
    session.add(
        AuditEvent(
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            subject_type=subject_type,
            subject_id=str(subject_id),
            before=before,
            after=after,
            request_id=logs.request_id(),
        )
    )
