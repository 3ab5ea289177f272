"""Reads of tracking: where everybody is now, and one rep's day. A view of a track is audited by its caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from server import clock
from server.db import Session
from server.tracking.models import LivePosition, Shift, TrackPoint
from server.tracking.rules import line
from server.tracking.rules.line import Gap
from server.tracking.rules.points import Fix
from server.tracking.rules.shifts import OPEN_SHIFT_MS

OVERLAP_MS = 15_000
"""How far readers look back behind their cursor: pushes commit in another order than they arrive."""


@dataclass(frozen=True)
class LiveSpot:
    """Where a rep is now. The fix and its arrival have different ages; both are shown."""

    rep_id: int
    rev: int
    fix_at: datetime
    received_at: datetime
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    course_deg: float | None
    battery: int | None
    device_id: int


@dataclass(frozen=True)
class DayTrack:
    """One rep's local day: pieces of line to draw, the gaps between them, the way made.

    ``points`` counts the stored points of the day, ``left_out`` those not believed.
    """

    rep_id: int
    day: date
    zone: str
    pieces: list[list[Fix]]
    gaps: list[Gap]
    distance_m: float
    points: int
    left_out: int


def live_positions(
    session: Session, rep_ids: Sequence[int] | None, after_rev: int = 0
) -> list[LiveSpot]:
    """The live positions that changed after a revision, with 15 s of overlap, oldest change first.

    Args:
        rep_ids: the reps the viewer may see; None is everybody.
        after_rev: the largest ``rev`` the reader has seen; he replaces what he has by ``rep_id``.
    """
    query = select(LivePosition).order_by(LivePosition.rev, LivePosition.rep_id)
    if after_rev > 0:
        query = query.where(LivePosition.rev > after_rev - OVERLAP_MS)
    if rep_ids is not None:
        query = query.where(LivePosition.rep_id.in_(rep_ids))
    return [_spot(row) for row in session.execute(query).scalars()]


def day_track(session: Session, rep_id: int, day: date, zone: ZoneInfo) -> DayTrack:
    """A rep's track of a local day, ordered by fix time and computed from the points."""
    from_ms, to_ms = line.day_bounds(day, zone)
    rows = session.execute(
        select(*(getattr(TrackPoint, name) for name in Fix._fields))
        .where(TrackPoint.rep_id == rep_id, TrackPoint.fix_ms >= from_ms, TrackPoint.fix_ms < to_ms)
        .order_by(TrackPoint.fix_ms, TrackPoint.device_id)
    )
    stored = [Fix._make(row) for row in rows]
    believed = line.without_outliers(stored)
    pieces, gaps = line.split(believed)
    return DayTrack(
        rep_id=rep_id,
        day=day,
        zone=zone.key,
        pieces=[line.simplify(piece) for piece in pieces],
        gaps=gaps,
        distance_m=sum(line.distance_m(piece) for piece in pieces),
        points=len(stored),
        left_out=len(stored) - len(believed),
    )


def open_shift_reps(session: Session, rep_ids: Sequence[int] | None) -> set[int]:
    """Which reps are at work now: their shift has begun and not ended."""
    now = clock.now()
    query = select(Shift.staff_id).where(
        Shift.started_at <= now,
        Shift.started_at > now - timedelta(milliseconds=OPEN_SHIFT_MS),
        Shift.ended_at.is_(None),
    )
    if rep_ids is not None:
        query = query.where(Shift.staff_id.in_(rep_ids))
    return set(session.execute(query).scalars())


def _spot(row: LivePosition) -> LiveSpot:
    return LiveSpot(
        rep_id=row.rep_id,
        rev=row.rev,
        fix_at=clock.from_ms(row.fix_ms),
        received_at=clock.from_ms(row.recv_ms),
        lat=row.lat_e7 / 1e7,
        lon=row.lon_e7 / 1e7,
        accuracy_m=_tenth(row.acc_dm),
        speed_mps=None if row.speed_cms is None else row.speed_cms / 100,
        course_deg=_tenth(row.course_ddeg),
        battery=row.battery,
        device_id=row.device_id,
    )


def _tenth(value: int | None) -> float | None:
    return None if value is None else value / 10
