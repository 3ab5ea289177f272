"""Files of rounds: routes and their stops in walking order."""

from __future__ import annotations

from sqlalchemy import select

from server import feed
from server.accounts.models import ServicePoint
from server.db import Session, insert_rows, update_rows
from server.identity.models import OrgUnit, Staff
from server.imports import fields
from server.imports.store import count, ids_of, upsert
from server.imports.subject import Chunk, Column, Subject
from server.rounds.models import Route, RouteStop

ROUTE_COLUMNS = (
    "name",
    "read_cycle",
    "scheduled_day",
    "org_unit_id",
    "reader_id",
    "read_and_bill",
)


def load_routes(session: Session, chunk: Chunk) -> None:
    """Store routes with their team and reader."""
    units = ids_of(session, OrgUnit, "code", chunk.values("org_unit"))
    readers = ids_of(session, Staff, "username", chunk.values("reader"))
    chunk.require("org_unit", units, "org_unit")
    chunk.require("reader", readers, "staff")
    wanted = {
        row["book_no"]: {
            "name": row["name"],
            "read_cycle": row["read_cycle"],
            "scheduled_day": row["scheduled_day"],
            "org_unit_id": units[row["org_unit"]],
            "reader_id": readers.get(row["reader"]),
            "read_and_bill": row["read_and_bill"],
        }
        for row in chunk.rows
    }
    stored = upsert(session, chunk, Route, wanted, key="book_no", may_change=ROUTE_COLUMNS)
    for number in stored.fresh:
        feed.touch(session, f"route:{number}", "route", number)


def load_route_stops(session: Session, chunk: Chunk) -> None:
    """Store stops; a point is on one route, and one that moves leaves the other."""
    routes = ids_of(session, Route, "book_no", chunk.values("book_no"))
    points = ids_of(session, ServicePoint, "point_no", chunk.values("point_no"))
    chunk.require("book_no", routes, "route")
    chunk.require("point_no", points, "service_point")
    now = {
        stop.subject_id: stop
        for stop in session.execute(
            select(RouteStop).where(
                RouteStop.kind == "service_point", RouteStop.subject_id.in_(points.values())
            )
        ).scalars()
    }
    new, moved = [], []
    for row in chunk.rows:
        route, point, sequence = routes[row["book_no"]], points[row["point_no"]], row["sequence"]
        stop = now.get(point)
        if stop is None:
            new.append({"route_id": route, "sequence": sequence, "subject_id": point})
        elif (stop.route_id, stop.sequence) != (route, sequence):
            moved.append({"id": stop.id, "route_id": route, "sequence": sequence})
            if stop.route_id != route:
                feed.touch(session, f"route:{stop.route_id}", "service_point", point, deleted=True)
        else:
            continue
        feed.touch(session, f"route:{route}", "service_point", point)
    insert_rows(
        session,
        RouteStop,
        [{"created_at": chunk.now, "kind": "service_point", **row} for row in new],
    )
    update_rows(session, RouteStop, ("id",), moved)
    count(chunk, len(new), len(moved), len(chunk.rows) - len(new) - len(moved))


ROUTES = Subject(
    "routes.csv",
    "Routes (抄表段), each walked by one reader for one team",
    (
        Column("book_no", fields.text(40), "Number of the book.", "B01", required=True),
        Column("name", fields.text(120), "Name.", "城西北抄表段", required=True),
        Column("read_cycle", fields.text(16), "How often.", "monthly", default="monthly"),
        Column("scheduled_day", fields.whole(1, 31), "Planned day of the month.", "22"),
        Column("org_unit", fields.text(40), "Code of its team.", "north", required=True),
        Column("reader", fields.text(80), "User name of its reader.", "zhangwei"),
        Column(
            "read_and_bill",
            fields.yes_no,
            "Whether the reading issues the bill.",
            "yes",
            default=False,
        ),
    ),
    ("book_no",),
    load_routes,
)

ROUTE_STOPS = Subject(
    "route_stops.csv",
    "The points of the routes in walking order",
    (
        Column("book_no", fields.text(40), "The route.", "B01", required=True),
        Column("sequence", fields.whole(0, 1_000_000), "Place in the walk.", "10", required=True),
        Column("point_no", fields.text(40), "The point.", "M00001", required=True),
    ),
    ("point_no",),
    load_route_stops,
)
