"""What the commands share: the settings, and failures as a sentence instead of a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import OperationalError, ProgrammingError

from config.settings import Settings
from server.errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")


def settings() -> Settings:
    """The settings the running application was made with."""
    found: Settings = current_app.extensions["fieldbell"]
    return found


@contextmanager
def spoken() -> Iterator[None]:
    """Turn a failure into a message on stderr and exit code 1."""
    try:
        yield
    except DomainError as error:
        lines = [f"{error.message} [{error.code}]"]
        for name, what in error.details.items():
            if name == "mistakes":
                lines += [f"  {each['where']}: {each['what']}" for each in what]
            else:
                lines.append(f"  {name}: {what}")
        raise click.ClickException("\n".join(lines)) from error
    except (OperationalError, ProgrammingError) as error:
        reason = str(error.orig).splitlines()[0]
        raise click.ClickException(
            f"The database cannot be used: {reason}. `flask doctor` says more; a new or older"
            " database needs `flask db upgrade`. [database.unusable]"
        ) from error


def command(name: str) -> Callable[[Callable[P, R]], click.Command]:
    """Like ``click.command`` for a function that needs the application and may fail in words."""

    def decorate(function: Callable[P, R]) -> click.Command:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with spoken():
                return function(*args, **kwargs)

        return click.command(name)(with_appcontext(run))

    return decorate
