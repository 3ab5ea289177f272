"""Verbs of rounds: noting what was done at a stop, and how far a route has come on a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select

from server import clock
from server.db import Session, among, insert_rows, many_ids, run
from server.rounds.models import Route, RouteStop, StopVisit


@dataclass(frozen=True)
class Stop:
    """A stop as others speak of it: what stands there, by kind and id."""

    kind: str
    subject_id: int


@dataclass(frozen=True)
class FoundStop:
    """A stop that is on a route, with the team and the reader of that route."""

    route_stop_id: int
    route_id: int
    org_unit_id: int
    reader_id: int | None


@dataclass(frozen=True)
class Visit:
    """What a capture says was done at a stop."""

    capture_uuid: UUID
    stop: Stop
    staff_id: int
    outcome: str
    visited_at: datetime
    reason: str | None = None
    started_at: datetime | None = None
    note: str | None = None


def find_stops(session: Session, stops: Iterable[Stop]) -> dict[Stop, FoundStop]:
    """The routes on which stops lie; a stop that is on none is left out."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for stop in stops:
        wanted[stop.kind].add(stop.subject_id)
    if not wanted:
        return {}
    rows = run(session, _stops_of(tuple(sorted(wanted))), {k: sorted(wanted[k]) for k in wanted})
    return {
        Stop(kind, subject_id): FoundStop(stop_id, route_id, org_unit_id, reader_id)
        for kind, subject_id, stop_id, route_id, org_unit_id, reader_id in rows
    }


@lru_cache(maxsize=32)
def _stops_of(kinds: tuple[str, ...]) -> Any:
    """The statement that finds stops of some kinds; the ids of a kind are bound by its name."""
    named = (
        and_(RouteStop.kind == kind, among(RouteStop.subject_id, many_ids(kind))) for kind in kinds
    )
    return (
        select(
            RouteStop.kind,
            RouteStop.subject_id,
            RouteStop.id,
            Route.id,
            Route.org_unit_id,
            Route.reader_id,
        )
        .join(Route, Route.id == RouteStop.route_id)
        .where(or_(*named))
    )


def note_visits(session: Session, visits: Sequence[Visit]) -> dict[Stop, FoundStop]:
    """Write what was done at stops that are on a route; a capture counts once.

    Returns:
        The stops that were found.
    """
    found = find_stops(session, {visit.stop for visit in visits})
    now = clock.now()
    rows = [
        {
            "created_at": now,
            "capture_uuid": visit.capture_uuid,
            "route_stop_id": found[visit.stop].route_stop_id,
            "staff_id": visit.staff_id,
            "outcome": visit.outcome,
            "reason": visit.reason,
            "started_at": visit.started_at,
            "visited_at": visit.visited_at,
            "note": visit.note,
        }
        for visit in visits
        if visit.stop in found
    ]
    insert_rows(session, StopVisit, rows, on_conflict=("capture_uuid",))
    return found


@dataclass(frozen=True)
class Coverage:
    """How far a route came on a day: stops planned, and of those served, skipped, missed."""

    route_id: int
    planned: int
    served: int
    skipped: int
    missed: int


def coverage(
    session: Session, route_ids: Sequence[int], day: date, zone: ZoneInfo
) -> list[Coverage]:
    """The coverage of routes on a local day; the latest visit of a stop counts."""
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    counts = session.execute(
        select(RouteStop.route_id, func.count())
        .where(RouteStop.route_id.in_(route_ids))
        .group_by(RouteStop.route_id)
    )
    planned = {route_id: count for route_id, count in counts}
    rows = session.execute(
        select(RouteStop.route_id, StopVisit.route_stop_id, StopVisit.outcome)
        .join(RouteStop, RouteStop.id == StopVisit.route_stop_id)
        .where(
            RouteStop.route_id.in_(route_ids),
            StopVisit.visited_at >= start,
            StopVisit.visited_at < end,
        )
        .order_by(StopVisit.visited_at, StopVisit.id)
    )
    latest = {(route_id, stop_id): outcome for route_id, stop_id, outcome in rows}
    return [_coverage(route_id, planned.get(route_id, 0), latest) for route_id in route_ids]


def _coverage(route_id: int, planned: int, latest: dict[tuple[int, int], str]) -> Coverage:
    outcomes = [outcome for (route, _), outcome in latest.items() if route == route_id]
    return Coverage(
        route_id,
        planned,
        outcomes.count("served"),
        outcomes.count("skipped"),
        outcomes.count("missed"),
    )
