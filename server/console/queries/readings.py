"""Readings with their verdicts, and everything that is known about one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, select, true

from server.accounts.models import (
    Account,
    Customer,
    Installation,
    Premise,
    Register,
    ServicePoint,
)
from server.audit import AuditEvent
from server.billing.models import Bill
from server.capture.models import CaptureEvent
from server.console.show import zone
from server.db import Session
from server.geo import fast_distance_e7, plane_e7
from server.identity.models import Staff
from server.metering.models import Consumption, Reading, ReadingCheck, ReadOrder
from server.rounds.models import Route, RouteStop
from server.rounds.scope import Scope


@dataclass(frozen=True)
class Filters:
    """What a list of readings is narrowed to."""

    status: str | None = None
    source: str | None = None
    route_id: int | None = None
    day: datetime | None = None
    point_id: int | None = None


def visible(seen: Scope) -> ColumnElement[bool]:
    """Condition on ``reading``: its point is on a visible route, or a visible person took it."""
    if seen.sees_all:
        return true()
    on_route = exists(
        select(RouteStop.id)
        .join(Route, Route.id == RouteStop.route_id)
        .where(
            RouteStop.kind == "service_point",
            RouteStop.subject_id == Reading.service_point_id,
            seen.routes(),
        )
        .correlate(Reading)
    )
    return or_(on_route, Reading.staff_id.in_(select(Staff.id).where(seen.staff())))


def listed(seen: Scope, filters: Filters) -> Select[*tuple[Any, ...]]:
    """The list, newest first when paged by ``Reading.id``."""
    statement = (
        select(
            Reading,
            ServicePoint.point_no,
            ServicePoint.account_id,
            Account.account_no,
            Customer.name.label("customer"),
            Staff.name.label("reader"),
            Consumption.quantity,
            Consumption.bill_id,
        )
        .outerjoin(ServicePoint, ServicePoint.id == Reading.service_point_id)
        .outerjoin(Account, Account.id == ServicePoint.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .outerjoin(Staff, Staff.id == Reading.staff_id)
        .outerjoin(
            Consumption,
            (Consumption.reading_id == Reading.id) & (Consumption.status != "superseded"),
        )
    )
    return _narrowed(statement.where(visible(seen)), filters)


def _narrowed(statement: Select[*tuple[Any, ...]], filters: Filters) -> Select[*tuple[Any, ...]]:
    if filters.status:
        statement = statement.where(Reading.status == filters.status)
    if filters.source:
        statement = statement.where(Reading.source == filters.source)
    if filters.point_id:
        statement = statement.where(Reading.service_point_id == filters.point_id)
    if filters.route_id:
        stops = select(RouteStop.subject_id).where(
            RouteStop.route_id == filters.route_id, RouteStop.kind == "service_point"
        )
        statement = statement.where(Reading.service_point_id.in_(stops))
    if filters.day:
        start = datetime.combine(filters.day.date(), time(), tzinfo=zone())
        end = datetime.combine(filters.day.date() + timedelta(days=1), time(), tzinfo=zone())
        statement = statement.where((Reading.read_at >= start) & (Reading.read_at < end))
    return statement


@dataclass(frozen=True)
class Whole:
    """One reading with all that belongs to it."""

    reading: Reading
    checks: list[ReadingCheck]
    point: ServicePoint | None
    premise: Premise | None
    account: Account | None
    customer: Customer | None
    register: Register | None
    multiplier: Decimal | None
    order: ReadOrder | None
    route: Route | None
    reader: str | None
    released_by: str | None
    consumption: Consumption | None
    bill: Bill | None
    capture: CaptureEvent | None
    history: list[Any]
    trail: list[AuditEvent]
    siblings: list[Reading]

    @property
    def distance_m(self) -> float | None:
        """Metres between the place of the reading and the premise."""
        r, p = self.reading, self.premise
        if p is None or None in (r.lat_e7, r.lon_e7, p.lat_e7, p.lon_e7):
            return None
        return fast_distance_e7(r.lat_e7, r.lon_e7, p.lat_e7, p.lon_e7)  # type: ignore[arg-type]

    @property
    def offset_m(self) -> tuple[float, float]:
        """Metres east and north from the premise to the place of the reading."""
        r, p = self.reading, self.premise
        if p is None or self.distance_m is None:
            return 0.0, 0.0
        return plane_e7(r.lat_e7, r.lon_e7, p.lat_e7, p.lon_e7)  # type: ignore[arg-type]

    @property
    def expected(self) -> dict[str, str]:
        """What the order expected of this register, decimals as text."""
        return self.order.expectations.get(self.reading.register_kind, {}) if self.order else {}


def whole(session: Session, seen: Scope, reading_id: int) -> Whole | None:
    """Everything about one visible reading."""
    reading = session.execute(
        select(Reading).where(Reading.id == reading_id, visible(seen))
    ).scalar_one_or_none()
    if reading is None:
        return None
    point = (
        session.get(ServicePoint, reading.service_point_id) if reading.service_point_id else None
    )
    account = session.get(Account, point.account_id) if point else None
    order = session.get(ReadOrder, reading.order_id) if reading.order_id else None
    installation = (
        session.get(Installation, reading.installation_id) if reading.installation_id else None
    )
    consumption = session.execute(
        select(Consumption).where(
            Consumption.reading_id == reading.id, Consumption.status != "superseded"
        )
    ).scalar_one_or_none()
    return Whole(
        reading=reading,
        checks=list(
            session.scalars(
                select(ReadingCheck)
                .where(ReadingCheck.reading_id == reading.id)
                .order_by(ReadingCheck.id)
            )
        ),
        point=point,
        premise=session.get(Premise, point.premise_id) if point else None,
        account=account,
        customer=session.get(Customer, account.customer_id) if account else None,
        register=session.get(Register, reading.register_id) if reading.register_id else None,
        multiplier=installation.multiplier if installation else None,
        order=order,
        route=_route(session, reading, order),
        reader=_name(session, reading.staff_id),
        released_by=_name(session, reading.released_by_id),
        consumption=consumption,
        bill=session.get(Bill, consumption.bill_id)
        if consumption and consumption.bill_id
        else None,
        capture=_capture(session, reading),
        history=history(session, reading.service_point_id, reading.register_kind),
        trail=trail(session, "reading", reading.id),
        siblings=_siblings(session, reading),
    )


def history(session: Session, point_id: int | None, kind: str, limit: int = 13) -> list[Any]:
    """The last uses of a register of a point, oldest first: until when, how much, reading, value."""
    if point_id is None:
        return []
    rows = session.execute(
        select(Consumption.to_at, Consumption.quantity, Consumption.reading_id, Reading.value)
        .join(Reading, Reading.id == Consumption.reading_id)
        .where(
            Consumption.service_point_id == point_id,
            Consumption.register_kind == kind,
            Consumption.status != "superseded",
        )
        .order_by(Consumption.to_at.desc())
        .limit(limit)
    ).all()
    return list(reversed(rows))


def trail(session: Session, subject_type: str, subject_id: object) -> list[AuditEvent]:
    """What people did to a thing, oldest first."""
    return list(
        session.scalars(
            select(AuditEvent)
            .where(
                AuditEvent.subject_type == subject_type, AuditEvent.subject_id == str(subject_id)
            )
            .order_by(AuditEvent.id)
            .limit(200)
        )
    )


def _name(session: Session, staff_id: int | None) -> str | None:
    staff = session.get(Staff, staff_id) if staff_id else None
    return staff.name if staff else None


def _route(session: Session, reading: Reading, order: ReadOrder | None) -> Route | None:
    if order is not None and order.route_id is not None:
        return session.get(Route, order.route_id)
    return session.execute(
        select(Route)
        .join(RouteStop, RouteStop.route_id == Route.id)
        .where(RouteStop.kind == "service_point", RouteStop.subject_id == reading.service_point_id)
    ).scalar()


def _capture(session: Session, reading: Reading) -> CaptureEvent | None:
    if reading.capture_uuid is None:
        return None
    return session.execute(
        select(CaptureEvent).where(CaptureEvent.uuid == reading.capture_uuid)
    ).scalar_one_or_none()


def _siblings(session: Session, reading: Reading) -> list[Reading]:
    if reading.capture_uuid is None:
        return []
    return list(
        session.scalars(
            select(Reading)
            .where(
                Reading.capture_uuid == reading.capture_uuid,
                Reading.created_at == reading.created_at,
                Reading.reason == reading.reason,
                Reading.id != reading.id,
            )
            .order_by(Reading.id)
        )
    )
