"""The table of wordings."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, created_at_column, id_column, one_of
from server.notify.rules.mails import VARIANTS


class NoticeTemplate(Base):
    """One version of an operator's own wording of a notice in one language, or of its e-mail.

    The highest `version` is in use; one without `body` goes back to the default. Versions never
    change, so that it can be said later what was in force when.
    """

    __tablename__ = "notice_template"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    event: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(20))
    version: Mapped[int]
    body: Mapped[str | None] = mapped_column(Text)
    staff_id: Mapped[int | None] = mapped_column(BigId)

    __table_args__ = (
        UniqueConstraint("event", "language", "version"),
        CheckConstraint(one_of("language", VARIANTS), name="language"),
    )
