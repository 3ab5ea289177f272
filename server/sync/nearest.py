"""Which stop is nearest: the customer at the rep's place pops up first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from server import geo
from server.accounts.models import Premise, ServicePoint
from server.db import Session
from server.identity.service import CallingDevice
from server.metering.models import ReadOrder
from server.rounds.models import Route, RouteStop
from server.sync.collections import load_service_points


def nearest(
    session: Session, device: CallingDevice, lat: float, lon: float, limit: int
) -> list[dict[str, Any]]:
    """The stops of the device's routes nearest to a place in WGS-84, with metres, near ones first.

    A stop without a position is left out; ``open`` says whether it still has an order to read.
    """
    rows = session.execute(
        select(ServicePoint.id, Premise.lat_e7, Premise.lon_e7)
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .join(
            RouteStop,
            (RouteStop.kind == "service_point") & (RouteStop.subject_id == ServicePoint.id),
        )
        .join(Route, Route.id == RouteStop.route_id)
        .where(Route.reader_id == device.staff_id, Premise.lat_e7.is_not(None))
    )
    here = geo.to_e7(lat), geo.to_e7(lon)
    near = sorted(
        (geo.fast_distance_e7(*here, lat_e7, lon_e7), point_id, lat_e7, lon_e7)
        for point_id, lat_e7, lon_e7 in rows
        if lat_e7 is not None and lon_e7 is not None
    )[:limit]
    ids = [point_id for _, point_id, _, _ in near]
    documents = load_service_points(session, [str(point_id) for point_id in ids])
    still_open = _open_orders(session, ids)
    return [
        {
            "id": str(point_id),
            "distance_m": round(
                geo.distance_m(lat, lon, geo.from_e7(lat_e7), geo.from_e7(lon_e7)), 1
            ),
            "open": still_open.get(point_id, 0) > 0,
            **documents[str(point_id)],
        }
        for _, point_id, lat_e7, lon_e7 in near
    ]


def _open_orders(session: Session, point_ids: list[int]) -> dict[int, int]:
    rows = session.execute(
        select(ReadOrder.service_point_id, func.count())
        .where(ReadOrder.service_point_id.in_(point_ids), ReadOrder.status == "open")
        .group_by(ReadOrder.service_point_id)
    )
    return {point_id: count for point_id, count in rows}
