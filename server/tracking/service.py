"""Verbs of tracking: keep shifts, keep points, drop what is too old to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CursorResult, Delete, TextClause, delete, func, or_, select, text

from server import clock
from server.db import Session, insert_new, insert_rows
from server.tracking.models import LivePosition, QuarantinedPoint, Shift, TrackPoint
from server.tracking.rules import line, shifts
from server.tracking.rules.points import DOUBTFUL, Fix, judge
from server.tracking.rules.shifts import Span

QUARANTINE = timedelta(hours=48)
_KEY = ("rep_id", "fix_ms", "device_id")
_LOOK_BACK = 50


@dataclass(frozen=True)
class ShiftChange:
    """A shift was started or ended by its rep, at a time of the device's clock."""

    uuid: UUID
    staff_id: int
    device_id: int
    state: Literal["started", "ended"]
    at: datetime


@dataclass(frozen=True)
class TrackResult:
    """What became of the points of one push.

    Every point sent is one of accepted, duplicate, quarantined or unreadable; ``flagged`` counts the
    unreadable ones and those kept with a doubt.
    """

    accepted: int = 0
    duplicate: int = 0
    flagged: int = 0
    quarantined: int = 0


# --- shifts -------------------------------------------------------------------------------


def record_shifts(session: Session, changes: Sequence[ShiftChange]) -> None:
    """Keep starts and ends of shifts; the same ones again, or in another order, change nothing.

    Points that waited for a shift that has now become known are let in; points after an end that
    comes late go back into quarantine. A change to another person's shift is ignored.
    """
    if not changes:
        return
    rows = _locked_shifts(session, changes)
    before = {row.id: _span_of(row) for row in rows.values()}
    touched: dict[int, Shift] = {}
    for change in changes:
        row = rows[change.uuid]
        if row.staff_id == change.staff_id and _merge(row, change):
            touched[row.id] = row
    session.flush()
    hulls: dict[int, list[Span | None]] = {}
    for row in touched.values():
        hulls.setdefault(row.staff_id, []).extend((before[row.id], _span_of(row)))
    for rep_id in sorted(hulls):
        _resettle(session, rep_id, hulls[rep_id])


def _locked_shifts(session: Session, changes: Sequence[ShiftChange]) -> dict[UUID, Shift]:
    """The rows of the shifts, made where they are new, locked in one order."""
    first = {change.uuid: change for change in reversed(changes)}
    new = [
        {
            "created_at": clock.now(),
            "uuid": uuid,
            "staff_id": first[uuid].staff_id,
            "device_id": first[uuid].device_id,
        }
        for uuid in sorted(first)
    ]
    insert_rows(session, Shift, new, on_conflict=("uuid",))
    found = session.execute(
        select(Shift).where(Shift.uuid.in_(list(first))).order_by(Shift.id).with_for_update()
    ).scalars()
    return {row.uuid: row for row in found}


def _merge(row: Shift, change: ShiftChange) -> bool:
    """Take a change in; of several starts the earliest counts, of several ends the latest."""
    if change.state == "started":
        if row.started_at is not None and row.started_at <= change.at:
            return False
        row.started_at = change.at
        return True
    if row.ended_at is not None and row.ended_at >= change.at:
        return False
    row.ended_at = change.at
    return True


def _span_of(row: Shift) -> Span | None:
    return _span(row.started_at, row.ended_at)


def _span(started_at: datetime | None, ended_at: datetime | None) -> Span | None:
    return shifts.span(
        None if started_at is None else clock.to_ms(started_at),
        None if ended_at is None else clock.to_ms(ended_at),
    )


def _known_spans(session: Session, rep_id: int, around: Span) -> list[Span]:
    """When the rep was at work, as far as it matters for a span of time."""
    found = session.execute(
        select(Shift.started_at, Shift.ended_at).where(
            Shift.staff_id == rep_id,
            Shift.started_at <= clock.from_ms(around.to_ms),
            or_(Shift.ended_at.is_(None), Shift.ended_at >= clock.from_ms(around.from_ms)),
        )
    )
    return shifts.union(_span(started, ended) for started, ended in found)


def _resettle(session: Session, rep_id: int, changed: Sequence[Span | None]) -> None:
    """Move points in and out of quarantine where the rep's shifts have changed."""
    now_ms = clock.to_ms(clock.now())
    moved = 0
    for hull in shifts.union(changed):
        known = _known_spans(session, rep_id, hull)
        hidden = shifts.minus(hull, known)
        for one in shifts.minus(hull, hidden):
            moved += _move(session, _RELEASE, rep_id, one, now_ms)
        for one in hidden:
            moved += _move(session, _RECALL, rep_id, one, now_ms)
            _hide(session, rep_id, one)
    if moved:
        _refresh_live(session, rep_id, now_ms)


