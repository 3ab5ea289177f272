"""Tables of the ways out: gateways and who owns their binds."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Json, Money, UtcDateTime, created_at_column, id_column, one_of

GATEWAY_KINDS = ("smpp", "modem", "http", "email", "log")


class Gateway(Base):
    """One carrier account or other way out.

    `categories` and `prefixes` say what it may carry (None: everything), `weight` its share among
    equally cheap ones, `daily_budget` and `monthly_budget` what it may cost; one that has spent a budget
    takes nothing before `over_until`, one that is away longer than `patience_seconds` loses its messages
    to others. `position` orders gateways where routing has no other reason. `simulated` gateways are the only ones a demo may use. `state`,
    `detail` and `state_at` are what its owner said last, the best of several binds.
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
    weight: Mapped[int] = mapped_column(default=100, server_default="100")
    categories: Mapped[list[str] | None] = mapped_column(Json)
    prefixes: Mapped[list[str] | None] = mapped_column(Json)
    daily_budget: Mapped[Decimal | None] = mapped_column(Money)
    monthly_budget: Mapped[Decimal | None] = mapped_column(Money)
    over_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    patience_seconds: Mapped[int] = mapped_column(default=60, server_default="60")
    state: Mapped[str] = mapped_column(String(20), default="stopped")
    detail: Mapped[str] = mapped_column(Text, default="")
    state_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint(one_of("kind", GATEWAY_KINDS), name="kind"),)


class GatewayLease(Base):
    """Who owns a bind of a gateway, and until when unless he renews it. Messages name their owner.

    `state`, `detail` and `state_at` are those of the bind; `figures` what it does now (rate, window,
    errors by class, lag of reports), renewed with the lease.
    """

    __tablename__ = "gateway_lease"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    bind: Mapped[int] = mapped_column(default=1)
    owner: Mapped[str] = mapped_column(String(80))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(20), default="stopped", server_default="stopped")
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    state_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    figures: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = (UniqueConstraint("gateway_id", "bind"),)
