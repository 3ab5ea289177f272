"""What reps say of places: visits, notes, and positions that are wrong in our file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from server import clock, geo, review
from server.accounts.models import Premise, ServicePoint
from server.capture.items import APPLIED, Item, Sender, Verdict
from server.capture.models import FieldNote
from server.db import Session, insert_rows
from server.identity.queries import team_of
from server.rounds.models import Route, RouteStop
from server.rounds.service import FoundStop, Stop, Visit, find_stops, note_visits

UNKNOWN_STOP = Verdict("held", "visit.unknown_stop", "This stop is on no route.", "data.stop")
OTHER_ROUTE = Verdict("held", "visit.not_your_route", "The route was given to somebody else.")
UNKNOWN_PLACE = Verdict(
    "held", "position.unknown_point", "There is no such service point.", "data.service_point"
)
PROPOSED = Verdict("held", "position.proposed", "The office looks at the new position.")


def handle_visits(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``visit.v1``: a stop of any kind was served, or missed for a reason."""
    stops = {item.uuid: Stop(item.data["stop"]["kind"], item.data["stop"]["id"]) for item in items}
    found = find_stops(session, set(stops.values()))
    verdicts = {uuid: _visit_verdict(found.get(stop), sender) for uuid, stop in stops.items()}
    note_visits(
        session,
        [
            Visit(
                capture_uuid=item.uuid,
                stop=stops[item.uuid],
                staff_id=sender.staff_id,
                outcome=item.data["outcome"],
                visited_at=item.true_time(sender),
                reason=item.data["reason"],
                started_at=item.data["started_at"],
                note=item.data["note"],
            )
            for item in items
            if verdicts[item.uuid] == APPLIED
        ],
    )
    _raise_held(session, sender, items, verdicts, lambda item: found.get(stops[item.uuid]))
    return verdicts


def _visit_verdict(stop: FoundStop | None, sender: Sender) -> Verdict:
    if stop is None:
        return UNKNOWN_STOP
    return APPLIED if stop.reader_id == sender.staff_id else OTHER_ROUTE


def handle_notes(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``note.v1``: free words about a place or about nothing in particular."""
    now = clock.now()
    insert_rows(
        session,
        FieldNote,
        [
            {
                "created_at": now,
                "capture_uuid": item.uuid,
                "staff_id": sender.staff_id,
                "noted_at": item.true_time(sender),
                "subject_type": item.data["subject"]["kind"] if item.data["subject"] else None,
                "subject_id": item.data["subject"]["id"] if item.data["subject"] else None,
                "text": item.data["text"],
            }
            for item in items
        ],
        on_conflict=("capture_uuid",),
    )
    return dict.fromkeys((item.uuid for item in items), APPLIED)


def handle_positions(
    session: Session,
    sender: Sender,
    items: Sequence[Item],
) -> dict[UUID, Verdict]:
    """Settle ``premise_position.v1``: a person of the office accepts the place or not."""
    places = _places(session, {item.data["service_point"] for item in items})
    verdicts = {
        item.uuid: PROPOSED if item.data["service_point"] in places else UNKNOWN_PLACE
        for item in items
    }
    team = team_of(session, sender.staff_id)
    review.raise_items(
        session, [_proposal(item, team, places.get(item.data["service_point"])) for item in items]
    )
    return verdicts


def _places(session: Session, point_ids: set[int]) -> dict[int, Any]:
    rows = session.execute(
        select(
            ServicePoint.id,
            Premise.id.label("premise_id"),
            Premise.lat_e7,
            Premise.lon_e7,
            RouteStop.route_id,
            Route.org_unit_id,
        )
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .outerjoin(
            RouteStop,
            (RouteStop.kind == "service_point") & (RouteStop.subject_id == ServicePoint.id),
        )
        .outerjoin(Route, Route.id == RouteStop.route_id)
        .where(ServicePoint.id.in_(point_ids))
    )
    return {row.id: row for row in rows}


def _proposal(item: Item, team: int | None, place: Any) -> review.NewItem:
    """The review item of a proposed position: old, new, and how far apart they are."""
    position = item.data["position"]
    new = geo.to_wgs84(position["crs"], position["lat"], position["lon"])
    detail: dict[str, Any] = {
        "type": item.type,
        "service_point_id": item.data["service_point"],
        "lat": new.lat,
        "lon": new.lon,
        "accuracy_m": position["accuracy_m"],
        "note": item.data["note"],
    }
    if place is not None:
        detail["premise_id"] = place.premise_id
        if place.lat_e7 is not None and place.lon_e7 is not None:
            old = geo.from_e7(place.lat_e7), geo.from_e7(place.lon_e7)
            detail |= {"old_lat": old[0], "old_lon": old[1]}
            detail["moved_m"] = round(geo.distance_m(*old, new.lat, new.lon), 1)
    return review.NewItem(
        key=f"capture:{item.uuid}",
        kind="premise_position" if place is not None else "capture",
        reason=(PROPOSED if place is not None else UNKNOWN_PLACE).code or "",
        subject_type="capture",
        subject_id=item.uuid,
        detail=detail,
        org_unit_id=(place.org_unit_id if place is not None else None) or team,
        route_id=place.route_id if place is not None else None,
        lat_e7=geo.to_e7(new.lat),
        lon_e7=geo.to_e7(new.lon),
    )


def _raise_held(
    session: Session,
    sender: Sender,
    items: Sequence[Item],
    verdicts: dict[UUID, Verdict],
    stop_of: Any,
) -> None:
    team = team_of(session, sender.staff_id)
    held = []
    for item in items:
        verdict = verdicts[item.uuid]
        if verdict == APPLIED:
            continue
        stop: FoundStop | None = stop_of(item)
        held.append(
            review.NewItem(
                key=f"capture:{item.uuid}",
                kind="capture",
                reason=verdict.code or "",
                subject_type="capture",
                subject_id=item.uuid,
                detail={"type": item.type, "message": verdict.message},
                org_unit_id=stop.org_unit_id if stop else team,
                route_id=stop.route_id if stop else None,
                lat_e7=item.gps.lat_e7 if item.gps else None,
                lon_e7=item.gps.lon_e7 if item.gps else None,
            )
        )
    review.raise_items(session, held)
