"""Commands of tariffs: put one in, and use one as a calculator without any database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from server.billing.rules.tariff import Charge, Line, TariffFile, read_content
from server.billing.rules.tariff.quote import Question, plain, quote
from server.billing.service import put_tariff, read_tariff_file
from server.db import transaction
from server.terminal import command

_DAY = click.DateTime(formats=["%Y-%m-%d"])


@command("tariff")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def tariff_command(file: Path) -> None:
    """Put the tariff of FILE (YAML or JSON) into the system, or list all of its mistakes."""
    content = read_tariff_file(file)
    with transaction() as session:
        version_id = put_tariff(session, content)
    click.echo(f"{content['code']}: its newest version is {version_id}.")


@command("quote")
@click.option(
    "--tariff",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The tariff file.",
)
@click.option("--class", "account_class", default="residential", help="Class of the account.")
@click.option("--quantity", help="What the total register counted.")
@click.option(
    "--register", "registers", multiple=True, help="A register: peak=300; may be repeated."
)
@click.option("--from", "first", type=_DAY, required=True, help="The first day of the period.")
@click.option("--to", "last", type=_DAY, required=True, help="Its last day.")
@click.option(
    "--year-to-date",
    "years",
    multiple=True,
    help="Use of the year before the period: 2700, or 2026=2700; may be repeated.",
)
@click.option("--household", type=click.IntRange(1), help="How many persons live there.")
@click.option("--since", type=_DAY, help="The day the supply began.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def quote_command(
    file: Path,
    account_class: str,
    quantity: str | None,
    registers: Sequence[str],
    first: datetime,
    last: datetime,
    years: Sequence[str],
    household: int | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Print the bill that a tariff file makes of a use, with its lines. Nothing is stored."""
    tariff = read_content(read_tariff_file(file))
    given = dict(_pair(each) for each in registers)
    if quantity is not None:
        given["total"] = quantity
    question = Question(
        first.date(),
        last.date(),
        given,
        dict(_pair(each, str(first.year)) for each in years),
        account_class,
        household,
        since.date() if since else None,
    )
    priced = quote(tariff.dated(), question)
    click.echo(
        json.dumps(_fields(tariff, question, priced), ensure_ascii=False, indent=2)
        if as_json
        else "\n".join(_table(tariff, question, priced))
    )


def _pair(text: str, default: str = "") -> tuple[str, str]:
    """``peak=300`` in two; without a name, the default's."""
    name, _, raw = text.rpartition("=")
    return name or default, raw


def _fields(tariff: TariffFile, asked: Question, priced: Charge) -> dict[str, Any]:
    starts = {number: v.valid_from for number, v in enumerate(tariff.versions, start=1)}
    return {
        "tariff": tariff.code,
        "currency": priced.currency,
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "days": (asked.last - asked.first).days + 1,
        "total": str(priced.total),
        "lines": [
            {
                "component": line.component,
                "kind": line.kind,
                "register": line.register_kind,
                "quantity": plain(line.quantity),
                "price": plain(line.price),
                "amount": str(line.amount),
                "cumulative_before": plain(line.before),
                "days": line.days,
                "version": starts[line.version].isoformat() if line.version else None,
            }
            for line in priced.lines
        ],
    }


def _table(tariff: TariffFile, asked: Question, priced: Charge) -> Iterable[str]:
    yield f"{tariff.name} ({tariff.code})"
    yield f"{asked.first} to {asked.last}, {(asked.last - asked.first).days + 1} days"
    yield ""
    head = ("component", "register", "quantity", "price", "amount", "before", "days")
    rows = [head, *(_cells(line) for line in priced.lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
    yield ""
    yield f"total {priced.total} {priced.currency}"


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.component,
        line.register_kind or "",
        plain(line.quantity),
        plain(line.price),
        str(line.amount),
        plain(line.before) if line.before else "",
        str(line.days) if line.days else "",
    )
