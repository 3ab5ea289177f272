"""Messages: what was texted to whom, how far it is, and every step of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask import session as browser
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from server import audit, clock
from server.console import entry, paging, scope, words
from server.console.queries import messages, readings, sendings, trouble
from server.console.queries.messages import Filters
from server.console.show import zone
from server.db import snapshot, transaction
from server.desk import texts
from server.notify import again as notify_again
from server.notify import queries as notify
from server.notify.models import FanOut, OutboxMessage
from server.notify.rules.events import EVENTS
from server.notify.rules.states import STATES
from server.rounds.scope import Scope

SHOWN_FOR = 300
LISTED = tuple(state for state in STATES if state not in {"claimed", "submitted"})
HELD_BACK = ("queued", "held")


def page() -> str:
    """The outbox, newest first, with the gateways' state above it."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        fan_out = sendings.one(session, seen, _number("sending"))
        filters = _filters(fan_out)
        found = paging.page(
            session,
            messages.listed(session, seen, filters),
            OutboxMessage.id,
            reach=messages.reach(session, filters),
        )
        today = messages.counts(session, seen, filters)
        costs = notify.costs(session, [row.OutboxMessage.id for row in found.rows])
        gateways = notify.gateway_states(session)
        names = notify.gateway_names(session)
        worker = trouble.worker_seen_at(session)
    return render_template(
        "console/messages.html",
        page=found,
        filters=filters,
        fan_out=fan_out,
        today=today,
        costs=costs,
        message_states={s: words.word(words.message_state(s)) for s in LISTED},
        events=sorted(EVENTS),
        gateways=gateways,
        gateway_names=names,
        worker=worker,
    )


def export() -> Response:
    """The list as CSV; phone numbers stay masked."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        filters = _filters(sendings.one(session, seen, _number("sending")))
    columns = "id,status,event,account_no,customer,segments,cost,gateway,error,created_at,status_at"
    return paging.csv_answer("messages", columns.split(","), lambda: _rows(seen, filters))


def _rows(seen: Scope, filters: Filters) -> Iterable[Sequence[Any]]:
    with snapshot() as session:
        statement = messages.listed(session, seen, filters).order_by(OutboxMessage.id.desc())
        found = session.execute(statement.limit(paging.EXPORTED))
        for rows in found.partitions(1000):
            costs = notify.costs(session, [row.OutboxMessage.id for row in rows])
            for row in rows:
                m = row.OutboxMessage
                yield (
                    *(m.id, m.status, m.event, row.account_no, row.customer, m.segments),
                    *(costs.get(m.id, 0), row.gateway, m.error),
                    *(m.created_at.isoformat(), m.status_at.isoformat()),
                )


def one(message_id: int) -> str:
    """One message: its text, its parts, what the carrier said."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        row = scope.found(messages.one(session, seen, message_id), "message")
        trace = notify.trace(session, message_id)
        steps = notify.steps(session, message_id)
        cost = notify.costs(session, [message_id]).get(message_id)
        trail = readings.trail(session, "message", message_id)
        tries = notify_again.count(session, message_id)
    shown = clock.to_ms(clock.now()) - browser.get(f"phone.{message_id}", 0) < SHOWN_FOR * 1000
    status = row.OutboxMessage.status
    return render_template(
        "console/message.html",
        row=row,
        trace=trace,
        steps=steps,
        cost=cost,
        trail=trail,
        shown=shown,
        tries=tries,
        can_cancel=status in HELD_BACK,
        can_repeat=status in notify_again.FROM,
    )


def show_phone(message_id: int) -> AnyResponse:
    """Show the whole phone number for five minutes; that somebody looked is written down."""
    with transaction() as session:
        seen = scope.of(session, "messages", "view")
        scope.found(messages.one(session, seen, message_id), "message")
        audit.record(session, entry.actor(), "phone.shown", "message", message_id)
    browser[f"phone.{message_id}"] = clock.to_ms(clock.now())
    return redirect(url_for("console.messages_one", message_id=message_id))


def cancel(message_id: int) -> AnyResponse:
    """Withdraw a message that has not left."""
    with transaction() as session:
        seen = scope.of(session, "messages", "send")
        scope.found(messages.one(session, seen, message_id), "message")
        texts.withdraw(session, entry.actor(), message_id)
    flash(_("It is withdrawn; nothing was sent."), "message")
    return redirect(url_for("console.messages_one", message_id=message_id))


def again(message_id: int) -> AnyResponse:
    """Send the same words once more, as a new message; pressed twice it is one."""
    tries = request.form.get("tries", "")
    with transaction() as session:
        seen = scope.of(session, "messages", "send")
        scope.found(messages.one(session, seen, message_id), "message")
        number = int(tries) if tries.isdigit() and len(tries) < 6 else 0
        new = notify_again.send(session, message_id, number)
        said = {"again": new}
        audit.record(session, entry.actor(), "message.repeated", "message", message_id, after=said)
    flash(_("It is queued once more, as a message of its own."), "message")
    return redirect(url_for("console.messages_one", message_id=new))


def _filters(fan_out: FanOut | None) -> Filters:
    """The search in the address; what cannot be read counts as not asked."""
    asked = request.args
    status, event = asked.get("status"), asked.get("event")
    to = _day("to")
    return Filters(
        status=status if status in STATES else None,
        event=event if event in EVENTS else None,
        gateway_id=_number("gateway"),
        phone=asked.get("phone", "").strip() or None,
        account_no=asked.get("account", "").strip() or None,
        begin=_midnight(_day("from")),
        end=_midnight(to + timedelta(days=1)) if to else None,
        batch=asked.get("batch") or None,
        sending=None if fan_out is None else fan_out.key,
    )


def _number(name: str) -> int | None:
    text = request.args.get(name, "")
    return int(text) if text.isdigit() and len(text) < 19 else None


def _day(name: str) -> date | None:
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return found if 1900 < found.year < 2200 else None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), tzinfo=zone())
