"""Refusals: which phone wants no texts of which kind, by whose word."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response

from server import audit
from server.console import entry, paging, scope, words
from server.db import snapshot, transaction
from server.desk import inbox, texts
from server.errors import DomainError, Invalid
from server.identity.models import Staff
from server.notify import consent
from server.notify.models import PhoneRefusal
from server.notify.rules.categories import REFUSABLE

LONGEST = 160


def page(wrong: str | None = None) -> str:
    """The list, newest first, by phone or category."""
    phone = request.args.get("phone", "").strip()
    category = request.args.get("category")
    category = category if category in REFUSABLE else None
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        statement = (
            select(PhoneRefusal, Staff.name.label("staff"))
            .outerjoin(Staff, Staff.id == PhoneRefusal.staff_id)
            .where(inbox.visible(seen, PhoneRefusal.phone))
        )
        if phone:
            statement = statement.where(PhoneRefusal.phone == texts.phone_of(phone))
        if category:
            statement = statement.where(PhoneRefusal.category == category)
        found = paging.page(session, statement, PhoneRefusal.id)
    return render_template(
        "console/refusals.html",
        page=found,
        phone=phone,
        category=category,
        categories=REFUSABLE,
        labels={name: words.name(name) for name in REFUSABLE},
        wrong=wrong,
    )


def add() -> Response | tuple[str, int]:
    """Note that a customer wants no more of something; holds for texts that wait, too."""
    actor, sent = entry.actor(), request.form
    why = sent.get("why", "").strip()[:LONGEST]
    try:
        with transaction() as session:
            scope.of(session, "messages", "send")
            if not why:
                raise Invalid("refusal.why", "Say in a few words why.")
            phone = texts.phone_of(sent.get("phone", "").strip())
            new = consent.refuse(session, actor, phone, sent.getlist("categories"), "console", why)
    except DomainError as error:
        if error.status == 403:
            raise
        return page(words.sentence(error)), error.status
    flash(_("It is noted.") if new else _("That was noted already."), "message")
    return redirect(url_for("console.messages_suppressions"))


def end(refusal_id: int) -> Response | tuple[str, int]:
    """Take a refusal back, because the customer wants it; with the reason."""
    actor, why = entry.actor(), request.form.get("why", "").strip()[:LONGEST]
    if not why:
        return page(words.sentence(Invalid("refusal.why", "Say in a few words why."))), 422
    with transaction() as session:
        seen = scope.of(session, "messages", "send")
        one = select(PhoneRefusal).where(
            PhoneRefusal.id == refusal_id, inbox.visible(seen, PhoneRefusal.phone)
        )
        row = scope.found(session.scalars(one).one_or_none(), "refusal")
        what = {"category": row.category, "why": why}
        audit.record(session, actor, "refusal.ended", "phone", row.phone, before=what)
        consent.allow(session, actor, row.phone, [row.category], "console")
    flash(_("It is taken back."), "message")
    return redirect(url_for("console.messages_suppressions"))