def _let_in(session: Session, rep_id: int, hull: Span) -> None:
    """Let in the points of a span of time that lie in a known shift after all."""
    now_ms = clock.to_ms(clock.now())
    hidden = shifts.minus(hull, _known_spans(session, rep_id, hull))
    covered = shifts.minus(hull, hidden)
    if sum(_move(session, _RELEASE, rep_id, one, now_ms) for one in covered):
        _refresh_live(session, rep_id, now_ms)


def _hide(session: Session, rep_id: int, hidden: Span) -> None:
    """Stop showing a live position of a time outside of every shift."""
    at = LivePosition.fix_ms.between(hidden.from_ms, hidden.to_ms)
    _deleted(session, delete(LivePosition).where(LivePosition.rep_id == rep_id, at))


# The columns are spelled out: a statement put together by code is harder to search for.
_RELEASE = (
    text(
        """
        INSERT INTO track_point (rep_id, fix_ms, device_id, recv_ms, lat_e7, lon_e7, acc_dm,
            speed_cms, course_ddeg, battery, flags)
        SELECT rep_id, fix_ms, device_id, recv_ms, lat_e7, lon_e7, acc_dm,
            speed_cms, course_ddeg, battery, flags
        FROM quarantined_point WHERE rep_id = :rep AND fix_ms BETWEEN :from_ms AND :to_ms
        ON CONFLICT (rep_id, fix_ms, device_id) DO NOTHING
        """
    ),
    QuarantinedPoint,
)
# A recalled point starts its wait anew: the shift that explains it may be the next to come.
_RECALL = (
    text(
        """
        INSERT INTO quarantined_point (rep_id, fix_ms, device_id, recv_ms, lat_e7, lon_e7, acc_dm,
            speed_cms, course_ddeg, battery, flags)
        SELECT rep_id, fix_ms, device_id, CAST(:now_ms AS bigint), lat_e7, lon_e7, acc_dm,
            speed_cms, course_ddeg, battery, flags
        FROM track_point WHERE rep_id = :rep AND fix_ms BETWEEN :from_ms AND :to_ms
        ON CONFLICT (rep_id, fix_ms, device_id) DO NOTHING
        """
    ),
    TrackPoint,
)
_Points = type[TrackPoint] | type[QuarantinedPoint]


def _move(
    session: Session, how: tuple[TextClause, _Points], rep_id: int, where: Span, now_ms: int
) -> int:
    """Copy a rep's points of a span to the other table and return how many left theirs."""
    copy, source = how
    given = {"rep": rep_id, "from_ms": where.from_ms, "to_ms": where.to_ms}
    if how is _RECALL:
        given["now_ms"] = now_ms
    session.execute(copy, given)
    return _deleted(
        session,
        delete(source).where(
            source.rep_id == rep_id, source.fix_ms.between(where.from_ms, where.to_ms)
        ),
    )


def _deleted(session: Session, statement: Delete) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


# --- points -------------------------------------------------------------------------------


def record_track(
    session: Session,
    *,
    rep_id: int,
    device_id: int,
    crs: str,
    points: Sequence[Any],
    received_at: datetime,
) -> TrackResult:
    """Keep the points of one push; sent again they change nothing. No point is ever refused.

    Args:
        crs: the datum the device declares; with an unknown one no point can be placed.
        points: ``[fix_ms, lat_e7, lon_e7, acc_dm, speed_cms, course_ddeg, battery, flags]`` each.
    """
    if not points:
        return TrackResult()
    recv_ms = clock.to_ms(received_at)
    judged = judge(points, crs, recv_ms)
    fixes = judged.fixes
    if not fixes:
        return TrackResult(flagged=judged.malformed)
    known = _known_spans(session, rep_id, Span(fixes[0].fix_ms, fixes[-1].fix_ms))
    inside = [fix for fix in fixes if shifts.covered(known, fix.fix_ms)]
    outside = [fix for fix in fixes if not shifts.covered(known, fix.fix_ms)]
    new = insert_new(session, TrackPoint, _rows(inside, rep_id, device_id, recv_ms), _KEY, "fix_ms")
    insert_rows(
        session, QuarantinedPoint, _rows(outside, rep_id, device_id, recv_ms), on_conflict=_KEY
    )
    if new:
        _follow(session, rep_id, device_id, inside, recv_ms)
    doubted = sum(1 for fix in fixes if fix.flags & DOUBTFUL)
    return TrackResult(
        accepted=len(new),
        duplicate=len(inside) - len(new),
        flagged=judged.malformed + doubted,
        quarantined=len(outside),
    )


def _rows(
    fixes: Sequence[Fix], rep_id: int, device_id: int, recv_ms: int
) -> list[dict[str, int | None]]:
    return [
        {"rep_id": rep_id, "device_id": device_id, "recv_ms": recv_ms, **fix._asdict()}
        for fix in fixes
    ]


# --- the live position --------------------------------------------------------------------

