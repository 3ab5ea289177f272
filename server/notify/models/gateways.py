"""Tables of the ways out: gateways and who owns their binds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, UtcDateTime, created_at_column, id_column, one_of

GATEWAY_KINDS = ("smpp", "log")


class Gateway(Base):
    """One carrier account or other way out.

    The enabled gateway with the lowest `position` takes the queue (equals share it); the others stand
    by and still receive late reports. `simulated` gateways are the only ones a demo may use. `state`,
    `detail` and `state_at` are what its owner said last.
    """

    __tablename__ = "gateway"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    name: Mapped[str] = mapped_column(String(60), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    enabled: Mapped[bool] = mapped_column(default=True)
    simulated: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=100)
    state: Mapped[str] = mapped_column(String(20), default="stopped")
    detail: Mapped[str] = mapped_column(Text, default="")
    state_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint(one_of("kind", GATEWAY_KINDS), name="kind"),)


class GatewayLease(Base):
    """Who owns a bind of a gateway, and until when unless he renews it. Messages name their owner."""

    __tablename__ = "gateway_lease"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    bind: Mapped[int] = mapped_column(default=1)
    owner: Mapped[str] = mapped_column(String(80))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("gateway_id", "bind"),)
