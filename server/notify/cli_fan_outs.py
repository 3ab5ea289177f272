"""Commands about notices to very many: announce one, see how far they are, withdraw, let go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import click
from sqlalchemy import select

from server.db import snapshot, transaction
from server.notify import service
from server.notify.models import FanOut
from server.notify.rules.phones import is_recipient
from server.terminal import spoken


@click.command("announce")
@click.argument("key")
@click.argument("event")
@click.option("--data", default="{}", help="The event's variables as a JSON object.")
@click.option("--category", help="Of a free text, such as outage.")
@click.option(
    "--to",
    "file",
    type=click.File(encoding="utf-8"),
    required=True,
    metavar="FILE",
    help="The phones, one a line.",
)
def announce(key: str, event: str, data: str, category: str | None, file: IO[str]) -> None:
    """Tell all phones of FILE (a line each: phone, or phone,language) what EVENT says.

    KEY names it for ever: the same command again sends nothing twice.
    """
    try:
        values = json.loads(data)
    except ValueError as problem:
        raise click.BadParameter("--data must be a JSON object.") from problem
    if not isinstance(values, dict):
        raise click.BadParameter("--data must be a JSON object.")
    announcement = service.Announcement(key, event, values, category)
    with spoken(), transaction() as session:
        number = service.announce(session, announcement, _recipients(file))
        total = session.get_one(FanOut, number).total
    click.echo(f"Fan-out {number} to {total} phones; a worker sends it.")


def _recipients(file: IO[str]) -> Iterator[service.Recipient]:
    """The phones of a file; nothing is announced when one of them is none."""
    for number, line in enumerate(file, start=1):
        phone, _, language = (part.strip() for part in line.partition(","))
        if not phone:
            continue
        if not is_recipient(phone):
            raise click.UsageError(f"Line {number}: {phone} is not a phone such as +8613800000000.")
        yield service.Recipient(phone, language or None)


@click.command("fan-outs")
def fan_outs() -> None:
    """List the newest notices to very many and how far they are."""
    with spoken(), snapshot() as session:
        rows = session.scalars(select(FanOut).order_by(FanOut.id.desc()).limit(20)).all()
    for row in rows:
        click.echo(_line(row))
    if not rows:
        click.echo("Nothing was announced.")


def _line(row: Any) -> str:
    what = f"{row.event} {row.key} {row.error or ''}".rstrip()
    return f"{row.id:>6}  {row.created_at:%Y-%m-%d %H:%M}  {row.status:<9} {row.total:>7}  {what}"


@click.command("withdraw")
@click.argument("number", type=int)
def withdraw(number: int) -> None:
    """End a fan-out and withdraw its messages that have not left."""
    with spoken(), transaction() as session:
        count = service.cancel_fan_out(session, number)
    click.echo(f"Fan-out {number} is ended; {count} messages are withdrawn.")


@click.command("resume")
@click.argument("number", type=int)
def resume(number: int) -> None:
    """Let a fan-out that was stopped go on with those who have not been told."""
    with spoken(), transaction() as session:
        service.resume_fan_out(session, number)
    click.echo(f"Fan-out {number} goes on.")


COMMANDS = (announce, fan_outs, withdraw, resume)
