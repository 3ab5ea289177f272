"""Today: is the day going well?"""

from __future__ import annotations

from flask import render_template

from server.console import entry, scope
from server.console.queries import live, messages, today, trouble
from server.db import snapshot


def page() -> str:
    """The figures of the day, the map with its list, what waits, how far the routes are."""
    with snapshot() as session:
        seen = scope.of(session, "today", "view")
        orders = today.orders(session, seen)
        figures = {
            "orders": orders,
            "readings": today.readings_today(session, seen),
            "waiting": today.waiting(session, seen),
            "bills": today.bills_today(session, seen),
            "messages": messages.counts(session, seen),
            "silent": [t for t in trouble.now(session, entry.settings()) if t.kind == "silent"],
            "progress": today.route_progress(session, seen, orders.period, limit=20),
        }
        reps = (
            live.reps(session, scope.of(session, "map", "view")) if scope.may("map", "view") else []
        )
        rev, marks = live.last_rev(session), live.marks(session)
    return render_template("console/today.html", **figures, reps=reps, rev=rev, marks=marks)
