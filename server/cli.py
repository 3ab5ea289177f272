"""The ``flask`` commands of the product, gathered; ``flask init`` founds a new system."""

from __future__ import annotations

import unicodedata

import click
from flask import Flask, current_app
from flask_security import hash_password

from server import founding
from server.backup.cli import backup_group
from server.billing.cli import tariff_command
from server.books.cli import account_group, billing_group, ledger_group, reconcile_command
from server.commands.cli import commands_cli
from server.db import snapshot, transaction
from server.demo.cli import demo_group
from server.doctor import doctor_command
from server.dues.cli import dues_group
from server.dues.prepaid_cli import prepaid_group
from server.errors import Conflict, Invalid
from server.identity.cli import device_group, token_group
from server.identity.models import Staff
from server.imports.cli import import_command
from server.metering.cli import exchange_meter_command, open_orders_command
from server.metering.intervals.cli import intervals_group
from server.notify.cli import notify_cli
from server.operator import LANGUAGES, Operator
from server.status import status_command
from server.sync.cli import sync_group
from server.terminal import command
from server.worker import worker_command


@command("init")
@click.option("--operator", help="Name of the company as customers read it.")
@click.option("--currency", help="Three letters, such as CNY.")
@click.option("--time-zone", help="Such as Asia/Shanghai.")
@click.option("--language", help=f"One of {', '.join(LANGUAGES)}.")
@click.option("--username", help="User name of the first administrator.")
@click.option("--name", help="His or her name.")
@click.option("--email", help="His or her e-mail address; may be empty.")
@click.option("--password", help="The password; asked for when not given.")
def init_command(
    operator: str | None,
    currency: str | None,
    time_zone: str | None,
    language: str | None,
    username: str | None,
    name: str | None,
    email: str | None,
    password: str | None,
) -> None:
    """Found a new system: operator, roles, first administrator. Asks for what is not given.

    The database must be there and empty: run `flask db upgrade` before.
    """
    _refuse_existing()
    operator = operator or click.prompt("Name of the operator")
    currency = currency or click.prompt("Currency", default="CNY")
    time_zone = time_zone or click.prompt("Time zone", default="Asia/Shanghai")
    language = language or click.prompt("Language", default="zh_Hans", type=click.Choice(LANGUAGES))
    username = username or click.prompt("User name of the first administrator", default="admin")
    name = name or click.prompt("Name of the first administrator")
    if email is None:
        email = click.prompt("E-mail address (may be empty)", default="", show_default=False)
    password = password or click.prompt("Password", hide_input=True, confirmation_prompt=True)
    password_hash = _password_hash(password)
    with transaction() as session:
        founding.found(
            session,
            name=operator,
            currency=currency.upper(),
            time_zone=time_zone,
            language=language,
            administrator=founding.Administrator(username, name, email or None, password_hash),
        )
    click.echo(f"{operator} is set up. Sign in as {username}; `flask import` brings in your data.")


def _refuse_existing() -> None:
    """Say so before asking anything.

    Raises:
        Conflict: ``operator.exists``.
    """
    with snapshot() as session:
        if session.get(Operator, 1) is not None or session.query(Staff.id).first():
            raise Conflict("operator.exists", "This system has been set up already.")


def _password_hash(password: str) -> str:
    """The hash of a password, by the same rules as the sign-in pages.

    Raises:
        Invalid: ``staff.weak_password``.
    """
    least = current_app.config["SECURITY_PASSWORD_LENGTH_MIN"]
    if len(password) < least:
        raise Invalid("staff.weak_password", f"A password has at least {least} characters.")
    form = current_app.config["SECURITY_PASSWORD_NORMALIZE_FORM"]
    return str(hash_password(unicodedata.normalize(form, password) if form else password))


COMMANDS: tuple[click.Command, ...] = (
    init_command,
    import_command,
    demo_group,
    tariff_command,
    open_orders_command,
    exchange_meter_command,
    intervals_group,
    prepaid_group,
    billing_group,
    account_group,
    ledger_group,
    reconcile_command,
    dues_group,
    backup_group,
    notify_cli,
    commands_cli,
    device_group,
    token_group,
    worker_command,
    sync_group,
    status_command,
    doctor_command,
)


def register(app: Flask) -> None:
    """Give an application the commands."""
    for each in COMMANDS:
        app.cli.add_command(each)
