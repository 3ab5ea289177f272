"""Commands: ``flask backup create FILE``, ``flask backup restore FILE``, ``flask backup check FILE``."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup

from server.backup import archive
from server.backup.create import create
from server.backup.restore import restore
from server.terminal import command, settings

backup_group = AppGroup(
    "backup", help="The whole system as one file: make it, check it, restore it."
)

_NEW = click.Path(dir_okay=False, path_type=Path)
_THERE = click.Path(exists=True, dir_okay=False, path_type=Path)


@command("create")
@click.argument("file", type=_NEW)
def create_command(file: Path) -> None:
    """Write everything into FILE while the system runs: all tables as of one instant, all files.

    FILE holds everything the system knows: keep it as carefully as the system itself. The exit
    code is 1 when photos or documents were missing on the disk; the backup is made all the same.
    """
    made = create(file, settings())
    size = file.stat().st_size / 1_000_000
    click.echo(f"{file}: {made.rows} rows and {made.files} files, {size:.1f} MB.")
    if made.differences:
        click.echo(
            f"The books differ in {made.differences} places: see `flask reconcile`.", err=True
        )
    if made.lost:
        click.echo(
            f"{len(made.lost)} files are missing or damaged on the disk; after a restore the"
            " handhelds are asked for them again.",
            err=True,
        )
        raise SystemExit(1)


@command("check")
@click.argument("file", type=_THERE)
def check_command(file: Path) -> None:
    """Read FILE from end to end and say whether every byte is as it was written."""
    found = archive.verify(file)
    header = found.header
    click.echo(
        f"{file} is whole: {header['operator']}, made {header['made_at']},"
        f" {sum(found.rows.values())} rows, migration {header['revision']}."
    )


@command("restore")
@click.argument("file", type=_THERE)
@click.option("--replace", is_flag=True, help="Delete everything that is in the database now.")
def restore_command(file: Path, replace: bool) -> None:
    """Put the backup FILE into this database, which may be of the other kind.

    Stop web and worker first. Every byte is checked before anything is touched, and everything is
    put back or nothing. Handhelds notice the restore and offer again what the backup lacks.
    """
    done = restore(file, settings(), replace=replace)
    click.echo(
        f"{done.operator} is as it was on {done.made_at}: {done.rows} rows and {done.files} files."
    )
    notes = {
        "files are asked for again from the handhelds": done.expected_again,
        "messages were waiting then and may have been sent since: look before you start the worker": done.unsent,
    }
    for what, count in notes.items():
        if count:
            click.echo(f"{count} {what}.")
    if done.kept_key:
        click.echo("The key of the installation was restored too: restart whatever runs.")
    if done.other_key:
        click.echo(
            "FIELDBELL_SECRET_KEY is another one than in the backup: nobody can sign in with his"
            " old password.",
            err=True,
        )


for _each in (create_command, check_command, restore_command):
    backup_group.add_command(_each)
