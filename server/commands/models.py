"""Tables of texted commands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, created_at_column, id_column


class CommandRun(Base):
    """A command that was carried out or refused: one text, one row, whatever is tried again.

    Its effect and the answer stand in the same transaction; what became of it is on the text.
    """

    __tablename__ = "command_run"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    inbound_id: Mapped[int] = mapped_column(BigId, ForeignKey("inbound_message.id"), unique=True)
    command: Mapped[str] = mapped_column(String(40))
    contact_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("contact.id"))
    arguments: Mapped[dict[str, Any]] = mapped_column(Json)
