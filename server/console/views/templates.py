"""Templates: what each notice says in each language, with what it costs and what is wrong with it."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from server import audit
from server.console import entry, words
from server.console.views import texts
from server.db import snapshot, transaction
from server.errors import DomainError, NotFound
from server.notify import queries, service
from server.notify.rules import events, mails

LAST = ("reply", "staff")


def page() -> str:
    """Every notice with its wordings."""
    entry.actor().require("messages", "view")
    listed = [event for event in events.EVENTS.values() if not event.free]
    with snapshot() as session:
        bodies = queries.wordings(session)
        shown = {
            (event.name, language): service.preview_template(
                session, event.name, language, bodies[event.name, language]
            )
            for event in listed
            for language in events.LANGUAGES
        }
    return render_template(
        "console/templates.html",
        listed=sorted(listed, key=lambda one: (one.category in LAST, one.category, one.name)),
        bodies=bodies,
        shown=shown,
        languages=events.LANGUAGES,
        own={key for key, body in events.DEFAULT_TEMPLATES.items() if body != bodies[key]},
    )


def one(event: str) -> str:
    """One notice: both wordings, what they may name, what they look like filled."""
    entry.actor().require("messages", "view")
    return _page(_event(event), {}, None)


def put(event: str) -> Response | tuple[str, int]:
    """Keep a wording, or go back to the one the system came with."""
    actor, kind = entry.actor(), _event(event)
    actor.require("settings", "edit")
    language = request.form.get("language", "")
    body = request.form.get("body", "").replace("\r\n", "\n").strip()
    if mails.is_mail(language):
        body = mails.joined(request.form.get("subject", ""), body)
    wanted = None if request.form.get("way") == "default" else body
    try:
        with transaction() as session:
            version = service.put_template(session, event, language, wanted, actor.staff_id)
            after = {"language": language, "version": version, "body": wanted}
            audit.record(session, actor, "template.put", "template", event, after=after)
    except DomainError as error:
        found = [words.reason(one["code"]) for one in error.details.get("findings", ())]
        return _page(
            kind, {language: body}, " · ".join(found) or words.sentence(error)
        ), error.status
    flash(_("Kept. Texts that are queued already stay as they are."), "message")
    return redirect(url_for("console.messages_templates_one", event=event))


def _event(name: str) -> events.Event:
    if name not in events.EVENTS or events.EVENTS[name].free:
        raise NotFound("template.unknown", "There is no such notice.")
    return events.EVENTS[name]


def _page(event: events.Event, typed: dict[str, str], wrong: str | None) -> str:
    with snapshot() as session:
        bodies = {k[1]: b for k, b in queries.wordings(session).items() if k[0] == event.name}
        defaults = queries.wordings_without_own(session, event)
        bodies |= {variant: body for variant, body in typed.items() if variant in bodies}
        previews: dict[str, Any] = {
            variant: service.preview_template(session, event.name, variant, body)
            for variant, body in bodies.items()
        }
        versions = {
            variant: service.template_versions(session, event.name, variant) for variant in bodies
        }
    return render_template(
        "console/template.html",
        event=event,
        bodies=bodies,
        previews=previews,
        versions=versions,
        languages=events.LANGUAGES,
        defaults=defaults,
        mail=mails,
        line=texts.line,
        wrong=wrong,
        typed=typed,
    )
