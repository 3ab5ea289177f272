"""``flask import DIR``: bring in an operator's data."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from server.db import snapshot
from server.imports import geocode
from server.imports.fields import Locale
from server.imports.report import Report, Tally
from server.imports.runner import Import
from server.operator import current
from server.terminal import command, settings

SECONDS_BETWEEN_LINES = 0.5


class Meter:
    """The progress line on stderr: rows and rows a second of the present file."""

    def __init__(self) -> None:
        self._file = ""
        self._started = self._said = 0.0
        self._live = sys.stderr.isatty()

    def rows(self, file: str, tally: Tally) -> None:
        """Show how far a file is."""
        now = time.monotonic()
        if file != self._file:
            self._file, self._started, self._said = file, now, 0.0
        rate = tally.rows / max(now - self._started, 0.001)
        self._show(now, f"{file}: {tally.rows:,} rows, {rate:,.0f} rows/s, {tally.bad:,} bad")

    def addresses(self, done: int, all_of_them: int) -> None:
        """Show how far the geocoder is."""
        self._show(time.monotonic(), f"addresses: {done:,} of {all_of_them:,} looked up")

    def _show(self, now: float, line: str) -> None:
        if self._live and now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            click.echo(f"\r\x1b[2K{line}", err=True, nl=False)

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            click.echo("\r\x1b[2K", err=True, nl=False)


@command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every problem to this CSV file.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and keep nothing.")
@click.option(
    "--region",
    default="CN",
    show_default=True,
    help="Country of phone numbers that are written without +.",
)
@click.option("--no-geocoding", is_flag=True, help="Do not look up addresses without a position.")
def import_command(
    folder: Path, report_file: Path | None, dry_run: bool, region: str, no_geocoding: bool
) -> None:
    """Read the CSV files of FOLDER; docs/import.md describes them.

    Running it again changes nothing that has not changed in the files. Bad rows are reported
    with file, line, column and reason, the others go through; then the exit code is 1.
    """
    meter = Meter()
    with snapshot() as session:
        locale = Locale(current(session).zone, region)
    report = Report.to(report_file, lambda line: _say(meter, line))
    try:
        Import(folder, locale, report, meter.rows).run(dry_run=dry_run)
        if settings().geocoder_url and not dry_run and not no_geocoding:
            ask = geocode.nominatim(settings().geocoder_url, settings().geocoder_user_agent)
            geocode.find_positions(ask, report, meter.addresses)
    finally:
        meter.end()
        report.close()
    _summarise(report, dry_run=dry_run)
    if report.bad:
        raise SystemExit(1)


def _say(meter: Meter, line: str) -> None:
    meter.end()
    click.echo(line, err=True)


def _summarise(report: Report, *, dry_run: bool) -> None:
    """Print what became of the files, and the commonest mistakes."""
    head = f"{'file':<24}{'rows':>10}{'new':>10}{'changed':>10}{'same':>10}{'bad':>8}"
    click.echo(head)
    for file, tally in report.tallies.items():
        click.echo(
            f"{file:<24}{tally.rows:>10,}{tally.added:>10,}{tally.changed:>10,}"
            f"{tally.unchanged:>10,}{tally.bad:>8,}"
        )
    for code, times in report.by_code.most_common(10):
        click.echo(f"  {code}: {times:,}")
    if dry_run:
        click.echo("This was a dry run: nothing was kept.")
