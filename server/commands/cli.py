"""Commands about texted commands: `flask commands try`."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from server.commands import service
from server.commands.rules.replies import Limits
from server.db import transaction
from server.notify.rules.inbound import sender
from server.terminal import settings, spoken

commands_cli = AppGroup("commands", help="Commands that come by text.")


@commands_cli.command("try")
@click.option("--from", "phone", required=True, metavar="PHONE", help="The phone that texts.")
@click.argument("text")
def try_command(phone: str, text: str) -> None:
    """Show how a text would be read, whether it would be carried out and what would be answered.

    Nothing is carried out and nothing is sent.
    """
    made = settings()
    limits = Limits(made.replies_per_hour, made.answer_strangers)
    with spoken(), transaction() as session:
        trial = service.rehearse(session, sender(phone), text, limits)
    said = " ".join(f"{name}={value}" for name, value in trial.arguments.items())
    click.echo(f"command: {trial.command or '-'} {said}".rstrip())
    click.echo(f"verdict: {trial.state}{f' [{trial.code}]' if trial.code else ''}")
    click.echo(f"reply:   {trial.reply or '-'}")
