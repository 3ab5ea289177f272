"""Staff and roles: who signs in, with which rights; adding and switching off."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_security.utils import hash_password
from werkzeug.wrappers import Response

from server import audit
from server.console import entry, language, paging, scope, words
from server.console.queries import readings, staff
from server.db import Session, snapshot, transaction
from server.errors import Conflict, DomainError, Invalid
from server.identity import service
from server.identity.models import Role, Staff
from server.identity.rules import beyond
from server.operator import LANGUAGES

MINIMUM = 8
_FIELDS = {"staff.username_taken": "username", "staff.foreign_unit": "team"}


@dataclass
class Form:
    """What was typed, and what is wrong with it, field by field."""

    username: str = ""
    name: str = ""
    email: str = ""
    language: str = "zh_Hans"
    team: str = ""
    roles: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)


def page() -> str:
    """The people and the roles."""
    state = request.args.get("state")
    active = {"active": True, "inactive": False}.get(state or "")
    with snapshot() as session:
        seen = scope.of(session, "staff", "view")
        found = paging.page(session, staff.listed(seen, active), Staff.username, descending=False)
        roles = staff.roles(session)
    return render_template("console/staff.html", page=found, roles=roles, state=state)


def one(staff_id: int) -> str:
    """One person: roles, rights, handhelds, routes, what happened."""
    with snapshot() as session:
        seen = scope.of(session, "staff", "view")
        row = scope.found(staff.one(session, seen, staff_id), "staff")
        devices, routes = staff.carried(session, staff_id)
        actor = service.actor_of(session, row.Staff)
        trail = readings.trail(session, "staff", staff_id)
    rights: dict[str, list[tuple[str, str]]] = {}
    for (resource, action), width in sorted(actor.rights.items()):
        rights.setdefault(resource, []).append((action, width))
    return render_template(
        "console/person.html", row=row, devices=devices, routes=routes, rights=rights, trail=trail
    )


def enter() -> str:
    """The form for a new person."""
    entry.actor().require("staff", "edit")
    return _form(Form(language=entry.settings().default_language))


def add() -> Response | str | tuple[str, int]:
    """Add a person; the first password is typed here and changed by him."""
    actor = entry.actor()
    actor.require("staff", "edit")
    form = Form(
        username=request.form.get("username", "").strip(),
        name=request.form.get("name", "").strip(),
        email=request.form.get("email", "").strip(),
        language=request.form.get("language", ""),
        team=request.form.get("team", ""),
        roles=request.form.getlist("roles"),
    )
    password = request.form.get("password", "")
    _check(form, password)
    if form.wrong:
        return _form(form), 422
    try:
        with transaction() as session:
            found = service.add_staff(
                session,
                actor,
                username=form.username,
                name=form.name,
                password_hash=hash_password(password),
                roles=form.roles,
                org_unit_id=int(form.team) if form.team.isdigit() else None,
                email=form.email or None,
                language=form.language,
            )
            staff_id = found.id
    except DomainError as error:
        form.wrong[_FIELDS.get(error.code, "roles")] = words.sentence(error)
        return _form(form), error.status
    flash(_("%(name)s can sign in now.", name=form.name), "message")
    return redirect(url_for("console.staff_one", staff_id=staff_id))


def _check(form: Form, password: str) -> None:
    if not form.username or "@" in form.username or " " in form.username:
        form.wrong["username"] = _("A user name without spaces and without @.")
    if not form.name:
        form.wrong["name"] = _("The name people call this person by.")
    if form.email and "@" not in form.email:
        form.wrong["email"] = _("This is not an e-mail address.")
    if len(password) < max(MINIMUM, current_app.config.get("SECURITY_PASSWORD_LENGTH_MIN", 0)):
        form.wrong["password"] = _("At least %(n)s characters.", n=MINIMUM)
    if form.language not in LANGUAGES:
        form.wrong["language"] = _("Choose a language.")
    if not form.roles:
        form.wrong["roles"] = _("Choose at least one role.")


def _form(form: Form) -> str:
    with snapshot() as session:
        roles, teams = _grantable(staff.roles(session)), staff.teams(session, _units(session))
    return render_template(
        "console/person_new.html", form=form, roles=roles, teams=teams, languages=language.NAMES
    )


def _grantable(roles: list[Role]) -> list[Role]:
    """The roles that give away no more than the viewer has."""
    own = entry.actor().rights
    return [role for role in roles if not beyond(own, service.rights_of_roles([role]))]


def _units(session: Session) -> list[int] | None:
    """The units the viewer may put people into; None is every unit."""
    actor = entry.actor()
    if actor.scope("staff", "edit") == "all":
        return None
    return service.team_ids(session, actor.org_unit_id)


def switch(staff_id: int) -> Response:
    """Switch a person off, or on again; his sessions and tokens end at once."""
    actor = entry.actor()
    wanted = request.form.get("active") == "yes"
    with transaction() as session:
        seen = scope.of(session, "staff", "edit")
        person = scope.found(staff.one(session, seen, staff_id), "staff").Staff
        if person.id == actor.staff_id:
            raise Conflict("staff.self", "You cannot switch yourself off.")
        service.refuse_beyond(actor, service.rights_of_roles(person.roles))
        if person.active == wanted:
            raise Invalid("staff.unchanged", "That is how it is already.")
        person.active = wanted
        if not wanted:
            person.fs_uniquifier = secrets.token_hex(16)
        audit.record(
            session,
            actor,
            "staff.activated" if wanted else "staff.deactivated",
            "staff",
            staff_id,
            before={"active": not wanted},
            after={"active": wanted},
        )
    return redirect(url_for("console.staff_one", staff_id=staff_id))


def remove_factor(staff_id: int) -> Response:
    """Take the second factor off somebody who lost phone and recovery codes."""
    with transaction() as session:
        seen = scope.of(session, "staff", "edit")
        person = scope.found(staff.one(session, seen, staff_id), "staff").Staff
        service.remove_second_factor(session, entry.actor(), person)
        name = person.name
    flash(_("%(name)s signs in with the password alone until a new one is set up.", name=name))
    return redirect(url_for("console.staff_one", staff_id=staff_id))
