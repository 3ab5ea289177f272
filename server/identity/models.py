"""Tables of people and devices."""

from __future__ import annotations

from datetime import datetime

from flask import current_app
from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, Table
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.db import Base, BigId, Json, UtcDateTime, created_at_column, id_column, one_of

ORG_UNIT_KINDS = ("office", "crew", "warehouse", "van", "shop")
DEVICE_STATUSES = ("active", "revoked", "replaced")
SCOPES = ("own", "route", "team", "all")


class OrgUnit(Base):
    """A node of the organisation; a team is a node with everything below it."""

    __tablename__ = "org_unit"
    __table_args__ = (CheckConstraint(one_of("kind", ORG_UNIT_KINDS), name="kind"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("org_unit.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    time_zone: Mapped[str | None] = mapped_column(String(40))


staff_role = Table(
    "staff_role",
    Base.metadata,
    Column("staff_id", BigId, ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", BigId, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Base, RoleMixin):
    """A named set of rights; the ten defaults come with every installation."""

    __tablename__ = "role"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    name: Mapped[str] = mapped_column(String(40), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    rights: Mapped[list[RolePermission]] = relationship(cascade="all, delete-orphan")


class RolePermission(Base):
    """One right of a role: an action on a resource, within a scope of the data."""

    __tablename__ = "role_permission"
    __table_args__ = (
        Index("uq_role_permission_right", "role_id", "resource", "action", unique=True),
        CheckConstraint(one_of("scope", SCOPES), name="scope"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"))
    resource: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(40))
    scope: Mapped[str] = mapped_column(String(8))


class Staff(Base, UserMixin):
    """A person who works with the system; the columns after ``roles`` belong to the sign-in."""

    __tablename__ = "staff"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    username: Mapped[str] = mapped_column(String(80), unique=True)
    email: Mapped[str | None] = mapped_column(String(255), unique=True)  # type: ignore[assignment]
    name: Mapped[str] = mapped_column(String(120))
    phone: Mapped[str | None] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(16), default="zh_Hans")
    org_unit_id: Mapped[int | None] = mapped_column(ForeignKey("org_unit.id"), index=True)
    roles: Mapped[list[Role]] = relationship(secondary=staff_role)  # type: ignore[assignment]
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # type: ignore[assignment]
    current_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # type: ignore[assignment]
    last_login_ip: Mapped[str | None] = mapped_column(String(64))
    current_login_ip: Mapped[str | None] = mapped_column(String(64))
    login_count: Mapped[int | None] = mapped_column(default=0)  # type: ignore[assignment]
    tf_primary_method: Mapped[str | None] = mapped_column(String(64))
    tf_totp_secret: Mapped[str | None] = mapped_column(String(255))
    tf_phone_number: Mapped[str | None] = mapped_column(String(128))
    tf_last_counter: Mapped[int | None] = mapped_column(BigId)
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(MutableList.as_mutable(Json.copy()))

    @property
    def has_second_factor(self) -> bool:
        """Whether signing in takes a code beside the password."""
        return bool(self.tf_totp_secret and self.tf_primary_method)

    def check_tf_required(
        self,
        tf_setup_methods: list[tuple[str, str]],
        tf_fresh: bool,  # noqa: ARG002 - no browser is trusted for longer than its session
    ) -> tuple[bool, list[tuple[str, str]]]:
        """Flask-Security's question after the password: is a second factor needed, and which?"""
        return bool(tf_setup_methods) or self.check_tf_required_setup(), tf_setup_methods

    def check_tf_required_setup(self) -> bool:
        """Whether one of the person's roles demands a second factor (``SECOND_FACTOR_ROLES``)."""
        demanding = current_app.config.get("SECOND_FACTOR_ROLES", ())
        return any(role.name in demanding for role in self.roles)


class ApiToken(Base):
    """A personal token for the JSON API; only its hash is kept."""

    __tablename__ = "api_token"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Device(Base):
    """A handheld: who carries it, how it proves itself and how it was when last heard."""

    __tablename__ = "device"
    __table_args__ = (CheckConstraint(one_of("status", DEVICE_STATUSES), name="status"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    name: Mapped[str] = mapped_column(String(80))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    status: Mapped[str] = mapped_column(String(8), default="active")
    install_id: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    receipt_prefix: Mapped[str] = mapped_column(String(8), unique=True)
    model: Mapped[str | None] = mapped_column(String(80))
    os: Mapped[str | None] = mapped_column(String(80))
    app_version: Mapped[str | None] = mapped_column(String(40))
    imei: Mapped[str | None] = mapped_column(String(20))
    iccid: Mapped[str | None] = mapped_column(String(24))
    esn: Mapped[str | None] = mapped_column(String(20))
    last_contact_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_through: Mapped[int] = mapped_column(BigId, default=0)
    unsent: Mapped[int | None] = mapped_column()
    oldest_unsent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    battery: Mapped[int | None] = mapped_column()
    persisted: Mapped[bool | None] = mapped_column()
    free_mb: Mapped[int | None] = mapped_column()
    clock_skew_ms: Mapped[int | None] = mapped_column(BigId)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"))


class Enrolment(Base):
    """A one-time code with which a handheld joins; only its hash is kept."""

    __tablename__ = "enrolment"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    replaces_device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"))


def right_key(resource: str, action: str) -> str:
    """A right as one word, as tokens and logs show it."""
    return f"{resource}:{action}"


Rights = dict[tuple[str, str], str]
"""What a person may do: (resource, action) → widest scope."""
