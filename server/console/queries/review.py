"""What waits for a decision."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer, Premise, ServicePoint
from server.capture.models import CaptureEvent, CaptureReject
from server.db import Session
from server.identity.models import Staff
from server.metering.models import Reading
from server.review import ReviewItem
from server.rounds.models import Route
from server.rounds.scope import Scope


def listed(seen: Scope, reason: str | None, kind: str | None) -> Select[*tuple[Any, ...]]:
    """Open items, oldest first when paged by ``ReviewItem.id`` ascending."""
    statement = (
        select(ReviewItem, Route.book_no)
        .outerjoin(Route, Route.id == ReviewItem.route_id)
        .where(ReviewItem.status == "open", seen.review_items())
    )
    if reason:
        statement = statement.where(ReviewItem.reason == reason)
    if kind:
        statement = statement.where(ReviewItem.kind == kind)
    return statement


def abouts(session: Session, items: list[ReviewItem]) -> dict[int, Any]:
    """For items about readings: what the list shows of each, by item id."""
    ids = {i.id: int(i.subject_id) for i in items if i.subject_type == "reading"}
    if not ids:
        return {}
    rows = session.execute(
        select(
            Reading.id,
            Reading.value,
            Reading.meter_serial,
            Reading.register_kind,
            Reading.read_at,
            Customer.name.label("customer"),
            Account.account_no,
            Premise.address,
            Staff.name.label("reader"),
        )
        .outerjoin(ServicePoint, ServicePoint.id == Reading.service_point_id)
        .outerjoin(Premise, Premise.id == ServicePoint.premise_id)
        .outerjoin(Account, Account.id == ServicePoint.account_id)
        .outerjoin(Customer, Customer.id == Account.customer_id)
        .outerjoin(Staff, Staff.id == Reading.staff_id)
        .where(Reading.id.in_(ids.values()))
    )
    known = {row.id: row for row in rows}
    return {item: known[reading] for item, reading in ids.items() if reading in known}


def one(session: Session, seen: Scope, item_id: int) -> ReviewItem | None:
    """One visible item, open or decided."""
    return session.execute(
        select(ReviewItem).where(ReviewItem.id == item_id, seen.review_items())
    ).scalar_one_or_none()


def reasons(session: Session, seen: Scope) -> list[Any]:
    """(reason, how many) of what waits."""
    return list(
        session.execute(
            select(ReviewItem.reason, func.count().label("n"))
            .where(ReviewItem.status == "open", seen.review_items())
            .group_by(ReviewItem.reason)
            .order_by(func.count().desc(), ReviewItem.reason)
        )
    )


def sent(session: Session, item: ReviewItem) -> CaptureEvent | CaptureReject | None:
    """What a handheld sent that the item is about, when it is about that."""
    if item.subject_type == "capture":
        found = session.scalars(
            select(CaptureEvent).where(CaptureEvent.uuid == UUID(item.subject_id))
        )
        return found.one_or_none()
    if item.subject_type == "capture_reject":
        rejects = session.scalars(
            select(CaptureReject).where(CaptureReject.body_hash == item.subject_id).limit(1)
        )
        return rejects.first()
    return None


def people(session: Session, seen: Scope) -> list[Staff]:
    """Those to whom an item can be given."""
    statement = select(Staff).where(Staff.active.is_(True), seen.staff()).order_by(Staff.name)
    return list(session.scalars(statement))
