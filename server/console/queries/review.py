"""What waits for a decision."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from server.accounts.models import Account, Customer, Premise, ServicePoint
from server.capture import decide as captures
from server.capture.items import SAME_ID
from server.capture.models import CaptureEvent, CaptureReject, CaptureVariant
from server.db import Session
from server.identity.models import OrgUnit, RolePermission, Staff, staff_role
from server.identity.rules import merge_rights
from server.metering.models import Reading
from server.review import ReviewItem
from server.rounds.models import Route
from server.rounds.scope import Scope


def listed(
    seen: Scope, reason: str | None, kind: str | None, owner_id: int | None = None
) -> Select[*tuple[Any, ...]]:
    """Open items, oldest first when paged by ``ReviewItem.id`` ascending."""
    statement = (
        select(ReviewItem, Route.book_no, Staff.name.label("owner"))
        .outerjoin(Route, Route.id == ReviewItem.route_id)
        .outerjoin(Staff, Staff.id == ReviewItem.owner_id)
        .where(ReviewItem.status == "open", seen.review_items())
    )
    if reason:
        statement = statement.where(ReviewItem.reason == reason)
    if kind:
        statement = statement.where(ReviewItem.kind == kind)
    if owner_id is not None:
        statement = statement.where(ReviewItem.owner_id == owner_id)
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


def sent(
    session: Session, item: ReviewItem
) -> CaptureEvent | CaptureVariant | CaptureReject | None:
    """What a handheld sent that the item is about, when it is about that."""
    if item.reason == SAME_ID.code:
        return captures.variant_of(session, item)
    event = _event(session, item)
    if event is not None:
        return event
    if item.subject_type == "capture_reject":
        rejects = session.scalars(
            select(CaptureReject).where(CaptureReject.body_hash == item.subject_id).limit(1)
        )
        return rejects.first()
    return None


Right = tuple[str, str]


def people(
    session: Session, seen: Scope, item: ReviewItem, needed: Collection[Right]
) -> list[Staff]:
    """Those to whom an item can be given: visible, with the rights, and the item in their scope.

    Nobody is given what he captured himself.

    Args:
        needed: the rights that the ways out of the queue ask for.
    """
    found: dict[int, Staff] = {}
    rights: dict[int, list[tuple[Right, str]]] = {}
    rows = session.execute(
        select(Staff, RolePermission.resource, RolePermission.action, RolePermission.scope)
        .join(staff_role, staff_role.c.staff_id == Staff.id)
        .join(RolePermission, RolePermission.role_id == staff_role.c.role_id)
        .where(Staff.active.is_(True), seen.staff())
        .order_by(Staff.name, Staff.id)
    )
    for person, resource, action, width in rows:
        found[person.id] = person
        rights.setdefault(person.id, []).append(((resource, action), width))
    near = _near(session, item)
    author = _author(session, item)
    return [
        person
        for person in found.values()
        if person.id != author and _able(person, merge_rights(rights[person.id]), needed, near)
    ]


@dataclass(frozen=True)
class _Near:
    """What a scope may know an item by: the units above it and the reader of its route."""

    units: frozenset[int]
    reader_id: int | None


def _near(session: Session, item: ReviewItem) -> _Near:
    route = session.get(Route, item.route_id) if item.route_id is not None else None
    units = {item.org_unit_id, route.org_unit_id if route else None} - {None}
    tree = select(OrgUnit.id, OrgUnit.parent_id).where(OrgUnit.id.in_(units))
    above = tree.cte("above", recursive=True)
    above = above.union(
        select(OrgUnit.id, OrgUnit.parent_id).join(above, OrgUnit.id == above.c.parent_id)
    )
    found = session.scalars(select(above.c.id)) if units else ()
    return _Near(frozenset(found), route.reader_id if route else None)


def _able(
    person: Staff, rights: Mapping[Right, str], needed: Collection[Right], near: _Near
) -> bool:
    if any(right not in rights for right in needed):
        return False
    width = rights.get(("review", "decide"))
    if width == "all":
        return True
    on_route = near.reader_id == person.id
    return on_route if width != "team" else person.org_unit_id in near.units


def _author(session: Session, item: ReviewItem) -> int | None:
    """Who captured what the item is about: somebody else has to decide."""
    if item.subject_type == "reading":
        return session.scalar(select(Reading.staff_id).where(Reading.id == int(item.subject_id)))
    event = _event(session, item)
    return event.staff_id if event is not None else None


def _event(session: Session, item: ReviewItem) -> CaptureEvent | None:
    """The stored capture that an item, or its file, is about."""
    uuid = item.detail.get("capture") if item.subject_type == "attachment" else None
    if item.subject_type == "capture":
        uuid = item.subject_id
    if uuid is None:
        return None
    return session.scalar(select(CaptureEvent).where(CaptureEvent.uuid == UUID(uuid)))
