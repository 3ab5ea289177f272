"""Commands about people's keys and handhelds: codes to enrol with, shutting out, personal tokens."""

from __future__ import annotations

import json
from datetime import timedelta

import click
from sqlalchemy import select

from server.db import Session, transaction
from server.errors import Invalid, NotFound
from server.identity import service
from server.identity.actor import SYSTEM
from server.identity.models import Staff
from server.identity.rules import show_code
from server.terminal import command, settings


@click.group("device")
def device_group() -> None:
    """Handhelds: let them in, shut them out."""


@command("code")
@click.option("--rep", "reps", multiple=True, required=True, help="User name; once for each code.")
@click.option("--replaces", type=int, help="Number of the handheld that the new one replaces.")
@click.option("--hours", type=int, help="How long it is good for; the setting when not given.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of username and code.")
def code_command(
    reps: tuple[str, ...], replaces: int | None, hours: int | None, as_json: bool
) -> None:
    """Make one-time codes with which handhelds enrol; each is shown this once."""
    if replaces is not None and len(reps) > 1:
        raise Invalid("enrol.replaces_one", "One handheld is replaced by one code.")
    valid_for = timedelta(hours=hours or settings().enrol_code_hours)
    offered = []
    with transaction() as session:
        for username in reps:
            staff = _staff(session, username)
            _, code = service.offer_enrolment(session, SYSTEM, staff.id, valid_for, replaces)
            offered.append((username, show_code(code)))
    if as_json:
        click.echo(json.dumps([{"username": name, "code": code} for name, code in offered]))
        return
    for username, code in offered:
        click.echo(f"{code}  {username}")


@command("revoke")
@click.argument("number", type=int)
def revoke_command(number: int) -> None:
    """Shut a handheld out: it reads nothing more and may hand in what it holds, for review."""
    with transaction() as session:
        device = service.revoke_device(session, SYSTEM, number)
        name, status = device.name, device.status
    click.echo(f"{name} is {status}.")


device_group.add_command(code_command)
device_group.add_command(revoke_command)


@click.group("token")
def token_group() -> None:
    """Personal tokens of the JSON API."""


@command("create")
@click.option("--user", "username", required=True, help="User name of the person it acts for.")
@click.option("--name", required=True, help="What it is for.")
def create_token_command(username: str, name: str) -> None:
    """Make a personal token and print it; nobody can print it again."""
    with transaction() as session:
        actor = service.actor_of(session, _staff(session, username))
        _, secret = service.create_api_token(session, actor, name)
    click.echo(secret)


@command("revoke")
@click.option("--user", "username", required=True, help="User name of the person it acts for.")
@click.argument("number", type=int)
def revoke_token_command(username: str, number: int) -> None:
    """Make a personal token useless at once; its number stands in the audit trail."""
    with transaction() as session:
        actor = service.actor_of(session, _staff(session, username))
        service.revoke_api_token(session, actor, number)
    click.echo(f"Token {number} opens nothing any more.")


token_group.add_command(create_token_command)
token_group.add_command(revoke_token_command)


def _staff(session: Session, username: str) -> Staff:
    """A person by the user name.

    Raises:
        NotFound: ``staff.unknown``.
    """
    staff = session.scalar(select(Staff).where(Staff.username == username))
    if staff is None:
        raise NotFound("staff.unknown", f"There is no member of staff {username}.")
    return staff
