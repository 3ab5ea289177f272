"""Where the reps are and how far they have come; the map and the list beside it are equal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, func, or_, select

from server import clock
from server.accounts.models import Premise, ServicePoint
from server.audit import AuditEvent
from server.console.queries import periods
from server.db import Session, settled_through
from server.identity.models import Device, Staff
from server.metering.models import Reading, ReadOrder, Skip
from server.rounds.models import Route, RouteStop
from server.rounds.scope import Scope
from server.tracking.models import LivePosition, Shift
from server.tracking.queries import live_positions

MOST_DECISIONS = 1000


@dataclass
class Rep:
    """A rep as the map and the list show him; times in milliseconds since 1970."""

    id: int
    name: str
    lat: float | None = None
    lon: float | None = None
    accuracy: float | None = None
    course: float | None = None
    fix: int | None = None
    contact: int | None = None
    battery: int | None = None
    unsent: int | None = None
    on_shift: bool = False
    planned: int = 0
    done: int = 0

    @property
    def fix_at(self) -> datetime | None:
        """When the position was taken."""
        return None if self.fix is None else clock.from_ms(self.fix)

    @property
    def contact_at(self) -> datetime | None:
        """When the handheld was last heard."""
        return None if self.contact is None else clock.from_ms(self.contact)


def reps(session: Session, seen: Scope) -> list[Rep]:
    """Every rep with a handheld, a route or a position, by name."""
    in_field = (
        select(Device.staff_id)
        .where(Device.status == "active")
        .union(select(Route.reader_id).where(Route.reader_id.is_not(None)))
    )
    people = session.execute(
        select(Staff.id, Staff.name)
        .where(Staff.active.is_(True), Staff.id.in_(in_field), seen.staff())
        .order_by(Staff.name, Staff.id)
        .limit(500)
    )
    found = {person.id: Rep(person.id, person.name) for person in people}
    _add(session, found, list(found))
    return list(found.values())


def moved(session: Session, seen: Scope, after: int) -> tuple[int, list[Rep]]:
    """The newest revision and the reps whose position changed after ``after``."""
    visible = None
    if not seen.sees_all:
        visible = list(session.scalars(select(Staff.id).where(seen.staff())))
    spots = live_positions(session, visible, after)
    rows = session.execute(
        select(Staff.id, Staff.name).where(Staff.id.in_([spot.rep_id for spot in spots]))
    )
    found = {row.id: Rep(row.id, row.name) for row in rows}
    _add(session, found, list(found))
    return max((spot.rev for spot in spots), default=after), list(found.values())


def last_rev(session: Session) -> int:
    """The newest revision of all."""
    return int(session.execute(select(func.max(LivePosition.rev))).scalar() or 0)


def frame(rep: Rep) -> dict[str, Any]:
    """A rep as the script reads him."""
    return asdict(rep)


class Marks(NamedTuple):
    """The newest reading, skip and decision about a reading that a page has heard of."""

    reading: int = 0
    skip: int = 0
    decision: int = 0


def marks(session: Session) -> Marks:
    """The marks from which a page asks for changes of stops; nothing can still come below them."""
    return Marks(*(settled_through(session, model) for model in (Reading, Skip, AuditEvent)))


def changed_stops(
    session: Session, seen: Scope, known: Marks
) -> tuple[list[tuple[int, str]], Marks]:
    """(service point, state of its order) of what was read, skipped or decided since the marks."""
    newest = marks(session)
    if newest == known:
        return [], newest
    points = (
        select(Reading.service_point_id)
        .where(or_(Reading.id > known.reading, Reading.id.in_(_decided(session, known))))
        .union(select(Skip.service_point_id).where(Skip.id > known.skip))
    )
    rows = session.execute(
        select(ReadOrder.service_point_id, ReadOrder.status)
        .join(Route, Route.id == ReadOrder.route_id)
        .where(
            ReadOrder.service_point_id.in_(points),
            ReadOrder.period == periods.current(session),
            ReadOrder.status != "cancelled",
            seen.routes(),
        )
        .limit(2000)
    )
    return [(point, status) for point, status in rows], newest


def _decided(session: Session, known: Marks) -> list[int]:
    """Readings that somebody has decided about; no row of theirs is new."""
    subjects = session.scalars(
        select(AuditEvent.subject_id)
        .where(AuditEvent.id > known.decision, AuditEvent.subject_type == "reading")
        .order_by(AuditEvent.id.desc())
        .limit(MOST_DECISIONS)
    )
    return [int(subject) for subject in subjects if subject.isdigit()]


def _add(session: Session, found: dict[int, Rep], ids: list[int]) -> None:
    if not ids:
        return
    _add_positions(session, found, ids)
    _add_devices(session, found, ids)
    _add_progress(session, found, ids)
    on_shift = session.execute(
        select(Shift.staff_id).where(
            Shift.staff_id.in_(ids), Shift.started_at.is_not(None), Shift.ended_at.is_(None)
        )
    )
    for staff_id in on_shift.scalars():
        found[staff_id].on_shift = True


def _add_positions(session: Session, found: dict[int, Rep], ids: list[int]) -> None:
    for spot in live_positions(session, ids):
        rep = found[spot.rep_id]
        rep.lat, rep.lon, rep.accuracy = spot.lat, spot.lon, spot.accuracy_m
        rep.course, rep.battery = spot.course_deg, spot.battery
        rep.fix, rep.contact = clock.to_ms(spot.fix_at), clock.to_ms(spot.received_at)


def _add_devices(session: Session, found: dict[int, Rep], ids: list[int]) -> None:
    rows = session.execute(
        select(
            Device.staff_id,
            func.max(Device.last_contact_at),
            func.sum(Device.unsent),
            func.min(Device.battery),
        )
        .where(Device.staff_id.in_(ids), Device.status == "active")
        .group_by(Device.staff_id)
    )
    for staff_id, contact, unsent, battery in rows:
        rep = found[staff_id]
        if contact is not None:
            rep.contact = max(rep.contact or 0, clock.to_ms(contact))
        rep.unsent = None if unsent is None else int(unsent)
        rep.battery = battery if battery is not None else rep.battery


def _add_progress(session: Session, found: dict[int, Rep], ids: list[int]) -> None:
    done = func.sum(case((ReadOrder.status.in_(("done", "skipped", "held")), 1), else_=0))
    rows = session.execute(
        select(Route.reader_id, func.count(), done)
        .join(ReadOrder, ReadOrder.route_id == Route.id)
        .where(
            Route.reader_id.in_(ids),
            ReadOrder.period == periods.current(session),
            ReadOrder.status != "cancelled",
        )
        .group_by(Route.reader_id)
    )
    for reader_id, planned, n in rows:
        found[reader_id].planned, found[reader_id].done = planned, int(n or 0)


def stops(session: Session, seen: Scope, route_id: int | None, limit: int) -> list[Any]:
    """Stops with a position in walking order: what the map draws."""
    period = periods.current(session)
    statement = (
        select(
            ServicePoint.id,
            Premise.lat_e7,
            Premise.lon_e7,
            ReadOrder.status,
            RouteStop.route_id,
            RouteStop.sequence,
            ServicePoint.point_no,
            Premise.address,
            ServicePoint.account_id,
        )
        .select_from(RouteStop)
        .join(Route, Route.id == RouteStop.route_id)
        .join(ServicePoint, ServicePoint.id == RouteStop.subject_id)
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .outerjoin(
            ReadOrder,
            (ReadOrder.service_point_id == ServicePoint.id)
            & (ReadOrder.period == period)
            & (ReadOrder.reason == "01")
            & (ReadOrder.status != "cancelled"),
        )
        .where(RouteStop.kind == "service_point", Premise.lat_e7.is_not(None), seen.routes())
        .order_by(RouteStop.route_id, RouteStop.sequence)
        .limit(limit + 1)
    )
    if route_id is not None:
        statement = statement.where(RouteStop.route_id == route_id)
    return list(session.execute(statement))
