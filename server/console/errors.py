"""Failures as pages: what happened, what was kept, what to do."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from server.console.words import sentence
from server.errors import DomainError


def register(console: Blueprint) -> None:
    """Show failures inside the console as pages."""
    console.register_error_handler(DomainError, page)
    console.register_error_handler(HTTPException, http_page)


def page(error: DomainError) -> tuple[str, int]:
    """The page of a refusal or of something that does not exist."""
    text = render_template(
        "console/error.html", title=_title(error.status), message=sentence(error), code=error.code
    )
    return text, error.status


def http_page(error: HTTPException) -> tuple[str, int]:
    """The page of an HTTP failure, for instance an address that does not exist."""
    status = error.code or 500
    text = render_template(
        "console/error.html", title=_title(status), message=_what(status), code=None
    )
    return text, status


def _title(status: int) -> str:
    titles = {
        400: _("The form could not be used"),
        403: _("Not allowed"),
        404: _("Not found"),
        405: _("Not found"),
        409: _("This cannot be done now"),
        422: _("Something needs to be corrected"),
    }
    return str(titles.get(status, _("Something went wrong")))


def _what(status: int) -> str:
    if status in (404, 405):
        return str(
            _("There is no page at this address. It may have been moved, or the link is cut short.")
        )
    if status == 403:
        return str(_("You do not have the right to see this. Ask an administrator if you need it."))
    return str(_("Your request could not be handled. Nothing was changed. Go back and try again."))
