"""Messages: what was texted to whom, how far it is, and every step of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response as AnyResponse

from server import audit, clock
from server.console import entry, paging, scope, words
from server.console.look import look
from server.console.queries import messages, readings, trouble
from server.db import transaction
from server.notify import queries as notify
from server.notify.models import OutboxMessage
from server.notify.rules.states import STATES
from server.rounds.scope import Scope

SHOWN_FOR = 300
LISTED = tuple(state for state in STATES if state not in {"claimed", "submitted"})


def page() -> str:
    """The outbox, newest first, with the gateways' state above it."""
    status = _status()
    with look() as session:
        seen = scope.of(session, "messages", "view")
        found = paging.page(session, messages.listed(seen, status), OutboxMessage.id)
        today = messages.counts_today(session, seen)
        gateways = notify.gateway_states(session)
        worker = trouble.worker_seen_at(session)
    return render_template(
        "console/messages.html",
        page=found,
        status=status,
        today=today,
        message_states={s: words.word(words.message_state(s)) for s in LISTED},
        gateways=gateways,
        worker=worker,
    )


def export() -> Response:
    """The list as CSV; phone numbers stay masked."""
    status = _status()
    with look() as session:
        seen = scope.of(session, "messages", "view")
    columns = "id,status,event,account_no,customer,segments,gateway,error,created_at,status_at"
    return paging.csv_answer("messages", columns.split(","), lambda: _rows(seen, status))


def _rows(seen: Scope, status: str | None) -> Iterable[Sequence[Any]]:
    statement = messages.listed(seen, status).order_by(OutboxMessage.id.desc())
    with look() as session:
        for row in session.execute(statement.limit(paging.EXPORTED)):
            m = row.OutboxMessage
            yield (
                m.id,
                m.status,
                m.event,
                row.account_no,
                row.customer,
                m.segments,
                row.gateway,
                m.error,
                m.created_at.isoformat(),
                m.status_at.isoformat(),
            )


def one(message_id: int) -> str:
    """One message: its text, its parts, what the carrier said."""
    with look() as session:
        seen = scope.of(session, "messages", "view")
        row = scope.found(messages.one(session, seen, message_id), "message")
        trace = notify.trace(session, message_id)
        trail = readings.trail(session, "message", message_id)
    shown = clock.to_ms(clock.now()) - browser.get(f"phone.{message_id}", 0) < SHOWN_FOR * 1000
    return render_template("console/message.html", row=row, trace=trace, trail=trail, shown=shown)


def show_phone(message_id: int) -> AnyResponse:
    """Show the whole phone number for five minutes; that somebody looked is written down."""
    with transaction() as session:
        seen = scope.of(session, "messages", "view")
        scope.found(messages.one(session, seen, message_id), "message")
        audit.record(session, entry.actor(), "phone.shown", "message", message_id)
    browser[f"phone.{message_id}"] = clock.to_ms(clock.now())
    return redirect(url_for("console.messages_one", message_id=message_id))


def _status() -> str | None:
    status = request.args.get("status")
    return status if status in STATES else None
