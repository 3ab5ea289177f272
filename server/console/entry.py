"""What happens before each page: who is it, and does the form come from our own page?"""

from __future__ import annotations

from typing import cast

from flask import current_app, g, redirect, request, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.wrappers import Response
from wtforms import ValidationError

from config.settings import Settings
from server.console.errors import page
from server.db import db
from server.errors import Invalid
from server.identity import service
from server.identity.actor import Actor

OPEN_TO_ALL = frozenset({"console.static", "console.language"})


def before() -> Response | tuple[str, int] | None:
    """Ask a stranger to sign in and refuse a form without its token."""
    if request.endpoint == "console.static":
        return None
    if request.method == "POST":
        try:
            validate_csrf(request.form.get("csrf_token"))
        except ValidationError:
            return page(
                Invalid("console.form_expired", "This form is too old. Nothing was changed.")
            )
    if request.endpoint not in OPEN_TO_ALL and not current_user.is_authenticated:
        wanted = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("security.login", next=wanted if wanted != "/" else None))
    return None


def actor() -> Actor:
    """The signed-in person with his rights, read once per request."""
    if "actor" not in g:
        g.actor = service.actor_of(db.session(), current_user)
    return cast("Actor", g.actor)


def settings() -> Settings:
    """The settings the application was built with."""
    return cast("Settings", current_app.extensions["fieldbell"])


def csrf_field() -> str:
    """The token every form carries."""
    return str(generate_csrf())
