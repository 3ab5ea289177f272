"""People who sign in."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from server.db import Session
from server.identity.models import Device, OrgUnit, Role, Staff
from server.rounds.models import Route
from server.rounds.scope import Scope


def listed(seen: Scope, active: bool | None) -> Select[*tuple[Any, ...]]:
    """The list, by user name."""
    statement = (
        select(Staff, OrgUnit.name.label("team"))
        .outerjoin(OrgUnit, OrgUnit.id == Staff.org_unit_id)
        .options(selectinload(Staff.roles))
        .where(seen.staff())
    )
    return statement if active is None else statement.where(Staff.active.is_(active))


def one(session: Session, seen: Scope, staff_id: int) -> Any:
    """One visible person with roles and rights, or None."""
    return session.execute(
        select(Staff, OrgUnit.name.label("team"))
        .outerjoin(OrgUnit, OrgUnit.id == Staff.org_unit_id)
        .options(selectinload(Staff.roles).selectinload(Role.rights))
        .where(Staff.id == staff_id, seen.staff())
    ).first()


def carried(session: Session, staff_id: int) -> tuple[list[Device], list[Route]]:
    """The handhelds and routes of a person."""
    devices = session.scalars(
        select(Device).where(Device.staff_id == staff_id).order_by(Device.id.desc()).limit(20)
    )
    routes = session.scalars(
        select(Route).where(Route.reader_id == staff_id).order_by(Route.book_no).limit(100)
    )
    return list(devices), list(routes)


def roles(session: Session) -> list[Role]:
    """Every role with its rights."""
    return list(session.scalars(select(Role).options(selectinload(Role.rights)).order_by(Role.id)))


def teams(session: Session, among: Collection[int] | None = None) -> list[OrgUnit]:
    """Every unit of the organisation, or those ``among`` some."""
    statement = select(OrgUnit).order_by(OrgUnit.name).limit(2000)
    if among is not None:
        statement = statement.where(OrgUnit.id.in_(among))
    return list(session.scalars(statement))
