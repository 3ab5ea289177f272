"""Texts to very many: how far each is, withdrawing one, letting a stopped one go on."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from server import audit
from server.console import entry, paging, scope
from server.console.queries import sendings
from server.db import Session, snapshot, transaction
from server.notify import service
from server.notify.models import FanOut


def page() -> str:
    """All sendings, the newest first."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        found = paging.page(session, sendings.listed(seen), FanOut.id)
    return render_template("console/sendings.html", page=found)


def withdraw(number: int) -> Response:
    """Let nothing more of it out, and take its waiting texts back."""
    with transaction() as session:
        row = _row(session, number)
        count = service.cancel_fan_out(session, row.id)
        said = {"withdrawn": count}
        audit.record(session, entry.actor(), "sending.withdrawn", "fan_out", row.id, after=said)
    text = ngettext(
        "It is ended; %(num)d text is withdrawn.",
        "It is ended; %(num)d texts are withdrawn.",
        count,
    )
    flash(text, "message")
    return redirect(url_for("console.messages_sendings"))


def resume(number: int) -> Response:
    """Let one that was stopped go on with those who have not been told."""
    with transaction() as session:
        row = _row(session, number)
        service.resume_fan_out(session, row.id)
        audit.record(session, entry.actor(), "sending.resumed", "fan_out", row.id)
    flash(_("It goes on within a minute."), "message")
    return redirect(url_for("console.messages_sendings"))


def _row(session: Session, number: int) -> FanOut:
    seen = scope.of(session, "messages", "send")
    return scope.found(sendings.one(session, seen, number), "sending")
