"""Routes with their stops and how far they are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from server.accounts.models import Account, Customer, Installation, Meter, Premise, ServicePoint
from server.db import Session
from server.identity.models import OrgUnit, Staff
from server.metering.models import ReadOrder
from server.rounds.models import Route, RouteStop
from server.rounds.scope import Scope


def choice(session: Session, seen: Scope) -> list[Any]:
    """Visible routes for a filter: id, book number, name."""
    return list(
        session.execute(
            select(Route.id, Route.book_no, Route.name)
            .where(seen.routes())
            .order_by(Route.book_no)
            .limit(2000)
        )
    )


def one(session: Session, seen: Scope, route_id: int) -> Any:
    """A route with its reader and team, or None."""
    return session.execute(
        select(Route, Staff.name.label("reader"), OrgUnit.name.label("team"))
        .outerjoin(Staff, Staff.id == Route.reader_id)
        .join(OrgUnit, OrgUnit.id == Route.org_unit_id)
        .where(Route.id == route_id, seen.routes())
    ).first()


def stops(session: Session, route_id: int, period: str, limit: int = 1000) -> list[Any]:
    """The stops of a route in walking order with the state of the period's order."""
    return list(
        session.execute(
            select(
                RouteStop.sequence,
                ServicePoint.id,
                ServicePoint.point_no,
                ServicePoint.account_id,
                ServicePoint.hazards,
                Premise.address,
                Account.account_no,
                Customer.name.label("customer"),
                Meter.serial,
                ReadOrder.status,
                ReadOrder.id.label("order_id"),
            )
            .join(ServicePoint, ServicePoint.id == RouteStop.subject_id)
            .join(Premise, Premise.id == ServicePoint.premise_id)
            .join(Account, Account.id == ServicePoint.account_id)
            .join(Customer, Customer.id == Account.customer_id)
            .outerjoin(
                Installation,
                (Installation.service_point_id == ServicePoint.id)
                & Installation.removed_at.is_(None),
            )
            .outerjoin(Meter, Meter.id == Installation.meter_id)
            .outerjoin(
                ReadOrder,
                (ReadOrder.service_point_id == ServicePoint.id)
                & (ReadOrder.period == period)
                & (ReadOrder.reason == "01")
                & (ReadOrder.status != "cancelled"),
            )
            .where(RouteStop.route_id == route_id, RouteStop.kind == "service_point")
            .order_by(RouteStop.sequence, RouteStop.id)
            .limit(limit)
        )
    )


def plain(session: Session, seen: Scope) -> list[Any]:
    """All visible routes with reader and number of stops."""
    counted = (
        select(RouteStop.route_id, func.count().label("n")).group_by(RouteStop.route_id).subquery()
    )
    return list(
        session.execute(
            select(Route, Staff.name.label("reader"), func.coalesce(counted.c.n, 0).label("stops"))
            .outerjoin(Staff, Staff.id == Route.reader_id)
            .outerjoin(counted, counted.c.route_id == Route.id)
            .where(seen.routes())
            .order_by(Route.book_no)
            .limit(2000)
        )
    )


def readers(session: Session, seen: Scope) -> list[Any]:
    """People who may be given a route."""
    return list(
        session.execute(
            select(Staff.id, Staff.name)
            .where(Staff.active.is_(True), seen.staff())
            .order_by(Staff.name)
            .limit(2000)
        )
    )
