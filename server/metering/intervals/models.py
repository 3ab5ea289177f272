"""Tables of interval readings: what a dial showed on the hour, corrections, how far a point has come."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import (
    Base,
    BigId,
    Quantity,
    UtcDateTime,
    created_at_column,
    id_column,
    one_of,
)

SOURCES = ("api", "file")


class IntervalReading(Base):
    """What a register showed on the hour, in dial units: once for each point, register and hour.

    ``value`` is the last that was said; what it was before stands in ``interval_correction``.
    """

    __tablename__ = "interval_reading"
    __table_args__ = (
        CheckConstraint(one_of("source", SOURCES), name="source"),
        CheckConstraint("value >= 0", name="value"),
        Index(
            "uq_interval_reading_hour", "service_point_id", "register_kind", "read_at", unique=True
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    installation_id: Mapped[int] = mapped_column(ForeignKey("installation.id"))
    register_kind: Mapped[str] = mapped_column(String(8))
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)
    value: Mapped[Decimal] = mapped_column(Quantity)
    source: Mapped[str] = mapped_column(String(4))
    staff_id: Mapped[int | None] = mapped_column(BigId)


class IntervalCorrection(Base):
    """Another value came for an hour that had one: from which to which, by whom; never changed."""

    __tablename__ = "interval_correction"
    __table_args__ = (Index("ix_interval_correction_reading", "interval_reading_id", "id"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    interval_reading_id: Mapped[int] = mapped_column(BigId, ForeignKey("interval_reading.id"))
    value_before: Mapped[Decimal] = mapped_column(Quantity)
    value_after: Mapped[Decimal] = mapped_column(Quantity)
    source: Mapped[str] = mapped_column(String(4))
    staff_id: Mapped[int | None] = mapped_column(BigId)


class IntervalSource(Base):
    """A point that sends intervals: the first and last hour it has, when anything changed; no id."""

    __tablename__ = "interval_source"

    service_point_id: Mapped[int] = mapped_column(
        ForeignKey("service_point.id"), primary_key=True, autoincrement=False
    )
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "interval_reading": (
        "created_at",
        "service_point_id",
        "installation_id",
        "register_kind",
        "read_at",
    ),
    "interval_correction": (
        "created_at",
        "interval_reading_id",
        "value_before",
        "value_after",
        "source",
        "staff_id",
    ),
}
"""Content columns that triggers keep as they were written; the migration makes the triggers."""
