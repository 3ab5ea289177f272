"""``flask intervals``: hourly values from files, and which hours are missing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from server import clock
from server.db import snapshot, transaction
from server.identity.actor import SYSTEM
from server.metering.intervals import files, queries
from server.metering.intervals.service import take
from server.operator import current
from server.rounds.scope import scope_of
from server.terminal import command

SHOWN = 20


@click.group("intervals")
def intervals_group() -> None:
    """Hourly values of large customers' meters."""


@command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_command(file: Path) -> None:
    """Take the hourly values of a CSV file: meter_serial,at,value[,register].

    Taking a file again changes nothing. Bad lines are named, the others go through; then the exit
    code is 1.
    """
    with snapshot() as session:
        zone = current(session).zone
    report = files.Report()
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for part in files.read(lines, zone, report):
            with transaction() as session:
                seen = scope_of(session, SYSTEM, "readings", "capture")
                outcomes = take(session, SYSTEM, seen, [value for _, value in part], "file")
            files.count(report, [line for line, _ in part], outcomes)
    for bad in report.bad[:SHOWN]:
        click.echo(f"{file.name}:{bad.line}: {bad.message} [{bad.code}]", err=True)
    if len(report.bad) > SHOWN:
        click.echo(f"… and {len(report.bad) - SHOWN:,} more", err=True)
    told = ", ".join(f"{report.became[name]:,} {name}" for name in ("stored", "same", "corrected"))
    click.echo(f"{report.lines:,} lines: {told}, {len(report.bad):,} bad")
    if report.bad:
        raise SystemExit(1)


@command("gaps")
@click.argument("account_no")
@click.option(
    "--days", default=7, show_default=True, type=click.IntRange(1, 62), help="How far back."
)
def gaps_command(account_no: str, days: int) -> None:
    """List the hours that are missing for an account, up to an hour ago."""
    since = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    with snapshot() as session:
        zone = current(session).zone
        seen = scope_of(session, SYSTEM, "readings", "view")
        account_id = queries.visible_account(session, seen, account_no)
        found = queries.states(session, account_id, since)
    if not found:
        click.echo(f"Account {account_no} has no point with hourly values.")
    for state in found:
        click.echo(f"{state.point_no}: {state.missing:,} hours missing")
        for gap in state.gaps:
            first, last = gap.first.astimezone(zone), gap.last.astimezone(zone)
            click.echo(f"  {first:%Y-%m-%d %H:%M} – {last:%Y-%m-%d %H:%M}  {gap.hours:,}")


intervals_group.add_command(import_command)
intervals_group.add_command(gaps_command)
