"""Commands of dues: the rules, a bank file, today's steps of the ladder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml
from sqlalchemy import select

from server.db import snapshot, transaction
from server.dues.models import DuesRules
from server.dues.service import bank_files, dunning, holds
from server.errors import Invalid
from server.identity.actor import SYSTEM
from server.terminal import command


@click.group("dues")
def dues_group() -> None:
    """Payments and debts."""


@command("rules")
def rules_command() -> None:
    """Print the rules that are in force, as YAML; nothing when they are the defaults."""
    with snapshot() as session:
        definition = session.scalar(
            select(DuesRules.definition).order_by(DuesRules.id.desc()).limit(1)
        )
    if definition:
        click.echo(yaml.safe_dump(definition, allow_unicode=True, sort_keys=False).rstrip())
    else:
        click.echo("The defaults are in force: see docs/dues.md.")


@command("set-rules")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def set_rules_command(file: Path) -> None:
    """Put the rules of FILE (YAML or JSON) in force, or list all of its mistakes."""
    with transaction() as session:
        holds.put_rules(session, SYSTEM, _read(file))
    click.echo("The rules hold from now on.")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid("dues.bad_rules", f"{file.name} is no YAML: {error}.") from None
    if not isinstance(content, dict):
        raise Invalid("dues.bad_rules", f"{file.name} is no group of names and values.")
    return content


@command("bank-file")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def bank_file_command(file: Path) -> None:
    """Take the payments of a bank file (CSV) in and post them; goes on where it stopped."""
    with transaction() as session:
        kept = bank_files.take_file(session, SYSTEM, file.name, file.read_bytes())
        file_id, rows = kept.id, kept.rows
    bank_files.match_files()
    with snapshot() as session:
        counts = bank_files.outcomes(session, file_id)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    click.echo(f"{file.name}: {rows} rows: {said}.")


@command("ladder")
def ladder_command() -> None:
    """Take today's steps for debts that stay; goes on where a run stopped."""
    click.echo(f"{dunning.take_steps()} steps taken.")


for _one in (rules_command, set_rules_command, bank_file_command, ladder_command):
    dues_group.add_command(_one)
