"""Tables of notices to very many phones: what is said, and to whom until the messages exist."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, Money, UtcDateTime, created_at_column, id_column, one_of

FAN_OUT_STATES = ("open", "done", "cancelled", "stopped")


class FanOut(Base):
    """One notice to many phones, worded when it was announced. `key` is the caller's name for it.

    The messages of recipients up to the phone `through` exist; `total` counts all recipients, `made`
    those that have their message, `cost` what these cost when they were queued. It stops before it
    would cost more than `budget`; `error` is the code of what stopped it.
    """

    __tablename__ = "fan_out"
    __table_args__ = (CheckConstraint(one_of("status", FAN_OUT_STATES), name="status"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    key: Mapped[str] = mapped_column(String(160), unique=True)
    event: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(30))
    priority: Mapped[int]
    texts: Mapped[dict[str, str]] = mapped_column(Json)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(10), default="open", index=True)
    total: Mapped[int] = mapped_column(default=0)
    made: Mapped[int] = mapped_column(default=0, server_default="0")
    cost: Mapped[Decimal] = mapped_column(Money, default=Decimal(0), server_default="0")
    budget: Mapped[Decimal | None] = mapped_column(Money)
    through: Mapped[str] = mapped_column(String(254), default="")
    error: Mapped[str | None] = mapped_column(String(60))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    staff_id: Mapped[int | None] = mapped_column(BigId)


class FanOutRecipient(Base):
    """One phone that a fan-out has to reach; no id, no created_at. Gone when the fan-out has ended."""

    __tablename__ = "fan_out_recipient"

    fan_out_id: Mapped[int] = mapped_column(BigId, ForeignKey("fan_out.id"), primary_key=True)
    phone: Mapped[str] = mapped_column(String(254), primary_key=True)
    language: Mapped[str | None] = mapped_column(String(20))
    contact_id: Mapped[int | None] = mapped_column(BigId)
    account_id: Mapped[int | None] = mapped_column(BigId)
