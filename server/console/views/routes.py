"""Routes: the list, one with its stops and how far it is, who walks it."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response

from server import audit, feed
from server.console import entry, scope
from server.console.queries import periods, readings, routes, today
from server.db import Session, snapshot, transaction
from server.identity.actor import Actor
from server.identity.models import Staff
from server.rounds.models import Route


def page() -> str:
    """Every visible route with its reader and progress."""
    with snapshot() as session:
        seen = scope.of(session, "routes", "view")
        period = periods.current(session)
        found = routes.plain(session, seen)
        progress = {row.id: row for row in today.route_progress(session, seen, period, limit=2000)}
    return render_template("console/routes.html", rows=found, progress=progress, period=period)


def one(route_id: int) -> str:
    """One route: stops in walking order with the state of each."""
    with snapshot() as session:
        seen = scope.of(session, "routes", "view")
        row = scope.found(routes.one(session, seen, route_id), "route")
        period = periods.current(session)
        stops = routes.stops(session, route_id, period)
        people = []
        if scope.may("routes", "edit"):
            people = routes.readers(session, scope.of(session, "routes", "edit"))
        trail = readings.trail(session, "route", route_id)
    counts: dict[str, int] = {}
    for stop in stops:
        counts[stop.status or "none"] = counts.get(stop.status or "none", 0) + 1
    return render_template(
        "console/route.html",
        row=row,
        stops=stops,
        counts=counts,
        period=period,
        people=people,
        trail=trail,
    )


def assign(route_id: int) -> Response:
    """Give a route to another reader; both handhelds hear of it at their next contact."""
    text = request.form.get("reader_id", "")
    reader_id = int(text) if text.isdigit() and len(text) < 19 else None
    with transaction() as session:
        seen = scope.of(session, "routes", "edit")
        route = scope.found(
            session.scalars(select(Route).where(Route.id == route_id, seen.routes())).one_or_none(),
            "route",
        )
        if reader_id is not None:
            person = select(Staff.id).where(
                Staff.id == reader_id, Staff.active.is_(True), seen.staff()
            )
            scope.found(session.execute(person).first(), "staff")
        _give(session, entry.actor(), route, reader_id)
    flash(
        _("The route has another reader. The handhelds hear of it at their next contact."),
        "message",
    )
    return redirect(url_for("console.routes_one", route_id=route_id))


def _give(session: Session, actor: Actor, route: Route, reader_id: int | None) -> None:
    before = route.reader_id
    if before == reader_id:
        return
    route.reader_id = reader_id
    audit.record(
        session,
        actor,
        "route.assigned",
        "route",
        route.id,
        before={"reader_id": before},
        after={"reader_id": reader_id},
    )
    feed.touch(session, f"route:{route.id}", "route", route.id)
    for staff_id in {before, reader_id} - {None}:
        feed.touch(session, f"user:{staff_id}", "rep", staff_id)
