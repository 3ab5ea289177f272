"""The web console: server-rendered pages for staff, small scripts beside them, no framework."""

from __future__ import annotations

from flask import Blueprint, Flask

from server.console import entry, errors, headers, icons, language, shell, show, signin, urls
from server.console.errors import http_page

__all__ = ["http_page", "register"]


def register(app: Flask) -> None:
    """Hang the console into an application whose sign-in (Flask-Security) is set up already."""
    console = Blueprint(
        "console",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )
    for method, rule, endpoint, view in urls.TABLE:
        console.add_url_rule(rule, endpoint=endpoint, view_func=view, methods=[method])
    console.before_request(entry.before)
    errors.register(console)
    app.register_blueprint(console)
    signin.register(app)
    language.register(app)
    show.register(app)
    icons.register(app)
    app.context_processor(shell.context)
    app.after_request(headers.add)
