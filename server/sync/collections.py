"""What a device can pull: one loader for each collection, reading documents in bulk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select

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
from server.db import Session
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


def load_service_points(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """Stops with what a rep needs to find the meter and to know it for the right one."""
    wanted = [int(i) for i in ids]
    rows = session.execute(
        select(ServicePoint, RouteStop, Premise, Account.account_no, Customer.name)
        .join(
            RouteStop,
            (RouteStop.kind == "service_point") & (RouteStop.subject_id == ServicePoint.id),
        )
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .join(Account, Account.id == ServicePoint.account_id)
        .join(Customer, Customer.id == Account.customer_id)
        .where(ServicePoint.id.in_(wanted))
    ).all()
    meters = _meters(session, wanted)
    return {
        str(point.id): {
            "route_id": stop.route_id,
            "sequence": stop.sequence,
            "point_no": point.point_no,
            "account_no": account_no,
            "customer_name": customer_name,
            "address": premise.address,
            "location_hint": point.location_hint,
            "hazards": point.hazards,
            "note": point.note,
            "status": point.status,
            "position": _position(premise),
            "meter": meters.get(point.id),
        }
        for point, stop, premise, account_no, customer_name in rows
    }


def _position(premise: Premise) -> Document | None:
    if premise.lat_e7 is None or premise.lon_e7 is None:
        return None
    return {
        "lat": geo.from_e7(premise.lat_e7),
        "lon": geo.from_e7(premise.lon_e7),
        "crs": "wgs84",
        "confidence": premise.position_confidence,
    }


def _meters(session: Session, point_ids: Sequence[int]) -> dict[int, Document]:
    """The meter that is installed now at each point, with its registers."""
    rows = session.execute(
        select(Installation, Meter, Register)
        .join(Meter, Meter.id == Installation.meter_id)
        .join(Register, Register.meter_id == Meter.id)
        .where(Installation.service_point_id.in_(point_ids), Installation.removed_at.is_(None))
        .order_by(Register.id)
    )
    meters: dict[int, Document] = {}
    for installation, meter, register in rows:
        meter_document = meters.setdefault(
            installation.service_point_id,
            {
                "serial": meter.serial,
                "multiplier": f"{installation.multiplier.normalize():f}",
                "registers": [],
            },
        )
        meter_document["registers"].append(
            {
                "kind": register.kind,
                "integer_digits": register.integer_digits,
                "decimals": register.decimals,
            }
        )
    return meters


def load_read_orders(session: Session, ids: Sequence[str]) -> dict[str, Document]:
    """Tasks to read, with the limits made for each dial."""
    rows = session.execute(
        select(ReadOrder).where(ReadOrder.id.in_([int(i) for i in ids]))
    ).scalars()
    return {
        str(o.id): {
            "route_id": o.route_id,
            "service_point_id": o.service_point_id,
            "period": o.period,
            "reason": o.reason,
            "due": o.due.isoformat(),
            "status": o.status,
            "registers": o.expectations,
        }
        for o in rows
    }


COLLECTIONS: dict[str, Loader] = {
    "operator": load_operator,
    "code_list": load_code_lists,
    "rep": load_reps,
    "route": load_routes,
    "service_point": load_service_points,
    "read_order": load_read_orders,
}
