"""Texts that phones sent us: those nobody has understood first."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask import session as browser
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from server import audit, clock
from server.console import entry, paging, scope
from server.console.queries import inbound, messages, readings
from server.db import snapshot, transaction
from server.desk import inbox, texts
from server.notify.models import INBOUND_STATES, InboundMessage

SHOWN_FOR = 300


def page() -> str:
    """The list; without a filter what somebody must look at."""
    state = request.args.get("state")
    state = state if state in (*INBOUND_STATES, "all") else None
    phone = request.args.get("phone", "").strip()
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        asked = texts.phone_of(phone) if phone else None
        found = paging.page(session, inbound.listed(seen, state, asked), InboundMessage.id)
        waiting = inbound.waiting(session, seen)
    return render_template(
        "console/inbound.html",
        page=found,
        state=state,
        phone=phone,
        waiting=waiting,
        states=("all", *INBOUND_STATES),
    )


def one(inbound_id: int) -> str:
    """One text with its parts, who is behind the number, and what can be done."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        row = scope.found(inbound.one(session, seen, inbound_id), "inbound")
        parts = inbound.parts(session, inbound_id)
        known = inbound.accounts(session, seen, row.InboundMessage.phone)
        reply = row.InboundMessage.reply_id
        answer = messages.one(session, seen, reply) if reply else None
        trail = readings.trail(session, "inbound", inbound_id)
    kept = browser.get(f"inbound.{inbound_id}", 0)
    return render_template(
        "console/inbound_one.html",
        row=row,
        parts_come=parts,
        known=known,
        answer=answer,
        trail=trail,
        shown=clock.to_ms(clock.now()) - kept < SHOWN_FOR * 1000,
        is_open=row.InboundMessage.handled_at is None
        and row.InboundMessage.state in inbox.TO_LOOK_AT,
    )


def show_phone(inbound_id: int) -> Response:
    """Show the whole number for five minutes; that somebody looked is written down."""
    with transaction() as session:
        seen = scope.of(session, "messages", "view")
        scope.found(inbound.one(session, seen, inbound_id), "inbound")
        audit.record(session, entry.actor(), "phone.shown", "inbound", inbound_id)
    browser[f"inbound.{inbound_id}"] = clock.to_ms(clock.now())
    return redirect(url_for("console.messages_inbound_one", inbound_id=inbound_id))


def end(inbound_id: int) -> Response:
    """Answer it, or put it aside."""
    actor, text = entry.actor(), request.form.get("text", "").replace("\r\n", "\n").strip()
    with transaction() as session:
        seen = scope.of(session, "messages", "send")
        row = scope.found(inbound.one(session, seen, inbound_id), "inbound").InboundMessage
        if request.form.get("way") == "answer":
            inbox.answer(session, actor, row, text[:2000])
            said = _("The answer is queued.")
        else:
            inbox.put_aside(session, actor, row)
            said = _("It is put aside.")
    flash(said, "message")
    return redirect(url_for("console.messages_inbound"))
