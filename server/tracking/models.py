"""Tables of tracks. Places are WGS-84 in whole 1e-7 degrees, times epoch milliseconds.

Suffixes of columns tell the unit: ``e7`` 1e-7 degrees, ``dm`` decimetres, ``cms`` centimetres per
second, ``ddeg`` tenths of a degree, ``ms`` milliseconds since 1970.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, UtcDateTime, created_at_column, id_column


class Shift(Base):
    """The time a rep is at work with a handheld; outside of it nobody may see where he is.

    Start and end come as two captures in any order, so either may still be unknown.
    """

    __tablename__ = "shift"
    __table_args__ = (Index("ix_shift_staff_started", "staff_id", "started_at"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    uuid: Mapped[UUID] = mapped_column(Uuid, unique=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Point:
    """What is kept of one fix, inside a shift or outside of one. No id, no created_at.

    ``rep_id`` is the member of staff. The bits of ``flags`` are in ``tracking.rules``.
    """

    rep_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    fix_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    device_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    recv_ms: Mapped[int] = mapped_column(BigInteger)
    lat_e7: Mapped[int] = mapped_column()
    lon_e7: Mapped[int] = mapped_column()
    acc_dm: Mapped[int | None] = mapped_column()
    speed_cms: Mapped[int | None] = mapped_column()
    course_ddeg: Mapped[int | None] = mapped_column()
    battery: Mapped[int | None] = mapped_column()
    flags: Mapped[int] = mapped_column(default=0)


class TrackPoint(Point, Base):
    """A fix inside a shift; no index but the key, for it is the largest table."""

    __tablename__ = "track_point"
    __table_args__ = ({"sqlite_with_rowid": False},)


class QuarantinedPoint(Point, Base):
    """A fix outside any known shift: it waits 48 hours for a late shift, unseen, and is then dropped."""

    __tablename__ = "quarantined_point"
    __table_args__ = (
        Index("ix_quarantined_point_recv", "recv_ms"),
        {"sqlite_with_rowid": False},
    )


class LivePosition(Base):
    """The newest plausible fix of each rep. ``rev`` is when it came, for readers that ask what is new."""

    __tablename__ = "live_position"
    __table_args__ = (Index("ix_live_position_rev", "rev"),)

    rep_id: Mapped[int] = mapped_column(
        ForeignKey("staff.id"), primary_key=True, autoincrement=False
    )
    rev: Mapped[int] = mapped_column(BigInteger)
    fix_ms: Mapped[int] = mapped_column(BigInteger)
    recv_ms: Mapped[int] = mapped_column(BigInteger)
    lat_e7: Mapped[int] = mapped_column()
    lon_e7: Mapped[int] = mapped_column()
    acc_dm: Mapped[int | None] = mapped_column()
    speed_cms: Mapped[int | None] = mapped_column()
    course_ddeg: Mapped[int | None] = mapped_column()
    battery: Mapped[int | None] = mapped_column()
    device_id: Mapped[int] = mapped_column(BigId)
