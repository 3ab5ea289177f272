"""What a device can pull: one loader for each collection, reading documents in bulk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Text, cast, func, select, type_coerce

from server import geo
from server.accounts.models import (
    Account,
    Customer,
    Installation,
    Meter,
    Premise,
    Register,
    ServicePoint,
)
from server.capture.codes import MISSES, SKIPS, TROUBLES
from server.db import BigId, Quantity, Session, among, many_ids, run
from server.identity.models import Staff
from server.metering.models import ReadOrder
from server.operator import Operator
from server.rounds.models import Route, RouteStop

Document = dict[str, Any]
Loader = Callable[[Session, Sequence[str]], dict[str, Document]]

CODE_LISTS = {"skip": SKIPS, "trouble": TROUBLES, "miss": MISSES}


def load_operator(session: Session, ids: Sequence[str]) -> dict[str, Document]:  # noqa: ARG001 - every loader has this signature
    """The operator: name, currency, zone."""
    operator = session.get(Operator, 1)
    if operator is None:
        return {}
    return {
        "operator": {
            "name": operator.name,
            "currency": operator.currency,
            "time_zone": operator.time_zone,
            "language": operator.language,
        }
    }


def load_code_lists(session: Session, ids: Sequence[str]) -> dict[str, Document]:  # noqa: ARG001 - every loader has this signature
    """The lists of codes a rep chooses from, in both languages."""
    return {
        name: {"codes": [{"code": c, "zh": zh, "en": en} for c, (zh, en) in codes.items()]}
        for name, codes in CODE_LISTS.items()
        if name in ids
    }


def load_reps(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """The rep himself."""
    rows = session.execute(select(Staff).where(Staff.id.in_([int(i) for i in ids]))).scalars()
    return {str(s.id): {"name": s.name, "language": s.language} for s in rows}


def load_routes(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """Routes with the period that is being read: the newest with an order."""
    wanted = [int(i) for i in ids]
    newest = session.execute(
        select(ReadOrder.route_id, func.max(ReadOrder.period))
        .where(ReadOrder.route_id.in_(wanted))
        .group_by(ReadOrder.route_id)
    )
    periods = {route_id: period for route_id, period in newest if route_id is not None}
    rows = session.execute(select(Route).where(Route.id.in_(wanted))).scalars()
    return {
        str(r.id): {
            "book_no": r.book_no,
            "name": r.name,
            "period": periods.get(r.id),
            "read_and_bill": r.read_and_bill,
        }
        for r in rows
    }


_POINTS = (
    select(
        ServicePoint.id,
        RouteStop.route_id,
        RouteStop.sequence,
        ServicePoint.point_no,
        Account.account_no,
        Customer.name,
        Premise.address,
        ServicePoint.location_hint,
        ServicePoint.hazards,
        ServicePoint.note,
        ServicePoint.status,
        Premise.lat_e7,
        Premise.lon_e7,
        Premise.position_confidence,
    )
    .join(
        RouteStop,
        (RouteStop.kind == "service_point") & (RouteStop.subject_id == ServicePoint.id),
    )
    .join(Premise, Premise.id == ServicePoint.premise_id)
    .join(Account, Account.id == ServicePoint.account_id)
    .join(Customer, Customer.id == Account.customer_id)
    .where(among(ServicePoint.id, many_ids("ids")))
)
_METERS = (
    select(
        Installation.service_point_id,
        Meter.serial,
        type_coerce(Installation.multiplier, BigId),
        Register.kind,
        Register.integer_digits,
        Register.decimals,
    )
    .join(Meter, Meter.id == Installation.meter_id)
    .join(Register, Register.meter_id == Meter.id)
    .where(among(Installation.service_point_id, many_ids("ids")), Installation.removed_at.is_(None))
    .order_by(Register.id)
)
_ORDERS = select(
    ReadOrder.id,
    ReadOrder.route_id,
    ReadOrder.service_point_id,
    ReadOrder.period,
    ReadOrder.reason,
    type_coerce(ReadOrder.due, Text),  # a date either way, and JSON writes both alike
    ReadOrder.status,
    cast(ReadOrder.expectations, Text),
).where(among(ReadOrder.id, many_ids("ids")))


def load_service_points(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """Stops with what a rep needs to find the meter and to know it for the right one."""
    wanted = {"ids": [int(i) for i in ids]}
    meters = _meters(session, wanted)
    documents = {}
    for row in run(session, _POINTS, wanted):
        (point_id, route_id, sequence, point_no, account_no, customer_name, address, hint) = row[:8]
        hazards, note, status, lat_e7, lon_e7, confidence = row[8:]
        documents[str(point_id)] = {
            "route_id": route_id,
            "sequence": sequence,
            "point_no": point_no,
            "account_no": account_no,
            "customer_name": customer_name,
            "address": address,
            "location_hint": hint,
            "hazards": hazards,
            "note": note,
            "status": status,
            "position": _position(lat_e7, lon_e7, confidence),
            "meter": meters.get(point_id),
        }
    return documents


def _position(lat_e7: int | None, lon_e7: int | None, confidence: str | None) -> Document | None:
    if lat_e7 is None or lon_e7 is None:
        return None
    return {
        "lat": geo.from_e7(lat_e7),
        "lon": geo.from_e7(lon_e7),
        "crs": "wgs84",
        "confidence": confidence,
    }


def _meters(session: Session, wanted: dict[str, list[int]]) -> dict[int, Document]:
    """The meter that is installed now at each point, with its registers."""
    meters: dict[int, Document] = {}
    for point_id, serial, kept, kind, digits, decimals in run(session, _METERS, wanted):
        meter = meters.get(point_id)
        if meter is None:
            meter = {"serial": serial, "multiplier": multiplier_text(kept), "registers": []}
            meters[point_id] = meter
        meter["registers"].append({"kind": kind, "integer_digits": digits, "decimals": decimals})
    return meters


@lru_cache(maxsize=1024)
def multiplier_text(kept: int) -> str:
    """A multiplier, as the database keeps it, as text: there are few different ones."""
    return f"{Decimal(kept).scaleb(-Quantity.places).normalize():f}"


def load_read_orders(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """Tasks to read, with the limits made for each dial."""
    rows = run(session, _ORDERS, {"ids": [int(i) for i in ids]})
    return {
        str(order_id): {
            "route_id": route_id,
            "service_point_id": point_id,
            "period": period,
            "reason": reason,
            "due": due,
            "status": status,
            "registers": orjson.Fragment(expectations) if expectations else None,
        }
        for order_id, route_id, point_id, period, reason, due, status, expectations in rows
    }


COLLECTIONS: dict[str, Loader] = {
    "operator": load_operator,
    "code_list": load_code_lists,
    "rep": load_reps,
    "route": load_routes,
    "service_point": load_service_points,
    "read_order": load_read_orders,
}
