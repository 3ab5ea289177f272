"""Commands of billing: prove the books, put a tariff in."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import click

from server.billing.queries import bills_by_status, ledger_totals
from server.billing.service import Difference, put_tariff, read_tariff_file, reconcile
from server.db import snapshot, transaction
from server.operator import current
from server.terminal import command


@command("reconcile")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of sentences.")
def reconcile_command(as_json: bool) -> None:
    """Compute every balance, bill and year of use again and say where the books differ.

    The exit code is 1 when anything differs.
    """
    with snapshot() as session:
        differences = reconcile(session)
        totals = ledger_totals(session, current(session).currency)
        bills = sum(bills_by_status(session).values())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "bills": bills,
                    "ledger_lines": totals.lines,
                    "differences": [_fields(difference) for difference in differences],
                },
                ensure_ascii=False,
            )
        )
    else:
        for difference in differences:
            click.echo(
                f"{difference.what}: {difference.subject} says {_text(difference.stored)},"
                f" its rows say {_text(difference.computed)}"
            )
        word = f"{len(differences)} differences" if differences else "the books agree"
        click.echo(f"{bills} bills, {totals.lines} ledger lines: {word}.")
    if differences:
        raise SystemExit(1)


@command("tariff")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def tariff_command(file: Path) -> None:
    """Put the tariff version of FILE (JSON) into the system, or list all of its mistakes."""
    content = read_tariff_file(file)
    with transaction() as session:
        version_id = put_tariff(session, content)
    click.echo(f"{content['code']} from {content['valid_from']} is version {version_id}.")


def _text(value: Decimal | int | None) -> str:
    return "nothing" if value is None else f"{value}"


def _fields(difference: Difference) -> dict[str, str | None]:
    return {
        "what": difference.what,
        "subject": difference.subject,
        "stored": None if difference.stored is None else str(difference.stored),
        "computed": None if difference.computed is None else str(difference.computed),
    }
