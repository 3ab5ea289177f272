"""Tables of metering: read orders, readings with their checks, consumption, skips."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Json, Quantity, UtcDateTime, created_at_column, id_column, one_of

ORDER_STATUSES = ("open", "held", "done", "skipped", "cancelled")
READING_STATUSES = ("held", "confirmed", "superseded", "discarded")
SOURCES = ("device", "office", "customer", "import", "system")
QUALITIES = (
    "regular",
    "verified",
    "customer",
    "office_estimate",
    "system_estimate",
    "system_prorate",
)
SEVERITIES = ("info", "warn", "hold")
METHODS = ("difference", "rollover", "exchange")
CONSUMPTION_STATUSES = ("active", "superseded", "settled")
SKIP_CODES = (
    "locked",
    "dog",
    "refused",
    "not_found",
    "flooded",
    "dangerous",
    "vacant",
    "unreadable",
)

_CONFIRMED = text("status = 'confirmed' AND order_id IS NOT NULL")
_PERIODIC = text("reason = '01' AND status <> 'cancelled'")
_CAPTURED = text("capture_uuid IS NOT NULL AND status <> 'superseded'")
_UNBILLED = text("bill_id IS NULL AND status = 'active'")
_ACTIVE = text("status <> 'superseded'")


class ReadOrder(Base):
    """The task to read a service point in a period for a reason (抄表任务).

    ``expectations`` holds for each register kind decimals as text: ``previous`` (dial units),
    ``expected``, ``low``, ``high`` (units of supply) and ``days``, the length they are for.
    """

    __tablename__ = "read_order"
    __table_args__ = (
        CheckConstraint(one_of("status", ORDER_STATUSES), name="status"),
        Index(
            "uq_read_order_periodic",
            "service_point_id",
            "period",
            unique=True,
            sqlite_where=_PERIODIC,
            postgresql_where=_PERIODIC,
        ),
        Index("ix_read_order_route", "route_id", "period", "status"),
        Index("ix_read_order_point", "service_point_id", "status"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    route_id: Mapped[int | None] = mapped_column(ForeignKey("route.id"))
    period: Mapped[str] = mapped_column(String(7))
    reason: Mapped[str] = mapped_column(String(2), default="01")
    due: Mapped[date] = mapped_column()
    status: Mapped[str] = mapped_column(String(10), default="open")
    expectations: Mapped[dict[str, dict[str, str]]] = mapped_column(Json, default=dict)


class Reading(Base):
    """What a dial showed at a moment (示数), as captured; a correction is a new row.

    A held reading may lack point, installation, register or value when what was captured names
    none that exists; ``meter_serial`` and ``register_kind`` keep what was keyed. ``code`` is
    the reason of a hold. All registers of one capture share its ``capture_uuid``, and so do the rows
    it was given when it was judged anew; an exchange has a final and an initial reading of a
    register, told apart by ``reason``.
    """

    __tablename__ = "reading"
    read_by_id: ClassVar[bool] = True
    __table_args__ = (
        CheckConstraint(one_of("status", READING_STATUSES), name="status"),
        CheckConstraint(one_of("source", SOURCES), name="source"),
        CheckConstraint(one_of("quality", QUALITIES), name="quality"),
        CheckConstraint(
            "status <> 'confirmed' OR (service_point_id IS NOT NULL"
            " AND installation_id IS NOT NULL AND register_id IS NOT NULL"
            " AND value IS NOT NULL AND confirmed_at IS NOT NULL)",
            name="confirmed_is_whole",
        ),
        CheckConstraint("status <> 'confirmed' OR value >= 0", name="value"),
        Index(
            "uq_reading_order_register",
            "order_id",
            "register_id",
            unique=True,
            sqlite_where=_CONFIRMED,
            postgresql_where=_CONFIRMED,
        ),
        Index(
            "uq_reading_capture_register",
            "capture_uuid",
            "register_kind",
            "reason",
            unique=True,
            sqlite_where=_CAPTURED,
            postgresql_where=_CAPTURED,
        ),
        Index("ix_reading_register_time", "register_id", "read_at"),
        Index("ix_reading_point_time", "service_point_id", "read_at"),
        Index("ix_reading_staff_time", "staff_id", "read_at"),
        Index(
            "ix_reading_held",
            "id",
            sqlite_where=text("status = 'held'"),
            postgresql_where=text("status = 'held'"),
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    order_id: Mapped[int | None] = mapped_column(ForeignKey("read_order.id"))
    service_point_id: Mapped[int | None] = mapped_column(ForeignKey("service_point.id"))
    installation_id: Mapped[int | None] = mapped_column(ForeignKey("installation.id"))
    register_id: Mapped[int | None] = mapped_column(ForeignKey("register.id"))
    register_kind: Mapped[str] = mapped_column(String(16))
    meter_serial: Mapped[str] = mapped_column(String(40))
    value: Mapped[Decimal | None] = mapped_column(Quantity)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quality: Mapped[str] = mapped_column(String(16), default="regular")
    reason: Mapped[str] = mapped_column(String(2), default="01")
    source: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(10))
    code: Mapped[str | None] = mapped_column(String(60))
    capture_uuid: Mapped[UUID | None] = mapped_column()
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    trouble: Mapped[str | None] = mapped_column(String(24))
    note: Mapped[str | None] = mapped_column(String(500))
    lat_e7: Mapped[int | None] = mapped_column()
    lon_e7: Mapped[int | None] = mapped_column()
    accuracy_m: Mapped[int | None] = mapped_column()
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("reading.id"))
    released_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    released_why: Mapped[str | None] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReadingCheck(Base):
    """What a check found about a reading: rule V1–V12, severity, code and figures."""

    __tablename__ = "reading_check"
    __table_args__ = (CheckConstraint(one_of("severity", SEVERITIES), name="severity"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    reading_id: Mapped[int] = mapped_column(ForeignKey("reading.id"), index=True)
    rule: Mapped[str] = mapped_column(String(4))
    severity: Mapped[str] = mapped_column(String(4))
    code: Mapped[str] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Consumption(Base):
    """What was used between two confirmed readings of a register (抄见电量), in units of supply.

    ``account_id`` is the account of the point when the reading was confirmed. ``bill_id`` is
    set once, by the bill that charges it; ``settled`` rows were billed before this system.
    """

    __tablename__ = "consumption"
    __table_args__ = (
        CheckConstraint(one_of("method", METHODS), name="method"),
        CheckConstraint(one_of("status", CONSUMPTION_STATUSES), name="status"),
        CheckConstraint("to_at >= from_at", name="period"),
        CheckConstraint("bill_id IS NULL OR status = 'active'", name="billed_is_active"),
        Index(
            "uq_consumption_reading",
            "reading_id",
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index("ix_consumption_point_time", "service_point_id", "to_at"),
        Index(
            "ix_consumption_unbilled",
            "service_point_id",
            "account_id",
            sqlite_where=_UNBILLED,
            postgresql_where=_UNBILLED,
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    register_kind: Mapped[str] = mapped_column(String(8))
    reading_id: Mapped[int] = mapped_column(ForeignKey("reading.id"))
    previous_reading_id: Mapped[int] = mapped_column(ForeignKey("reading.id"), index=True)
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quantity: Mapped[Decimal] = mapped_column(Quantity)
    method: Mapped[str] = mapped_column(String(10))
    status: Mapped[str] = mapped_column(String(10), default="active")
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"), index=True)


class Skip(Base):
    """Why an order has no reading (未抄原因): a skip is not a reading and not a trouble."""

    __tablename__ = "skip"
    read_by_id: ClassVar[bool] = True
    __table_args__ = (
        CheckConstraint(one_of("skip_code", SKIP_CODES), name="skip_code"),
        Index("ix_skip_point", "service_point_id", "skipped_at"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    order_id: Mapped[int | None] = mapped_column(ForeignKey("read_order.id"), index=True)
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    skip_code: Mapped[str] = mapped_column(String(16))
    note: Mapped[str | None] = mapped_column(String(500))
    skipped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    capture_uuid: Mapped[UUID | None] = mapped_column(unique=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    lat_e7: Mapped[int | None] = mapped_column()
    lon_e7: Mapped[int | None] = mapped_column()


APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "reading": (
        "created_at",
        "order_id",
        "service_point_id",
        "installation_id",
        "register_id",
        "register_kind",
        "meter_serial",
        "value",
        "read_at",
        "quality",
        "reason",
        "source",
        "capture_uuid",
        "staff_id",
        "supersedes_id",
    ),
    "reading_check": ("reading_id", "rule", "severity", "code", "detail"),
    "consumption": (
        "created_at",
        "service_point_id",
        "account_id",
        "register_kind",
        "reading_id",
        "previous_reading_id",
        "from_at",
        "to_at",
        "quantity",
        "method",
    ),
    "skip": (
        "created_at",
        "order_id",
        "service_point_id",
        "skip_code",
        "skipped_at",
        "capture_uuid",
    ),
}
"""Content columns that triggers keep as they were written; the migration makes the triggers."""