_SHOW = text(
    """
    INSERT INTO live_position (rep_id, rev, fix_ms, recv_ms, lat_e7, lon_e7, acc_dm, speed_cms,
        course_ddeg, battery, device_id)
    VALUES (:rep_id, :rev, :fix_ms, :recv_ms, :lat_e7, :lon_e7, :acc_dm, :speed_cms,
        :course_ddeg, :battery, :device_id)
    ON CONFLICT (rep_id) DO UPDATE SET rev = excluded.rev, fix_ms = excluded.fix_ms,
        recv_ms = excluded.recv_ms, lat_e7 = excluded.lat_e7, lon_e7 = excluded.lon_e7,
        acc_dm = excluded.acc_dm, speed_cms = excluded.speed_cms,
        course_ddeg = excluded.course_ddeg, battery = excluded.battery,
        device_id = excluded.device_id
    WHERE excluded.fix_ms > live_position.fix_ms
    """
)


def _follow(
    session: Session, rep_id: int, device_id: int, fixes: Sequence[Fix], recv_ms: int
) -> None:
    """Show the newest of the points just received, if it is newer than what is shown."""
    newest = line.newest_plausible(fixes, _shown(session, rep_id))
    if newest is not None:
        _show(session, newest, rep_id=rep_id, device_id=device_id, rev=recv_ms, recv_ms=recv_ms)


def _refresh_live(session: Session, rep_id: int, now_ms: int) -> None:
    """Show the newest stored point, after points have come out of quarantine or gone back."""
    shown = _shown(session, rep_id)
    stored = list(
        session.execute(
            select(TrackPoint)
            .where(TrackPoint.rep_id == rep_id, TrackPoint.fix_ms > (shown.fix_ms if shown else -1))
            .order_by(TrackPoint.fix_ms.desc())
            .limit(_LOOK_BACK)
        ).scalars()
    )
    by_fix = {_as_fix(row): row for row in reversed(stored)}
    newest = line.newest_plausible(list(by_fix), shown)
    if newest is not None:
        row = by_fix[newest]
        _show(
            session,
            newest,
            rep_id=rep_id,
            device_id=row.device_id,
            rev=now_ms,
            recv_ms=row.recv_ms,
        )


def _shown(session: Session, rep_id: int) -> Fix | None:
    row = session.execute(
        select(
            LivePosition.fix_ms, LivePosition.lat_e7, LivePosition.lon_e7, LivePosition.acc_dm
        ).where(LivePosition.rep_id == rep_id)
    ).first()
    return None if row is None else Fix(row.fix_ms, row.lat_e7, row.lon_e7, row.acc_dm)


def _show(session: Session, fix: Fix, **more: int) -> None:
    fields = fix._asdict()
    fields.pop("flags")
    session.execute(_SHOW, {**fields, **more})


def _as_fix(row: TrackPoint) -> Fix:
    """A stored point as the rules take it."""
    return Fix._make(getattr(row, name) for name in Fix._fields)


# --- jobs ---------------------------------------------------------------------------------


def drop_quarantine(session: Session) -> int:
    """Drop the points for which no shift came within 48 hours; returns how many.

    Points whose shift is known are let in first: when points and shift were committed by two connections
    at the same moment, neither has seen the other.
    """
    waiting = session.execute(
        select(
            QuarantinedPoint.rep_id,
            func.min(QuarantinedPoint.fix_ms),
            func.max(QuarantinedPoint.fix_ms),
        )
        .group_by(QuarantinedPoint.rep_id)
        .order_by(QuarantinedPoint.rep_id)
    )
    for rep_id, first, last in waiting.all():
        _let_in(session, rep_id, Span(first, last))
    before = clock.to_ms(clock.now() - QUARANTINE)
    return _deleted(session, delete(QuarantinedPoint).where(QuarantinedPoint.recv_ms < before))


def drop_old_tracks(session: Session, keep_days: int) -> int:
    """Drop track points and live positions older than the retention; returns how many points.

    One delete for each rep walks the key of the largest table, which begins with the rep.
    """
    before = clock.to_ms(clock.now() - timedelta(days=keep_days))
    session.execute(delete(LivePosition).where(LivePosition.fix_ms < before))
    reps = session.execute(select(Shift.staff_id).distinct().order_by(Shift.staff_id)).scalars()
    return sum(
        _deleted(
            session,
            delete(TrackPoint).where(TrackPoint.rep_id == rep, TrackPoint.fix_ms < before),
        )
        for rep in list(reps)
    )


def erase_rep(session: Session, rep_id: int) -> int:
    """Erase every place a rep has been, when he leaves or asks for it; returns how many points.

    His shifts stay, as the hours he worked; the caller audits the act.
    """
    _deleted(session, delete(LivePosition).where(LivePosition.rep_id == rep_id))
    return sum(
        _deleted(session, delete(points).where(points.rep_id == rep_id))
        for points in (TrackPoint, QuarantinedPoint)
    )
