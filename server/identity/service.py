"""Verbs on people and devices: founding roles, enrolling, revoking, proving a token."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update

from server import audit, clock
from server.db import Session, glance
from server.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from server.identity import rules
from server.identity.actor import Actor
from server.identity.models import (
    ApiToken,
    Device,
    Enrolment,
    OrgUnit,
    Role,
    RolePermission,
    Staff,
    staff_role,
)
from server.identity.roles import DEFAULT_ROLES, default_rights
from server.operator import Operator

LAST_USED_STEP = timedelta(minutes=5)


# --- people -------------------------------------------------------------------------------


def found_roles(session: Session) -> None:
    """Write the default roles that do not exist yet."""
    existing = set(session.execute(select(Role.name)).scalars())
    for name in DEFAULT_ROLES:
        if name not in existing:
            rights = [
                RolePermission(resource=resource, action=action, scope=scope)
                for (resource, action), scope in default_rights(name).items()
            ]
            session.add(Role(name=name, rights=rights))
    session.flush()


def add_staff(
    session: Session,
    actor: Actor,
    *,
    username: str,
    name: str,
    password_hash: str,
    roles: list[str],
    org_unit_id: int | None = None,
    email: str | None = None,
    language: str = "zh_Hans",
) -> Staff:
    """Add a person who signs in; the caller has hashed the password.

    Nobody gives away more than he has: neither rights, nor a place outside his own scope.

    Raises:
        Conflict: ``staff.username_taken``.
        Invalid: ``staff.unknown_role``.
        Forbidden: ``staff.beyond_own_rights``, ``staff.foreign_unit``.
    """
    taken = session.execute(select(Staff.id).where(Staff.username == username)).first()
    if taken:
        raise Conflict("staff.username_taken", f"The user name {username} is taken.")
    found = list(session.execute(select(Role).where(Role.name.in_(roles))).scalars())
    if len(found) != len(set(roles)):
        raise Invalid("staff.unknown_role", "One of the roles does not exist.", {"roles": roles})
    refuse_beyond(actor, rights_of_roles(found))
    if not may_place(session, actor, org_unit_id):
        raise Forbidden("staff.foreign_unit", "This team is not yours.", {"unit": org_unit_id})
    staff = Staff(
        username=username,
        name=name,
        email=email,
        language=language,
        org_unit_id=org_unit_id,
        password=password_hash,
        active=True,
        confirmed_at=clock.now(),
        fs_uniquifier=secrets.token_hex(16),
        roles=found,
    )
    session.add(staff)
    session.flush()
    audit.record(
        session,
        actor,
        "staff.added",
        "staff",
        staff.id,
        after={"username": username, "roles": roles},
    )
    return staff


def rights_of_roles(roles: Iterable[Role]) -> dict[tuple[str, str], str]:
    """What roles allow together: the widest scope of each right."""
    return rules.merge_rights(
        ((right.resource, right.action), right.scope) for role in roles for right in role.rights
    )


def refuse_beyond(actor: Actor, rights: Mapping[tuple[str, str], str]) -> None:
    """Refuse to act on rights that the actor does not hold himself; the system holds all.

    Raises:
        Forbidden: ``staff.beyond_own_rights``.
    """
    more = [] if actor.kind == "system" else rules.beyond(actor.rights, rights)
    if more:
        raise Forbidden(
            "staff.beyond_own_rights",
            "These rights go beyond your own.",
            {"rights": [f"{resource}:{action}" for resource, action in more]},
        )


def may_place(session: Session, actor: Actor, org_unit_id: int | None) -> bool:
    """Whether the actor may put a person into a unit: any, or one of his own team."""
    if actor.scope("staff", "edit") == "all":
        return True
    return org_unit_id in team_ids(session, actor.org_unit_id)


def forget_second_factor(staff: Staff) -> None:
    """Take the second factor off a person, his recovery codes with it."""
    staff.tf_primary_method = staff.tf_totp_secret = staff.tf_phone_number = None
    staff.tf_last_counter = None
    staff.mf_recovery_codes = None


def remove_second_factor(session: Session, actor: Actor, staff: Staff) -> None:
    """Let a person who lost phone and codes sign in with the password alone.

    Raises:
        Conflict: ``staff.own_factor`` for oneself; ``staff.no_second_factor`` when there is none.
        Forbidden: ``staff.beyond_own_rights`` for a person who may do more.
    """
    if staff.id == actor.staff_id:
        raise Conflict("staff.own_factor", "Take your own second factor off on your own page.")
    if not staff.has_second_factor:
        raise Conflict("staff.no_second_factor", "There is no second factor to remove.")
    refuse_beyond(actor, rights_of_roles(staff.roles))
    forget_second_factor(staff)
    audit.record(
        session,
        actor,
        "staff.second_factor_removed",
        "staff",
        staff.id,
        before={"second_factor": True},
        after={"second_factor": False},
    )


def actor_of(session: Session, staff: Staff) -> Actor:
    """The person as an actor with the widest scope of each of his rights."""
    rows = session.execute(
        select(RolePermission.resource, RolePermission.action, RolePermission.scope)
        .join(staff_role, staff_role.c.role_id == RolePermission.role_id)
        .where(staff_role.c.staff_id == staff.id)
    )
    return Actor(
        kind="staff",
        id=staff.id,
        staff_id=staff.id,
        name=staff.name,
        org_unit_id=staff.org_unit_id,
        language=staff.language,
        rights=rules.merge_rights(((r, a), scope) for r, a, scope in rows),
    )


def team_ids(session: Session, org_unit_id: int | None) -> list[int]:
    """The ids of a unit and everything below it; nothing for a person without a unit."""
    if org_unit_id is None:
        return []
    tree = select(OrgUnit.id).where(OrgUnit.id == org_unit_id).cte("tree", recursive=True)
    tree = tree.union_all(select(OrgUnit.id).join(tree, OrgUnit.parent_id == tree.c.id))
    return list(session.execute(select(tree.c.id)).scalars())


# --- personal tokens ----------------------------------------------------------------------


def create_api_token(session: Session, actor: Actor, name: str) -> tuple[ApiToken, str]:
    """Make a personal token; its text is returned once and never kept."""
    if actor.staff_id is None:
        raise Forbidden("api_token.staff_only", "Only a person can have a personal token.")
    secret = rules.new_token("fb")
    token = ApiToken(staff_id=actor.staff_id, name=name, token_hash=rules.hash_secret(secret))
    session.add(token)
    session.flush()
    audit.record(session, actor, "api_token.created", "api_token", token.id, after={"name": name})
    return token, secret


def revoke_api_token(session: Session, actor: Actor, token_id: int) -> None:
    """Make a personal token useless at once.

    Raises:
        NotFound: ``api_token.unknown``, also for somebody else's token.
    """
    token = session.get(ApiToken, token_id)
    if token is None or token.staff_id != actor.staff_id:
        raise NotFound("api_token.unknown", "You have no such token.")
    if token.revoked_at is None:
        token.revoked_at = clock.now()
        audit.record(session, actor, "api_token.revoked", "api_token", token.id)


def prove_api_token(session: Session, secret: str) -> tuple[Actor, ApiToken]:
    """Who a personal token stands for.

    Raises:
        Unauthorized: ``auth.token_unknown`` for an unknown, revoked or switched-off one.
    """
    row = session.execute(
        select(ApiToken, Staff)
        .join(Staff, Staff.id == ApiToken.staff_id)
        .where(
            ApiToken.token_hash == rules.hash_secret(secret),
            ApiToken.revoked_at.is_(None),
            Staff.active.is_(True),
        )
    ).first()
    if row is None:
        raise Unauthorized("auth.token_unknown", "This token is not known or no longer valid.")
    token, staff = row
    return actor_of(session, staff), token


# --- handhelds ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """A handheld that has just been enrolled; ``token`` is shown this once."""

    device: Device
    token: str


def offer_enrolment(
    session: Session,
    actor: Actor,
    staff_id: int,
    valid_for: timedelta,
    replaces_device_id: int | None = None,
) -> tuple[Enrolment, str]:
    """Make a one-time code with which a handheld joins for a rep.

    Raises:
        NotFound: ``staff.unknown`` or ``device.unknown``.
    """
    if session.get(Staff, staff_id) is None:
        raise NotFound("staff.unknown", f"There is no member of staff {staff_id}.")
    if replaces_device_id is not None and session.get(Device, replaces_device_id) is None:
        raise NotFound("device.unknown", f"There is no device {replaces_device_id}.")
    code = rules.new_code()
    enrolment = Enrolment(
        code_hash=rules.hash_secret(code),
        staff_id=staff_id,
        replaces_device_id=replaces_device_id,
        created_by_id=actor.staff_id,
        expires_at=clock.now() + valid_for,
    )
    session.add(enrolment)
    session.flush()
    audit.record(
        session, actor, "enrolment.offered", "enrolment", enrolment.id, after={"staff_id": staff_id}
    )
    return enrolment, code


def enrol(session: Session, code: str, about: dict[str, Any], key: str = "") -> Joined:
    """Let a handheld in with its one-time code; the device it replaces is closed.

    When the answer was lost, the same installation may use its code again until it expires. With
    the installation's ``key`` it gets the same token each time, so that it does not matter which
    of several requests came last; without one the newest token alone is good.

    Raises:
        Unauthorized: ``enrol.code_unknown``, ``enrol.code_used`` or ``enrol.code_expired``.
    """
    enrolment = _known_enrolment(session, code)
    install_id = about.get("install_id")
    token = rules.new_token("fbd")
    if key and install_id:
        token = rules.enrolment_token(key, rules.read_code(code), install_id)
    if enrolment.device_id is not None:
        return _again(session, enrolment, about, token)
    # One after the other: the receipt prefix is told by how many handhelds there are.
    session.execute(select(Operator.id).with_for_update())
    number = session.execute(select(func.count()).select_from(Device)).scalar_one()
    staff = session.get_one(Staff, enrolment.staff_id)
    device = Device(
        name=about.get("name") or f"{staff.name} · {rules.receipt_prefix(number)}",
        staff_id=staff.id,
        status="active",
        token_hash=rules.hash_secret(token),
        receipt_prefix=rules.receipt_prefix(number),
        last_contact_at=clock.now(),
        **{key: about.get(key) for key in _DEVICE_FIELDS},
    )
    session.add(device)
    session.flush()
    enrolment.used_at, enrolment.device_id = clock.now(), device.id
    if enrolment.replaces_device_id is not None:
        _replace(session, enrolment.replaces_device_id, device.id)
    actor = device_actor(device, staff.name)
    audit.record(session, actor, "device.enrolled", "device", device.id, after=_public(about))
    return Joined(device, token)


_DEVICE_FIELDS = ("install_id", "model", "os", "app_version", "imei", "iccid", "esn")


def _public(about: dict[str, Any]) -> dict[str, Any]:
    return {key: about[key] for key in _DEVICE_FIELDS if about.get(key)}


def _known_enrolment(session: Session, code: str) -> Enrolment:
    wanted = rules.hash_secret(rules.read_code(code))
    enrolment = session.execute(
        select(Enrolment).where(Enrolment.code_hash == wanted).with_for_update()
    ).scalar_one_or_none()
    if enrolment is None:
        raise Unauthorized("enrol.code_unknown", "This code is not known. Check the 8 characters.")
    if enrolment.expires_at <= clock.now():
        raise Unauthorized("enrol.code_expired", "This code has expired. Ask for a new one.")
    return enrolment


def _again(session: Session, enrolment: Enrolment, about: dict[str, Any], token: str) -> Joined:
    """Give the installation that used the code its token once more."""
    device = session.get_one(Device, enrolment.device_id)
    if device.install_id != about.get("install_id") or device.status != "active":
        raise Unauthorized("enrol.code_used", "This code has been used. Ask for a new one.")
    device.token_hash = rules.hash_secret(token)
    actor = device_actor(device, device.name)
    audit.record(session, actor, "device.token_renewed", "device", device.id)
    return Joined(device, token)


def _replace(session: Session, old_id: int, new_id: int) -> None:
    session.execute(
        update(Device)
        .where(Device.id == old_id)
        .values(status="replaced", replaced_by_id=new_id, revoked_at=clock.now())
    )


def revoke_device(session: Session, actor: Actor, device_id: int) -> Device:
    """Shut a handheld out: it may still hand in what it holds, and reads nothing.

    Raises:
        NotFound: ``device.unknown``.
    """
    device = session.get(Device, device_id)
    if device is None:
        raise NotFound("device.unknown", f"There is no device {device_id}.")
    if device.status == "active":
        device.status, device.revoked_at = "revoked", clock.now()
        device.revoked_by_id = actor.staff_id
        audit.record(
            session,
            actor,
            "device.revoked",
            "device",
            device.id,
            before={"status": "active"},
            after={"status": "revoked"},
        )
    return device


@dataclass(frozen=True, slots=True)
class CallingDevice:
    """A handheld that has proved itself, as far as its requests need it."""

    id: int
    staff_id: int
    status: str
    receipt_prefix: str
    last_contact_at: datetime | None


_OF_TOKEN = select(
    Device.id, Device.staff_id, Device.status, Device.receipt_prefix, Device.last_contact_at
).where(Device.token_hash == bindparam("token_hash"))


def device_of_token(token: str) -> CallingDevice:
    """The handheld a token belongs to, revoked ones included.

    Raises:
        Unauthorized: ``auth.token_unknown``.
    """
    with glance() as connection:
        row = connection.execute(_OF_TOKEN, {"token_hash": rules.hash_secret(token)}).first()
    if row is None:
        raise Unauthorized("auth.token_unknown", "This device token is not known.")
    return CallingDevice(*row)


def device_actor(device: Device, name: str) -> Actor:
    """A handheld as an actor on behalf of its rep."""
    return Actor(kind="device", id=device.id, staff_id=device.staff_id, name=name)
