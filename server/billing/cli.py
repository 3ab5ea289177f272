"""Commands of tariffs: put one in, and use one as a calculator without any database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from server.billing.rules.tariff import (
    Charge,
    Line,
    Part,
    TariffFile,
    Usage,
    charge,
    read_content,
    registers_of,
)
from server.billing.rules.tariff.model import REGISTER_KINDS
from server.billing.service import put_tariff, read_tariff_file
from server.db import transaction
from server.errors import Invalid
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
    after, until = first.date() - timedelta(days=1), last.date()
    if until <= after:
        raise Invalid("quote.period", "The last day lies before the first.")
    given = [*([f"total={quantity}"] if quantity is not None else []), *registers]
    usage = Usage(
        after,
        until,
        tuple(_part(each, after, until) for each in given),
        dict(_year(each, first.year) for each in years),
        account_class,
        household,
        since.date() if since else None,
    )
    priced = quote(tariff, usage)
    click.echo(
        json.dumps(_fields(tariff, usage, priced), ensure_ascii=False, indent=2)
        if as_json
        else "\n".join(_table(tariff, usage, priced))
    )


def quote(tariff: TariffFile, usage: Usage) -> Charge:
    """What a tariff file makes of a use.

    Raises:
        Invalid: ``quote.class`` when the tariff has nothing for the class, ``quote.register``
            when it charges for none of the registers, or what ``charge`` raises.
    """
    versions = tariff.dated()
    wanted = registers_of(versions, usage.after, usage.until, usage.account_class)
    if wanted is None:
        raise Invalid("quote.class", f"{tariff.code} has no price for {usage.account_class}.")
    counted = {part.register for part in usage.parts}
    if not counted & wanted:
        names = ", ".join(each for each in REGISTER_KINDS if each in wanted)
        raise Invalid(
            "quote.register", f"{tariff.code} charges for: {names}. Say what they counted."
        )
    return charge(versions, usage)


def _part(text: str, after: date, until: date) -> Part:
    """``peak=300`` as a part of the usage."""
    register, _, raw = text.partition("=")
    if register not in REGISTER_KINDS:
        raise Invalid("quote.register", f"{register!r} is none of {', '.join(REGISTER_KINDS)}.")
    return Part(register, after, until, _number(raw))


def _year(text: str, year: int) -> tuple[int, Decimal]:
    """``2700`` or ``2026=2700`` as the use of a year."""
    named, equals, raw = text.rpartition("=")
    if equals and not named.isdecimal():
        raise Invalid("quote.year", f"{named!r} is not a year.")
    return int(named) if equals else year, _number(raw)


def _number(raw: str) -> Decimal:
    try:
        value = Decimal(raw)
        if value.is_finite() and value == value.quantize(Decimal("0.000001")):
            return value
    except InvalidOperation:
        pass
    raise Invalid("quote.number", f"{raw!r} is not a number with at most six decimal places.")


def plain(value: Decimal) -> str:
    """A number without the zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fields(tariff: TariffFile, usage: Usage, priced: Charge) -> dict[str, Any]:
    starts = {number: v.valid_from for number, v in enumerate(tariff.versions, start=1)}
    return {
        "tariff": tariff.code,
        "currency": priced.currency,
        "from": (usage.after + timedelta(days=1)).isoformat(),
        "to": usage.until.isoformat(),
        "days": usage.days,
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


def _table(tariff: TariffFile, usage: Usage, priced: Charge) -> Iterable[str]:
    first = usage.after + timedelta(days=1)
    yield f"{tariff.name} ({tariff.code})"
    yield f"{first} to {usage.until}, {usage.days} days"
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
