"""The page of commands, made from the commands' own help: docs/commands.md."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

# Flask, Flask-Migrate and Flask-Security bring these; their own help tells about them.
OF_OTHERS = {"run", "shell", "routes", "db", "openapi", "roles", "users"}


def product_commands() -> dict[str, click.Command]:
    """The commands of Fieldbell itself by their words, as `flask demo load`."""
    from config.settings import Settings  # noqa: PLC0415 - the pure checks need no application
    from server.app import create_app  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/none.db"
        group = create_app(Settings(database_url=url, var_dir=Path(folder))).cli
    ours = {name: command for name, command in group.commands.items() if name not in OF_OTHERS}
    return dict(_flattened("flask", ours))


def commands_page(commands: dict[str, click.Command]) -> str:
    """The page that lists every command with its help, arguments and options."""
    sections = ["\n".join(_section(words, command)) for words, command in commands.items()]
    head = "# Commands\n\nRun them in the checkout with `.venv/bin/` in front of `flask`, or with the environment active.\n"
    return "\n".join([head, *sections])


def without_help(commands: dict[str, click.Command]) -> Iterator[str]:
    """Say which commands or options do not tell what they do."""
    for words, command in commands.items():
        if not command.help:
            yield f"`{words}` has no help"
        for option in _options(command):
            if not option.help:
                yield f"`{words} {option.opts[0]}` has no help"


def _flattened(
    words: str, commands: Mapping[str, click.Command]
) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(commands.items()):
        if isinstance(command, click.Group):
            yield from _flattened(f"{words} {name}", command.commands)
        else:
            yield f"{words} {name}", command


def _section(words: str, command: click.Command) -> Iterator[str]:
    arguments = [
        str(p.make_metavar(click.Context(command)))
        for p in command.params
        if isinstance(p, click.Argument)
    ]
    options = _options(command)
    yield f"## `{words}`"
    yield ""
    yield f"    {' '.join([words, *(['[options]'] if options else []), *arguments])}"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\b\n", "").replace("\f", "")
    yield ""
    if options:
        yield "| option | what it does |"
        yield "|---|---|"
        yield from (_row(option) for option in options)
        yield ""


def _options(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return f"| {names} | {(option.help or '').replace('|', '∣')} |"
