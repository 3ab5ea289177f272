"""Tables of customers and plant."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import (
    Base,
    Json,
    Money,
    Quantity,
    UtcDateTime,
    created_at_column,
    id_column,
    one_of,
    sorted_text,
)

ACCOUNT_MODES = ("postpaid", "prepaid")
ACCOUNT_STATUSES = ("active", "suspended", "closed")
NETWORK_KINDS = ("substation", "feeder", "switch", "transformer")
SERVICE_POINT_STATUSES = ("active", "inactive")
REGISTER_KINDS = ("total", "sharp", "peak", "flat", "valley", "reactive")


class Customer(Base):
    """The person or company we serve."""

    __tablename__ = "customer"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    customer_no: Mapped[str] = mapped_column(sorted_text(40), unique=True)
    name: Mapped[str] = mapped_column(sorted_text(120), index=True)
    customer_class: Mapped[str] = mapped_column(String(40), default="residential")
    credit_class: Mapped[str | None] = mapped_column(String(40))
    attributes: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Contact(Base):
    """Somebody to reach for a customer; ``consent`` says for which categories of text."""

    __tablename__ = "contact"
    __table_args__ = (Index("uq_contact_customer_phone", "customer_id", "phone", unique=True),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(24), default="holder")
    phone: Mapped[str | None] = mapped_column(String(20), index=True)
    email: Mapped[str | None] = mapped_column(String(255))
    language: Mapped[str] = mapped_column(String(16), default="zh_Hans")
    consent: Mapped[dict[str, bool]] = mapped_column(Json, default=dict)
    verified: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=True)


class Account(Base):
    """A contract holder's account: what is billed and paid stands here.

    ``household`` is how many persons live there, ``supplied_since`` the day the supply began:
    tariffs can give allowances by the one and a part of the year's tiers by the other.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(one_of("mode", ACCOUNT_MODES), name="mode"),
        CheckConstraint(one_of("status", ACCOUNT_STATUSES), name="status"),
        CheckConstraint("household > 0", name="household"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_no: Mapped[str] = mapped_column(sorted_text(40), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    account_class: Mapped[str] = mapped_column(String(40), default="residential")
    mode: Mapped[str] = mapped_column(String(8), default="postpaid")
    status: Mapped[str] = mapped_column(String(12), default="active")
    tariff_code: Mapped[str] = mapped_column(String(40))
    alert_threshold: Mapped[Decimal | None] = mapped_column(Money)
    household: Mapped[int | None] = mapped_column()
    supplied_since: Mapped[date | None] = mapped_column()


class Premise(Base):
    """A place of supply; its position is WGS-84, ``datum`` says how it was given."""

    __tablename__ = "premise"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    premise_no: Mapped[str] = mapped_column(String(40), unique=True)
    address: Mapped[str] = mapped_column(sorted_text(255), index=True)
    lat_e7: Mapped[int | None] = mapped_column()
    lon_e7: Mapped[int | None] = mapped_column()
    datum: Mapped[str | None] = mapped_column(String(8))
    position_source: Mapped[str | None] = mapped_column(String(24))
    position_confidence: Mapped[str | None] = mapped_column(String(16))


class NetworkNode(Base):
    """A device of the supply network; the tree runs substation → feeder → switch → transformer."""

    __tablename__ = "network_node"
    __table_args__ = (CheckConstraint(one_of("kind", NETWORK_KINDS), name="kind"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    code: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(120))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("network_node.id"), index=True)


class ServicePoint(Base):
    """A metered point: where a premise is supplied and which account pays for it."""

    __tablename__ = "service_point"
    __table_args__ = (CheckConstraint(one_of("status", SERVICE_POINT_STATUSES), name="status"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    point_no: Mapped[str] = mapped_column(sorted_text(40), unique=True)
    premise_id: Mapped[int] = mapped_column(ForeignKey("premise.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    status: Mapped[str] = mapped_column(String(8), default="active")
    location_hint: Mapped[str | None] = mapped_column(String(120))
    hazards: Mapped[str | None] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(String(255))


class ServicePointNode(Base):
    """The place of a service point in the network tree over time."""

    __tablename__ = "service_point_node"
    __table_args__ = (
        Index(
            "uq_service_point_node_current",
            "service_point_id",
            unique=True,
            sqlite_where=text("valid_to IS NULL"),
            postgresql_where=text("valid_to IS NULL"),
        ),
        Index("ix_service_point_node_point", "service_point_id", "valid_from"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    node_id: Mapped[int] = mapped_column(ForeignKey("network_node.id"), index=True)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Meter(Base):
    """A device with a serial number; what it measures is in its registers."""

    __tablename__ = "meter"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    serial: Mapped[str] = mapped_column(sorted_text(40), unique=True)
    maker: Mapped[str | None] = mapped_column(String(80))
    model: Mapped[str | None] = mapped_column(String(80))
    status: Mapped[str] = mapped_column(String(16), default="in_service")


class Register(Base):
    """One dial of a meter: its kind, its whole digits and its decimal places."""

    __tablename__ = "register"
    __table_args__ = (
        Index("uq_register_meter_kind", "meter_id", "kind", unique=True),
        CheckConstraint(one_of("kind", REGISTER_KINDS), name="kind"),
        CheckConstraint("integer_digits BETWEEN 1 AND 12", name="integer_digits"),
        CheckConstraint("decimals BETWEEN 0 AND 6", name="decimals"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    kind: Mapped[str] = mapped_column(String(8), default="total")
    integer_digits: Mapped[int] = mapped_column(default=5)
    decimals: Mapped[int] = mapped_column(default=0)


class Installation(Base):
    """A meter at a service point, from–to, with the factor that makes dial units into kWh.

    The initial and final readings of its registers are readings of reason 21 and 22.
    """

    __tablename__ = "installation"
    __table_args__ = (
        Index("ix_installation_point", "service_point_id", "installed_at"),
        Index(
            "uq_installation_meter_current",
            "meter_id",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index(
            "uq_installation_point_current",
            "service_point_id",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
        CheckConstraint("removed_at IS NULL OR removed_at >= installed_at", name="period"),
        CheckConstraint("multiplier > 0", name="multiplier"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"), index=True)
    service_point_id: Mapped[int] = mapped_column(ForeignKey("service_point.id"))
    multiplier: Mapped[Decimal] = mapped_column(Quantity, default=Decimal(1))
    installed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
