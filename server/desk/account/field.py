"""What the field knows of an account: its points, readings with photos and place, what waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Text, and_, cast, or_, select, true

from server.accounts.models import (
    Installation,
    Meter,
    NetworkNode,
    Premise,
    ServicePoint,
    ServicePointNode,
)
from server.capture.models import Attachment, CaptureEvent
from server.db import Session, among
from server.desk.account.cut import Cut, cut
from server.geo import fast_distance_e7
from server.identity.models import Staff
from server.metering.models import Consumption, Reading, ReadOrder
from server.review import ReviewItem
from server.rounds.models import Route
from server.rounds.scope import Scope

POINTS = 20
READINGS = 8
WAITING = 10


@dataclass(frozen=True)
class Point:
    """A service point with its premise, its present meter and its place in the network."""

    id: int
    point_no: str
    status: str
    address: str
    location_hint: str | None
    hazards: str | None
    lat_e7: int | None
    lon_e7: int | None
    meter: str | None
    multiplier: Decimal | None
    node: str | None


@dataclass(frozen=True)
class Photo:
    """A photo or document of a reading that has come."""

    id: int
    type: str
    name: str


@dataclass(frozen=True)
class Read:
    """A reading with its use, who took it, how far from the premise, and its photos."""

    id: int
    point_id: int
    register: str
    value: Decimal | None
    quantity: Decimal | None
    read_at: datetime
    status: str
    quality: str
    source: str
    code: str | None
    reader: str | None
    lat_e7: int | None
    lon_e7: int | None
    capture: UUID | None
    distance_m: float | None = None
    photos: Sequence[Photo] = ()


@dataclass(frozen=True)
class Order:
    """A reading that is to be taken: for which period, until when, on which route."""

    id: int
    point_no: str
    period: str
    reason: str
    due: date
    status: str
    route_id: int | None
    book_no: str | None


@dataclass(frozen=True)
class Item:
    """Something about the account that waits for a person's decision."""

    id: int
    kind: str
    reason: str
    subject_type: str
    subject_id: str
    since: datetime


def points(session: Session, account_id: int) -> Cut[Point]:
    """The service points of an account, by number."""
    rows = session.execute(
        select(
            ServicePoint.id,
            ServicePoint.point_no,
            ServicePoint.status,
            Premise.address,
            ServicePoint.location_hint,
            ServicePoint.hazards,
            Premise.lat_e7,
            Premise.lon_e7,
            Meter.serial,
            Installation.multiplier,
            NetworkNode.name,
        )
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .outerjoin(
            Installation,
            and_(
                Installation.service_point_id == ServicePoint.id, Installation.removed_at.is_(None)
            ),
        )
        .outerjoin(Meter, Meter.id == Installation.meter_id)
        .outerjoin(
            ServicePointNode,
            and_(
                ServicePointNode.service_point_id == ServicePoint.id,
                ServicePointNode.valid_to.is_(None),
            ),
        )
        .outerjoin(NetworkNode, NetworkNode.id == ServicePointNode.node_id)
        .where(ServicePoint.account_id == account_id)
        .order_by(ServicePoint.point_no)
        .limit(POINTS + 1)
    )
    return cut((Point(*row) for row in rows), POINTS)


