"""Commands about notices: `flask notify gateways | send | trace`."""

from __future__ import annotations

import secrets

import click
from flask.cli import AppGroup

from server.db import snapshot, transaction
from server.errors import DomainError
from server.notify import queries, service
from server.notify.rules import segments
from server.notify.rules.phones import is_phone

notify_cli = AppGroup("notify", help="Texts to customers: gateways, sending by hand, tracing.")


@notify_cli.command("gateways")
def gateways() -> None:
    """List the gateways, whether a worker runs them, and how they are."""
    with snapshot() as session:
        rows = queries.gateway_states(session)
    if not rows:
        click.echo("No gateway is set up; texts wait in the queue.")
    for row in rows:
        notes = [row.kind, "enabled" if row.enabled else "disabled"]
        notes += ["simulated"] if row.simulated else []
        since = f" since {row.state_at:%Y-%m-%d %H:%M:%S} UTC" if row.state_at else ""
        click.echo(f"{row.name} ({', '.join(notes)}): {row.state}{since} {row.detail}".rstrip())


@notify_cli.command("send")
@click.option("--to", required=True, help="The phone, as +8613800000000.")
@click.option("--text", required=True, help="What the text says.")
def send(to: str, text: str) -> None:
    """Queue one text; a running worker sends it."""
    if not is_phone(to):
        raise click.UsageError(f"{to} is not a phone such as +8613800000000.")
    key = f"cli:{secrets.token_hex(8)}"
    notice = service.Notice("operator.text", key, to, None, {"text": text})
    try:
        with transaction() as session:
            number = service.enqueue(session, [notice])[key]
    except DomainError as problem:
        raise click.ClickException(problem.message) from problem
    click.echo(f"Message {number} is queued ({segments.count(text)} segments).")


@notify_cli.command("trace")
@click.argument("message_id", type=int)
def trace(message_id: int) -> None:
    """Show one message with every submission, answer and report."""
    try:
        with snapshot() as session:
            found = queries.trace(session, message_id)
    except DomainError as problem:
        raise click.ClickException(problem.message) from problem
    _show("message", found["message"])
    for name in ("segments", "reports"):
        for row in found[name]:
            _show(name[:-1], row)


def _show(title: str, row: dict[str, object]) -> None:
    click.echo(title)
    for name, value in row.items():
        if value is not None and value != "":
            click.echo(f"  {name:<18} {value}")
