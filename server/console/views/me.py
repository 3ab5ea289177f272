"""The signed-in person: rights, personal tokens, leaving."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from flask_security.utils import logout_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from server.console import entry
from server.db import snapshot, transaction
from server.identity import service
from server.identity.models import ApiToken


def page() -> str:
    """Who I am, my tokens."""
    return _page()


def _page(secret: str | None = None, wrong: str | None = None) -> str:
    with snapshot() as session:
        tokens = session.scalars(
            select(ApiToken)
            .where(ApiToken.staff_id == entry.actor().staff_id)
            .order_by(ApiToken.id.desc())
            .limit(100)
        ).all()
    return render_template(
        "console/me.html", person=current_user, tokens=tokens, secret=secret, wrong=wrong
    )


def add_token() -> str | tuple[str, int]:
    """Make a personal token; its text stands on this one page and is never kept."""
    name = request.form.get("name", "").strip()[:80]
    if not name:
        return _page(wrong=_("Give it a name, for instance the program that will use it.")), 422
    with transaction() as session:
        _token, secret = service.create_api_token(session, entry.actor(), name)
    return _page(secret=secret)


def revoke_token(token_id: int) -> Response:
    """Make a token useless at once."""
    with transaction() as session:
        service.revoke_api_token(session, entry.actor(), token_id)
    flash(_("The token opens nothing any more."), "message")
    return redirect(url_for("console.me"))


def leave() -> Response:
    """Sign out."""
    logout_user()
    return redirect(url_for("security.login"))