def readings(session: Session, found: Sequence[Point], captures: Scope | None) -> Cut[Read]:
    """The newest readings of these points; photos only of captures in the scope."""
    rows = session.execute(
        select(
            Reading.id,
            Reading.service_point_id,
            Reading.register_kind,
            Reading.value,
            Consumption.quantity,
            Reading.read_at,
            Reading.status,
            Reading.quality,
            Reading.source,
            Reading.code,
            Staff.name,
            Reading.lat_e7,
            Reading.lon_e7,
            Reading.capture_uuid,
        )
        .outerjoin(
            Consumption,
            and_(Consumption.reading_id == Reading.id, Consumption.status != "superseded"),
        )
        .outerjoin(Staff, Staff.id == Reading.staff_id)
        .where(among(Reading.service_point_id, [point.id for point in found]))
        .order_by(Reading.read_at.desc(), Reading.id.desc())
        .limit(READINGS + 1)
    )
    shown = cut((Read(*tuple(row)) for row in rows), READINGS)
    places = {point.id: point for point in found}
    photos = _photos(session, [read.capture for read in shown.rows if read.capture], captures)
    return Cut(
        tuple(
            replace(
                read,
                distance_m=_distance(read, places[read.point_id]),
                photos=photos.get(read.capture, ()) if read.capture else (),
            )
            for read in shown.rows
        ),
        shown.more,
    )


def _distance(read: Read, point: Point) -> float | None:
    """Metres between where the reading was taken and the premise."""
    if None in (read.lat_e7, read.lon_e7, point.lat_e7, point.lon_e7):
        return None
    return fast_distance_e7(read.lat_e7, read.lon_e7, point.lat_e7, point.lon_e7)  # type: ignore[arg-type]


def _photos(
    session: Session, captures: Collection[UUID], seen: Scope | None
) -> Mapping[UUID, list[Photo]]:
    """The files of captures that were taken by visible people and have come."""
    found: dict[UUID, list[Photo]] = defaultdict(list)
    if seen is None:
        return found
    who = (
        true() if seen.sees_all else CaptureEvent.staff_id.in_(select(Staff.id).where(seen.staff()))
    )
    rows = session.execute(
        select(Attachment.capture_uuid, Attachment.id, Attachment.type, Attachment.name)
        .join(CaptureEvent, CaptureEvent.uuid == Attachment.capture_uuid)
        .where(Attachment.capture_uuid.in_(captures), Attachment.status == "received", who)
        .order_by(Attachment.position)
    )
    for uuid, number, kind, name in rows:
        found[uuid].append(Photo(number, kind, name))
    return found


def orders(session: Session, point_ids: Collection[int]) -> Cut[Order]:
    """The readings that are still to be taken or decided."""
    rows = session.execute(
        select(
            ReadOrder.id,
            ServicePoint.point_no,
            ReadOrder.period,
            ReadOrder.reason,
            ReadOrder.due,
            ReadOrder.status,
            ReadOrder.route_id,
            Route.book_no,
        )
        .join(ServicePoint, ServicePoint.id == ReadOrder.service_point_id)
        .outerjoin(Route, Route.id == ReadOrder.route_id)
        .where(among(ReadOrder.service_point_id, point_ids), ReadOrder.status.in_(("open", "held")))
        .order_by(ReadOrder.due, ReadOrder.id)
        .limit(WAITING + 1)
    )
    return cut((Order(*row) for row in rows), WAITING)


def waiting(
    session: Session, seen: Scope, account_id: int, point_ids: Collection[int]
) -> Cut[Item]:
    """Open review items about the account, its points or its held readings."""
    held = select(cast(Reading.id, Text)).where(
        among(Reading.service_point_id, point_ids), Reading.status == "held"
    )
    subjects: list[Any] = [
        _about("account", ReviewItem.subject_id == str(account_id)),
        _about("service_point", ReviewItem.subject_id.in_([str(i) for i in point_ids])),
        _about("reading", ReviewItem.subject_id.in_(held)),
    ]
    rows = session.execute(
        select(
            ReviewItem.id,
            ReviewItem.kind,
            ReviewItem.reason,
            ReviewItem.subject_type,
            ReviewItem.subject_id,
            ReviewItem.created_at,
        )
        .where(ReviewItem.status == "open", seen.review_items(), or_(*subjects))
        .order_by(ReviewItem.created_at, ReviewItem.id)
        .limit(WAITING + 1)
    )
    return cut((Item(*row) for row in rows), WAITING)


def _about(kind: str, which: Any) -> Any:
    return and_(ReviewItem.subject_type == kind, which)
