"""Commands about notices: `flask notify gateway | gateways | send | trace`."""

from __future__ import annotations

import json
import secrets

import click
from flask.cli import AppGroup

from server.db import snapshot, transaction
from server.errors import DomainError
from server.notify import queries, service
from server.notify.models import GATEWAY_KINDS
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


@notify_cli.command("gateway")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(GATEWAY_KINDS),
    default="smpp",
    show_default=True,
    help="How texts leave: by SMPP, or into the log.",
)
@click.option("--config", default="{}", help="Its keys as a JSON object; docs/operations.md.")
@click.option("--simulated", is_flag=True, help="No real phone is behind it.")
@click.option("--disabled", is_flag=True, help="Set up, but not used.")
@click.option("--position", default=100, show_default=True, help="The lowest takes the queue.")
def gateway(
    name: str, kind: str, config: str, simulated: bool, disabled: bool, position: int
) -> None:
    """Set a gateway up or change it; workers take the change over within seconds."""
    try:
        keys = json.loads(config)
    except ValueError:
        keys = None
    if not isinstance(keys, dict):
        raise click.BadParameter("--config must be a JSON object.")
    try:
        with transaction() as session:
            service.put_gateway(
                session,
                name,
                kind,
                keys,
                enabled=not disabled,
                simulated=simulated,
                position=position,
            )
    except DomainError as problem:
        raise click.ClickException(problem.message) from problem
    click.echo(f"Gateway {name} is set up.")


@notify_cli.command("reseal")
def reseal() -> None:
    """Seal the secrets of all gateways under the newest key; see docs/operations.md."""
    try:
        with transaction() as session:
            count = service.reseal_gateways(session)
    except DomainError as problem:
        raise click.ClickException(problem.message) from problem
    click.echo(f"The secrets of {count} gateways are sealed under the newest key.")


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
