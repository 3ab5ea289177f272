"""Tills, the sessions in which they are open, and the cash that reps hand in."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Money, UtcDateTime, created_at_column, id_column, one_of, only

SESSION_STATUSES = ("open", "counted", "closed")


class Till(Base):
    """A drawer at a counter."""

    __tablename__ = "till"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    code: Mapped[str] = mapped_column(String(24), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    org_unit_id: Mapped[int | None] = mapped_column(ForeignKey("org_unit.id"))
    active: Mapped[bool] = mapped_column(default=True)


class TillSession(Base):
    """A till from opening to closing, in one cashier's hands.

    ``floated`` is the change it was opened with. When it was counted, ``expected`` is what the ledger
    says and ``difference`` counted − expected; one above the limit waits for a second person.
    """

    __tablename__ = "till_session"
    __table_args__ = (
        CheckConstraint(one_of("status", SESSION_STATUSES), name="status"),
        CheckConstraint("(status = 'open') = (counted IS NULL)", name="counted"),
        Index("uq_till_session_till", "till_id", unique=True, **only("status <> 'closed'")),
        Index("uq_till_session_staff", "staff_id", unique=True, **only("status = 'open'")),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    till_id: Mapped[int] = mapped_column(ForeignKey("till.id"))
    staff_id: Mapped[int] = mapped_column(BigId)
    status: Mapped[str] = mapped_column(String(8), default="open")
    floated: Mapped[Decimal] = mapped_column(Money)
    expected: Mapped[Decimal | None] = mapped_column(Money)
    counted: Mapped[Decimal | None] = mapped_column(Money)
    difference: Mapped[Decimal | None] = mapped_column(Money)
    reason: Mapped[str | None] = mapped_column(String(255))
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by_id: Mapped[int | None] = mapped_column(BigId)
    journal_id: Mapped[int | None] = mapped_column(ForeignKey("journal.id"))


class CashHandover(Base):
    """The cash of a rep as it was counted into a till; ``difference`` is counted − expected."""

    __tablename__ = "cash_handover"
    __table_args__ = (
        CheckConstraint("difference = counted - expected", name="difference"),
        Index("ix_cash_handover_till", "till_session_id"),
        Index("ix_cash_handover_staff", "staff_id", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    staff_id: Mapped[int] = mapped_column(BigId)
    till_session_id: Mapped[int] = mapped_column(ForeignKey("till_session.id"))
    expected: Mapped[Decimal] = mapped_column(Money)
    counted: Mapped[Decimal] = mapped_column(Money)
    difference: Mapped[Decimal] = mapped_column(Money)
    reason: Mapped[str | None] = mapped_column(String(255))
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))
