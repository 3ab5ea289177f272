"""Files of people: the organisation and its staff."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import insert, select

from server import feed
from server.db import Session
from server.identity.models import ORG_UNIT_KINDS, OrgUnit, Role, Staff, staff_role
from server.imports import fields
from server.imports.store import ids_of, upsert
from server.imports.subject import Chunk, Column, Row, Subject


def load_org_units(session: Session, chunk: Chunk) -> None:
    """Store units; a parent stands above its children or is there already."""
    known = ids_of(session, OrgUnit, "code", chunk.values("parent"))
    for level in levels(chunk, "code", "parent", known, "org_unit"):
        wanted = {
            row["code"]: {
                "name": row["name"],
                "kind": row["kind"],
                "parent_id": known.get(row["parent"]),
                "time_zone": row["time_zone"],
            }
            for row in level
        }
        known |= upsert(
            session,
            chunk,
            OrgUnit,
            wanted,
            key="code",
            may_change=("name", "kind", "parent_id", "time_zone"),
        ).ids


def levels(
    chunk: Chunk, key: str, parent: str, known: dict[Any, int], what: str
) -> list[list[Row]]:
    """The rows of a tree from its roots down; rows whose parent nobody knows are refused."""
    waiting, found, done = chunk.rows, [], set(known)
    while waiting:
        level = [row for row in waiting if row[parent] is None or row[parent] in done]
        if not level:
            break
        found.append(level)
        done |= {row[key] for row in level}
        waiting = [row for row in waiting if row[key] not in done]
    for row in waiting:
        chunk.refuse(row, parent, f"import.unknown_{what}", f"names no {what} that exists")
    return found


def load_staff(session: Session, chunk: Chunk) -> None:
    """Store people; they have no password until an administrator gives them one."""
    units = ids_of(session, OrgUnit, "code", chunk.values("org_unit"))
    chunk.require("org_unit", units, "org_unit")
    roles = {name: number for name, number in session.execute(select(Role.name, Role.id))}
    for row in chunk.rows:
        if unknown := [role for role in row["roles"] if role not in roles]:
            reason = f"names no role that exists: {', '.join(unknown)}"
            chunk.refuse(row, "roles", "import.unknown_role", reason)
    _refuse_taken_emails(session, chunk)
    wanted = {
        row["username"]: {
            "name": row["name"],
            "email": row["email"],
            "phone": row["phone"],
            "language": row["language"],
            "org_unit_id": units.get(row["org_unit"]),
            "active": row["active"],
            "fs_uniquifier": secrets.token_hex(16),
        }
        for row in chunk.rows
    }
    may_change = ("name", "email", "phone", "language", "org_unit_id", "active")
    stored = upsert(session, chunk, Staff, wanted, key="username", may_change=may_change)
    _give_roles(session, chunk, stored.ids, roles)
    for number in stored.fresh:
        feed.touch(session, f"user:{number}", "rep", number)


def _refuse_taken_emails(session: Session, chunk: Chunk) -> None:
    owners = {
        email: username
        for email, username in session.execute(
            select(Staff.email, Staff.username).where(Staff.email.in_(chunk.values("email")))
        )
    }
    for row in chunk.rows:
        owner = owners.setdefault(row["email"], row["username"]) if row["email"] else None
        if owner not in (None, row["username"]):
            chunk.refuse(row, "email", "import.taken", f"belongs to {owner} already")


def _give_roles(session: Session, chunk: Chunk, ids: dict[Any, int], roles: dict[str, int]) -> None:
    """Add the roles that people do not have yet; roles given by hand are left."""
    rows = session.execute(
        select(staff_role.c.staff_id, staff_role.c.role_id).where(
            staff_role.c.staff_id.in_(sorted(ids.values()))
        )
    )
    have = {(staff, role) for staff, role in rows}
    wanted = {
        (ids[row["username"]], roles[role]) for row in chunk.rows for role in row["roles"]
    } - have
    if wanted:
        links = [{"staff_id": staff, "role_id": role} for staff, role in sorted(wanted)]
        session.execute(insert(staff_role), links)


ORG_UNITS = Subject(
    "org_units.csv",
    "Teams and places of the organisation, as a tree",
    (
        Column("code", fields.text(40), "Code of the unit.", "north", required=True),
        Column("name", fields.text(120), "Its name.", "城北抄表班", required=True),
        Column("kind", fields.choice(ORG_UNIT_KINDS), "What it is.", "crew", default="office"),
        Column(
            "parent", fields.text(40), "Code of the unit above; above it in the file.", "office"
        ),
        Column("time_zone", fields.time_zone, "Only where it differs.", "Asia/Urumqi"),
    ),
    ("code",),
    load_org_units,
)

STAFF = Subject(
    "staff.csv",
    "People who work with the system; they get their password from an administrator",
    (
        Column(
            "username", fields.text(80), "User name for the sign-in.", "zhangwei", required=True
        ),
        Column("name", fields.text(120), "Name.", "张伟", required=True),
        Column("email", fields.email, "E-mail address.", "zhang.wei@example.com"),
        Column("phone", fields.phone, "Phone.", "13800138000"),
        Column(
            "roles", fields.words, "Roles, separated by semicolons.", "meter_reader", default=()
        ),
        Column("org_unit", fields.text(40), "Code of his unit.", "north"),
        Column("language", fields.language, "Language.", "zh_Hans", default="zh_Hans"),
        Column("active", fields.yes_no, "Whether he may sign in.", "yes", default=True),
    ),
    ("username",),
    load_staff,
)
