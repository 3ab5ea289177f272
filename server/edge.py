"""What is refused before any view sees it."""

from __future__ import annotations

from flask import Flask, request

from server.errors import Invalid

FORM = "application/x-www-form-urlencoded"


def install(app: Flask) -> None:
    """Refuse what no view can use; the bodies of devices are looked at by their own face."""
    app.before_request(refuse_nul)


def refuse_nul() -> None:
    """Refuse a NUL in the address or a form: PostgreSQL cannot even compare with it.

    Raises:
        Invalid: ``request.nul``.
    """
    found = b"%00" in request.query_string or b"\x00" in request.query_string
    if not found and request.mimetype == FORM:
        found = any("\x00" in value for values in request.form.listvalues() for value in values)
    if found:
        raise Invalid("request.nul", "The request contains a NUL character.", status=400)
