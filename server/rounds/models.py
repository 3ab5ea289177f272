"""Tables of routes and their stops."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, UtcDateTime, created_at_column, id_column, one_of

STOP_KINDS = ("service_point", "shop", "ticket", "visit")
OUTCOMES = ("served", "skipped", "missed")

APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "stop_visit": (
        "capture_uuid",
        "route_stop_id",
        "staff_id",
        "outcome",
        "reason",
        "started_at",
        "visited_at",
    ),
}


class Route(Base):
    """An ordered set of stops (抄表段), walked by one rep for one team.

    ``read_and_bill`` routes issue the bill with the reading.
    """

    __tablename__ = "route"
    __table_args__ = (
        CheckConstraint("scheduled_day IS NULL OR scheduled_day BETWEEN 1 AND 31", name="day"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    book_no: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    read_cycle: Mapped[str] = mapped_column(String(16), default="monthly")
    scheduled_day: Mapped[int | None] = mapped_column()
    org_unit_id: Mapped[int] = mapped_column(ForeignKey("org_unit.id"), index=True)
    reader_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    read_and_bill: Mapped[bool] = mapped_column(default=False)


class RouteStop(Base):
    """One stop of a route; ``subject_id`` is the id of a row of the stop's kind."""

    __tablename__ = "route_stop"
    __table_args__ = (
        CheckConstraint(one_of("kind", STOP_KINDS), name="kind"),
        Index("uq_route_stop_subject", "kind", "subject_id", unique=True),
        Index("ix_route_stop_walk", "route_id", "sequence"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    route_id: Mapped[int] = mapped_column(ForeignKey("route.id"))
    sequence: Mapped[int] = mapped_column()
    kind: Mapped[str] = mapped_column(String(16), default="service_point")
    subject_id: Mapped[int] = mapped_column(BigId)


class StopVisit(Base):
    """What a rep did at a stop: served it, skipped it for a reason, or missed it for one.

    One row for each capture that proves it; passing by is no visit.
    """

    __tablename__ = "stop_visit"
    __table_args__ = (
        CheckConstraint(one_of("outcome", OUTCOMES), name="outcome"),
        CheckConstraint("outcome = 'served' OR reason IS NOT NULL", name="reason"),
        Index("ix_stop_visit_stop", "route_stop_id", "visited_at"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    capture_uuid: Mapped[UUID] = mapped_column(Uuid, unique=True)
    route_stop_id: Mapped[int] = mapped_column(ForeignKey("route_stop.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(24))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    visited_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str | None] = mapped_column(String(255))
