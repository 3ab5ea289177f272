"""Commands about notices: gateways and whether their carrier lets us in, sending by hand, tracing."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
from flask.cli import AppGroup

from server.db import snapshot, transaction
from server.notify import cli_fan_outs, cli_rules, queries, service
from server.notify.gateways import kinds, options
from server.notify.models import GATEWAY_KINDS
from server.notify.probe import probe
from server.notify.queries.gateways import GatewayView
from server.notify.queries.trace import Step
from server.notify.rules import events, segments
from server.notify.rules.phones import is_phone
from server.terminal import spoken

notify_cli = AppGroup("notify", help="Texts to customers: gateways, sending by hand, tracing.")

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


@notify_cli.command("gateways")
@_AS_JSON
def gateways(as_json: bool) -> None:
    """List the gateways: state, window, rate, what waits and since when, errors by class."""
    with spoken(), snapshot() as session:
        views = queries.gateway_views(session)
    if as_json:
        click.echo(_json([_gateway(view) for view in views]))
    elif not views:
        click.echo("No gateway is set up; texts wait in the queue.")
    else:
        _table([_line(view) for view in views])


def _gateway(view: GatewayView) -> dict[str, Any]:
    return {
        **asdict(view.now),
        "weight": view.weight,
        "binds": [asdict(bind) for bind in view.binds],
        "queued": view.waiting,
        "oldest_at": view.oldest_at,
        "errors": view.errors(),
    }


def _line(view: GatewayView) -> dict[str, str]:
    now = view.now
    marks = [] if now.enabled else ["disabled"]
    marks += ["simulated"] if now.simulated else []
    return {
        "NAME": now.name,
        "KIND": now.kind,
        "STATE": " ".join((now.state, *marks)),
        "SINCE (UTC)": _time(now.state_at),
        "WINDOW": _window(view),
        "RATE/S": _figure(view.figure("accepted_per_second")),
        "QUEUE": str(view.waiting),
        "OLDEST (UTC)": _time(view.oldest_at),
        "ERRORS": " ".join(f"{name}={count}" for name, count in sorted(view.errors().items())),
        "DETAIL": now.detail,
    }


@notify_cli.command("gateway")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(GATEWAY_KINDS),
    default="smpp",
    show_default=True,
    help="How texts leave.",
)
@click.option(
    "--config",
    default="{}",
    help="Its keys as a JSON object, or @FILE (@- is the standard input): secrets then stand in no "
    "list of processes. docs/operations.md explains the keys.",
)
@click.option("--simulated", is_flag=True, help="No real phone is behind it.")
@click.option("--disabled", is_flag=True, help="Set up, but not used.")
@click.option("--position", default=100, show_default=True, help="Order among equals.")
def gateway(
    name: str, kind: str, config: str, simulated: bool, disabled: bool, position: int
) -> None:
    """Set a gateway up or change it; workers take the change over within seconds."""
    with spoken(), transaction() as session:
        service.put_gateway(
            session,
            name,
            kind,
            _keys(config),
            enabled=not disabled,
            simulated=simulated,
            position=position,
        )
    click.echo(f"Gateway {name} is set up.")


def _keys(config: str) -> dict[str, Any]:
    """The options in a JSON object, or in a file that is named after an at sign."""
    try:
        if config.startswith("@"):
            with click.open_file(config[1:], encoding="utf-8") as file:
                config = file.read()
        keys = json.loads(config)
    except (OSError, ValueError):
        keys = None
    if not isinstance(keys, dict):
        raise click.BadParameter("--config must be a JSON object, or @ and the name of a file.")
    return keys


@notify_cli.command("kinds")
def list_kinds() -> None:
    """List the kinds of gateways with the keys that each takes."""
    for name, kind in kinds.KINDS.items():
        click.echo(f"{name}: {kind.about}")
        for option in options.described(kind.config):
            default = "must be given" if option.required else f"default {option.default!r}"
            click.echo(f"  {option.name:<24} {option.about} ({default})")


@notify_cli.command("test-bind")
@click.argument("name")
@click.option("--seconds", default=15.0, show_default=True, help="How long to wait for it.")
@_AS_JSON
@click.pass_context
def test_bind(context: click.Context, name: str, seconds: float, as_json: bool) -> None:
    """Connect to a gateway's carrier, say step by step what it answers, and leave again.

    Nothing is sent. Exit code 1 when it does not let us in.
    """
    with spoken(), snapshot() as session:
        row = queries.gateway_named(session, name)
    said: list[dict[str, Any]] = []

    def tell(seconds: float, state: str, detail: str) -> None:
        said.append({"seconds": round(seconds, 3), "state": state, "detail": detail})
        if not as_json:
            click.echo(f"{seconds:7.3f} s  {state:<11} {detail}".rstrip())

    with spoken():
        bound = probe(row, seconds, tell)
    if as_json:
        click.echo(_json({"gateway": name, "bound": bound, "steps": said}))
    else:
        click.echo(f"Gateway {name} {'works' if bound else 'does not work'}.")
    context.exit(0 if bound else 1)


@notify_cli.command("send")
@click.option("--to", required=True, help="The phone, as +8613800000000.")
@click.option("--text", required=True, help="What the text says.")
@_AS_JSON
def send(to: str, text: str, as_json: bool) -> None:
    """Queue one text; a running worker sends it."""
    if not is_phone(to):
        raise click.UsageError(f"{to} is not a phone such as +8613800000000.")
    key = f"cli:{secrets.token_hex(8)}"
    notice = service.Notice("operator.text", key, to, None, {"text": text})
    with spoken(), transaction() as session:
        number = service.enqueue(session, [notice])[key]
    count = segments.count(text)
    if as_json:
        click.echo(_json({"id": number, "key": key, "segments": count}))
    else:
        click.echo(f"Message {number} is queued ({count} segments).")


@notify_cli.command("trace")
@click.argument("message_id", type=int)
@_AS_JSON
def trace(message_id: int, as_json: bool) -> None:
    """Show one message: what it is, and every state, answer and report in order."""
    with spoken(), snapshot() as session:
        found = queries.trace(session, message_id)
        steps = queries.steps(session, message_id)
        cost = queries.costs(session, [message_id]).get(message_id, Decimal(0))
    if as_json:
        click.echo(_json({**found, "cost": cost, "steps": [asdict(step) for step in steps]}))
        return
    for name, value in {**found["message"], "cost": cost}.items():
        if value is not None and value != "":
            click.echo(f"{name:<18} {_time(value) if isinstance(value, datetime) else value}")
    for step in steps:
        click.echo(f"{_time(step.at)}  {_words(step)}")


def _words(step: Step) -> str:
    """One step as a line of the trace."""
    again = f" (copy {step.copy})" if step.copy else ""
    part = f"part {step.part}{again} " if step.part is not None else ""
    way = f" {step.gateway}" if step.gateway else ""
    carrier_id = f" id {step.carrier_id}" if step.carrier_id else ""
    code = f" {step.code}" if step.code else ""
    detail = " ".join(f"{name}={value}" for name, value in step.detail.items())
    source = f"{step.source} -> " if step.source else ""
    line = f"{step.what:<10} {part}{source}{step.state}{way}{carrier_id}{code} {detail}"
    return line.rstrip()


@notify_cli.command("templates")
@click.option("--event", help="Only this one.")
@_AS_JSON
def templates(event: str | None, as_json: bool) -> None:
    """List the events with their variables and the wording in force in each language."""
    with spoken(), snapshot() as session:
        worded = queries.wordings(session)
        if event is not None:
            events.event(event)
    rows = [
        {
            "event": name,
            "category": one.category,
            "variables": list(one.variables),
            "templates": {language: worded[name, language] for language in events.LANGUAGES},
        }
        for name, one in events.EVENTS.items()
        if event in (None, name)
    ]
    if as_json:
        click.echo(_json(rows))
        return
    for name, one in events.EVENTS.items():
        if event in (None, name):
            click.echo(f"{name} ({one.category}): {', '.join(one.variables)}")
            for language in events.LANGUAGES:
                click.echo(f"  {language:<8} {worded[name, language]}")


@notify_cli.command("template")
@click.argument("event")
@click.argument("language", type=click.Choice(events.LANGUAGES))
@click.argument("body")
def template(event: str, language: str, body: str) -> None:
    """Word an event in one language; `flask notify templates` lists what it may name."""
    with spoken(), transaction() as session:
        service.put_template(session, event, language, body)
    click.echo(f"{event} is worded in {language} ({segments.count(body)} segments before values).")


@notify_cli.command("reseal")
def reseal() -> None:
    """Seal the gateways' secrets under the newest key, after FIELDBELL_SEALING_KEYS got one in front."""
    with spoken(), transaction() as session:
        count = service.reseal_gateways(session)
    click.echo(f"The secrets of {count} gateways are sealed under the newest key.")


for _command in (*cli_rules.COMMANDS, *cli_fan_outs.COMMANDS):
    notify_cli.add_command(_command)


# --- how it looks -----------------------------------------------------------------------------


def _table(rows: list[dict[str, str]]) -> None:
    """Columns as wide as they must be; those that are empty everywhere are left out."""
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    for row in ({name: name for name in names}, *rows):
        click.echo("  ".join(row[name].ljust(widths[name]) for name in names).rstrip())


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] if at is not None else ""


def _window(view: GatewayView) -> str:
    """How much of the window is in use."""
    used = view.figure("in_flight")
    return "" if used is None else f"{used:g}/{view.window or '-'}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
