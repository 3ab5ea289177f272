"""The supervisor's map, the data it draws and the live positions it asks for."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, render_template, request

from server import clock
from server.console import scope
from server.console.queries import live as positions
from server.console.queries import routes
from server.db import snapshot

MOST_STOPS = 20_000
STATES = {"open": 0, "done": 1, "held": 2, "skipped": 3}


def page() -> str:
    """The map with a list that says the same."""
    with snapshot() as session:
        seen = scope.of(session, "map", "view")
        reps = positions.reps(session, seen)
        rev, marks = positions.last_rev(session), positions.marks(session)
        choice = routes.choice(session, seen)
    return render_template(
        "console/map.html", reps=reps, rev=rev, marks=marks, routes=choice, route_id=_route_id()
    )


def data() -> Response:
    """Stops by route in walking order: [point, lat, lon, state, sequence, number, address, account]."""
    with snapshot() as session:
        seen = scope.of(session, "map", "view")
        rows = positions.stops(session, seen, _route_id(), MOST_STOPS)
        names = {row.id: row for row in routes.choice(session, seen)}
    by_route: dict[int, list[list[Any]]] = {}
    for row in rows[:MOST_STOPS]:
        by_route.setdefault(row.route_id, []).append(
            [
                row.id,
                row.lat_e7 / 1e7,
                row.lon_e7 / 1e7,
                STATES.get(row.status, 0),
                row.sequence,
                row.point_no,
                row.address,
                row.account_id,
            ]
        )
    drawn = [
        {"id": route_id, "name": _route_name(names.get(route_id)), "stops": stops}
        for route_id, stops in by_route.items()
    ]
    return _json({"routes": drawn, "left_off": len(rows) > MOST_STOPS})


def _frame(after: int, known: positions.Marks) -> dict[str, Any]:
    """What has changed since the marks a page knows."""
    with snapshot() as session:
        seen = scope.of(session, "map", "view")
        rev, reps = positions.moved(session, seen, after)
        stops, newest = positions.changed_stops(session, seen, known)
    return {
        "rev": rev,
        **newest._asdict(),
        "now": clock.to_ms(clock.now()),
        "reps": [positions.frame(rep) for rep in reps],
        "stops": [[point, STATES.get(status, 0)] for point, status in stops],
    }


def live() -> Response:
    """Positions newer than ``after`` and stops changed since the marks of the last frame."""
    known = positions.Marks(*(_number(name) for name in positions.Marks._fields))
    return _json(_frame(_number("after"), known))


def _route_id() -> int | None:
    return _number("route") or None


def _number(name: str) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _route_name(row: Any) -> str:
    return f"{row.book_no} {row.name}" if row is not None else ""


def _json(body: dict[str, Any]) -> Response:
    answer = Response(orjson.dumps(body), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
