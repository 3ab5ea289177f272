"""Founding a new system: the operator, the default roles, the root unit, the first administrator."""

from __future__ import annotations

from dataclasses import dataclass

from server import audit, feed, operator
from server.db import Session
from server.identity.actor import SYSTEM
from server.identity.models import OrgUnit, Staff
from server.identity.service import add_staff, found_roles
from server.operator import Operator

ROOT_CODE = "office"


@dataclass(frozen=True)
class Administrator:
    """The first person who signs in; the caller has hashed the password."""

    username: str
    name: str
    email: str | None
    password_hash: str


@dataclass(frozen=True)
class Founded:
    """What a new system holds."""

    operator: Operator
    root: OrgUnit
    administrator: Staff


def found(
    session: Session,
    *,
    name: str,
    currency: str,
    time_zone: str,
    language: str,
    administrator: Administrator,
    is_demo: bool = False,
) -> Founded:
    """Set up an empty system.

    Raises:
        Conflict: ``operator.exists`` when this has been done already.
        Invalid: ``operator.invalid`` with every bad field in the details.
    """
    made = operator.found(session, name, currency, time_zone, language, is_demo=is_demo)
    found_roles(session)
    root = OrgUnit(kind="office", code=ROOT_CODE, name=made.name, time_zone=time_zone)
    session.add(root)
    session.flush()
    staff = add_staff(
        session,
        SYSTEM,
        username=administrator.username,
        name=administrator.name,
        email=administrator.email,
        password_hash=administrator.password_hash,
        roles=["admin"],
        org_unit_id=root.id,
        language=language,
    )
    feed.touch(session, "org", "operator", "operator")
    for code_list in ("skip", "trouble", "miss"):
        feed.touch(session, "org", "code_list", code_list)
    audit.record(
        session, SYSTEM, "operator.founded", "operator", made.id, after={"name": made.name}
    )
    return Founded(made, root, staff)
