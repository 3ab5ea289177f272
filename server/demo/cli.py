"""``flask demo``: load the demo's company, keep its rounds going, say how to sign in."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import click
from flask_security import hash_password
from sqlalchemy import select

from server import clock
from server.db import Session, snapshot, transaction
from server.demo import files, loader, people
from server.demo.orders import open_next
from server.errors import Conflict
from server.identity.actor import SYSTEM
from server.identity.models import Device, Staff
from server.identity.rules import show_code
from server.identity.service import offer_enrolment
from server.operator import Operator
from server.terminal import command, settings

CODES_VALID = timedelta(days=30)


@click.group("demo")
def demo_group() -> None:
    """A county energy company to try things out with."""


@command("load")
def load_command() -> None:
    """Load the demo into an empty database; does nothing where it is loaded already."""
    if _is_loaded():
        _mend_files()
        click.echo(f"The demo is loaded. {_refresh()}")
        return
    password_hash = str(hash_password(people.PASSWORD))
    with transaction() as session:
        loaded = loader.load(session, password_hash)
        codes = _codes(session, loaded.readers)
    target = files.folder(settings().var_dir)
    files.write_dials(target, loaded.homes)
    files.write_plan(target, settings().base_url, codes)
    files.write_sign_ins(target)
    click.echo(
        f"{people.COMPANY}: {len(loaded.homes)} customers, {loaded.readings} readings,"
        f" {len(codes)} handhelds to enrol."
    )


@command("refresh")
def refresh_command() -> None:
    """Open new read orders when all are done, so that the handhelds walk on."""
    _require_demo()
    click.echo(_refresh())


@command("sign-ins")
def sign_ins_command() -> None:
    """Print who can sign in to the demo."""
    _require_demo()
    for person in files.sign_ins():
        click.echo("{username:<10} {password:<16} {role:<14} {name}".format(**person))


def _is_loaded() -> bool:
    """Tell whether this database holds the demo.

    Raises:
        Conflict: ``demo.real_system`` when it holds somebody's real data.
    """
    with snapshot() as session:
        operator = session.get(Operator, 1)
        if operator is None:
            return False
        if not operator.is_demo:
            raise Conflict(
                "demo.real_system",
                f"This database belongs to {operator.name}; the demo stays out of it.",
            )
    return True


def _require_demo() -> None:
    """Raises Conflict ``demo.not_loaded`` or ``demo.real_system``."""
    if not _is_loaded():
        raise Conflict("demo.not_loaded", "The demo is not loaded: run `flask demo load`.")


def _refresh() -> str:
    """Open what is to be read next and say how much it is."""
    with transaction() as session:
        today = clock.now().astimezone(ZoneInfo(people.TIME_ZONE)).date()
        opened = open_next(session, today)
    return f"{opened} read orders opened." if opened else "Read orders are still open."


def _mend_files() -> None:
    """Write again what somebody has deleted, with new codes for the same handhelds."""
    target = files.folder(settings().var_dir)
    if not (target / files.SIGN_INS).exists():
        files.write_sign_ins(target)
    if (target / files.PLAN).exists():
        files.move_plan(target, settings().base_url)
        return
    with transaction() as session:
        names = [reader.username for reader in people.READERS]
        readers = session.execute(
            select(Staff).where(Staff.username.in_(names)).order_by(Staff.id)
        ).scalars()
        codes = _codes(session, list(readers))
    files.write_plan(target, settings().base_url, codes)


def _codes(session: Session, readers: list[Staff]) -> dict[str, str]:
    """An enrolment code for each reader's handheld, which takes over from the one he had."""
    codes = {}
    for reader in readers:
        old = session.execute(
            select(Device.id)
            .where(Device.staff_id == reader.id, Device.status == "active")
            .order_by(Device.id.desc())
        ).scalar()
        _, code = offer_enrolment(session, SYSTEM, reader.id, CODES_VALID, old)
        codes[f"{reader.name} {reader.username}"] = show_code(code)
    return codes


for each in (load_command, refresh_command, sign_ins_command):
    demo_group.add_command(each)
