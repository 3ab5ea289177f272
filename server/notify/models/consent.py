"""Tables of what phones have refused, what operators rule about categories, and holidays."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import CheckConstraint, Date, String, Time, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Money, created_at_column, id_column, one_of
from server.notify.rules.categories import CATEGORIES, REFUSABLE

REFUSAL_SOURCES = ("text", "console", "api", "import")


class PhoneRefusal(Base):
    """A phone refuses a category since `created_at`; when it is taken back the row goes.

    `source` says by which way, `note` in which words or for what reason, `staff_id` who did it for
    the customer. Both directions are in the audit trail.
    """

    __tablename__ = "phone_refusal"
    __table_args__ = (
        UniqueConstraint("phone", "category"),
        CheckConstraint(one_of("category", REFUSABLE), name="category"),
        CheckConstraint(one_of("source", REFUSAL_SOURCES), name="source"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    phone: Mapped[str] = mapped_column(String(254))
    category: Mapped[str] = mapped_column(String(30))
    source: Mapped[str] = mapped_column(String(10))
    note: Mapped[str | None] = mapped_column(String(160))
    staff_id: Mapped[int | None] = mapped_column(BigId)


class NoticePolicy(Base):
    """An operator's own rules for a category (`rules.categories.Policy`); no row: the default."""

    __tablename__ = "notice_policy"
    __table_args__ = (
        CheckConstraint(one_of("category", CATEGORIES), name="category"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="quiet"),
        CheckConstraint("cap_count >= 0 AND cap_hours > 0", name="cap"),
        CheckConstraint("spread_minutes >= 0", name="spread"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    category: Mapped[str] = mapped_column(String(30), unique=True)
    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_to: Mapped[time | None] = mapped_column(Time)
    quiet_holidays: Mapped[bool]
    spread_minutes: Mapped[int]
    cap_count: Mapped[int | None]
    cap_hours: Mapped[int]
    budget_day: Mapped[Decimal | None] = mapped_column(Money)
    budget_month: Mapped[Decimal | None] = mapped_column(Money)


class Holiday(Base):
    """A day on which some categories keep quiet, in the recipient's calendar."""

    __tablename__ = "holiday"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    day: Mapped[date] = mapped_column(Date, unique=True)
    name: Mapped[str] = mapped_column(String(60))
