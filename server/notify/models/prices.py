"""Tables of money: what a segment costs at which gateway, what may be and what was spent."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Date, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Money, UtcDateTime, created_at_column, id_column


class GatewayPrice(Base):
    """The price of a segment to numbers with `prefix` from `valid_from` until before `valid_to`."""

    __tablename__ = "gateway_price"
    __table_args__ = (
        UniqueConstraint("gateway_id", "prefix", "valid_from"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    prefix: Mapped[str] = mapped_column(String(16), default="")
    price: Mapped[Decimal] = mapped_column(Money)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BudgetUse(Base):
    """What was queued of a category with a budget in a `period` (`2026-11` or `2026-11-22`), priced."""

    __tablename__ = "budget_use"
    __table_args__ = (UniqueConstraint("category", "period"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    category: Mapped[str] = mapped_column(String(30))
    period: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(Money)


class MessageDay(Base):
    """What one gateway did in one day of the operator's calendar for one event and carrier.

    `carrier` is the network that the number belongs to by its prefix. Kept when the messages
    themselves are anonymised.
    """

    __tablename__ = "message_day"
    __table_args__ = (UniqueConstraint("day", "gateway_id", "event", "category", "carrier"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    day: Mapped[date] = mapped_column(Date)
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    event: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(30))
    carrier: Mapped[str] = mapped_column(String(60))
    messages: Mapped[int]
    segments: Mapped[int]
    accepted: Mapped[int]
    delivered: Mapped[int]
    failed: Mapped[int]
    cost: Mapped[Decimal] = mapped_column(Money)


class NoticeSetup(Base):
    """One row whose `token` changes with every change of templates, terms, prices and policies.

    Messages up to `forgotten_through` have been anonymised.
    """

    __tablename__ = "notice_setup"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    token: Mapped[str] = mapped_column(String(24))
    forgotten_through: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
