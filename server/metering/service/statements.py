"""The statements of metering, built once: parameters are bound, never rendered.

Every statement reads what a whole batch needs. Lists of ids are bound as ``ids``, ``point_ids``
and the like.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BindParameter, and_, bindparam, func, or_, select
from sqlalchemy.orm import aliased

from server.accounts.models import Account, Installation, Meter, Premise, Register, ServicePoint
from server.db import UtcDateTime, among, many_ids
from server.identity.models import Staff
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.rules.findings import ACTUAL_QUALITIES, ESTIMATE_QUALITIES
from server.rounds.models import Route, RouteStop

LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)

_earlier = aliased(Reading)


def _at(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcDateTime())


_stop = and_(RouteStop.kind == "service_point", RouteStop.subject_id == ServicePoint.id)

POINTS = (
    select(
        ServicePoint.id,
        ServicePoint.status,
        ServicePoint.account_id,
        Account.account_class,
        Premise.lat_e7,
        Premise.lon_e7,
        Route.id,
        Route.org_unit_id,
        Route.read_and_bill,
        Route.reader_id,
    )
    .select_from(ServicePoint)
    .join(Account, Account.id == ServicePoint.account_id)
    .join(Premise, Premise.id == ServicePoint.premise_id)
    .outerjoin(RouteStop, _stop)
    .outerjoin(Route, Route.id == RouteStop.route_id)
    .where(among(ServicePoint.id, many_ids("ids")))
    .order_by(ServicePoint.id)
    .with_for_update(of=ServicePoint, key_share=True)
)

PLANT = (
    select(
        Installation.id,
        Installation.service_point_id,
        Meter.serial,
        Installation.multiplier,
        Installation.installed_at,
        Installation.removed_at,
        Register.id,
        Register.kind,
        Register.integer_digits,
        Register.decimals,
    )
    .select_from(Installation)
    .join(Meter, Meter.id == Installation.meter_id)
    .join(Register, Register.meter_id == Meter.id)
    .where(among(Installation.service_point_id, many_ids("ids")))
    .order_by(Installation.service_point_id, Installation.installed_at, Register.id)
)

ORDERS = select(
    ReadOrder.id,
    ReadOrder.service_point_id,
    ReadOrder.route_id,
    ReadOrder.reason,
    ReadOrder.status,
    ReadOrder.expectations,
).where(
    or_(
        among(ReadOrder.id, many_ids("ids")),
        and_(
            among(ReadOrder.service_point_id, many_ids("point_ids")),
            ReadOrder.status.in_(("open", "held", "skipped")),
            ReadOrder.reason == "01",
        ),
    )
)

_last_before = (
    select(func.max(_earlier.read_at))
    .where(
        _earlier.register_id == Register.id,
        _earlier.status == "confirmed",
        _earlier.read_at < _at("start"),
    )
    .correlate(Register)
    .scalar_subquery()
)

LAST_BEFORE = select(Register.id, _last_before).where(among(Register.id, many_ids("ids")))
"""The time of the last confirmed reading of each register before ``start``."""

TIMELINES = (
    select(
        Reading.register_id,
        Reading.read_at,
        Reading.id,
        Reading.value,
        Reading.status,
        Reading.quality,
        Reading.order_id,
        Consumption.id,
        Consumption.bill_id,
        Consumption.status,
    )
    .select_from(Reading)
    .outerjoin(
        Consumption,
        and_(Consumption.reading_id == Reading.id, Consumption.status != "superseded"),
    )
    .where(
        among(Reading.register_id, many_ids("ids")),
        Reading.read_at >= _at("since"),
        Reading.status.in_(("confirmed", "held")),
        or_(Reading.code.is_(None), Reading.code != "reading.duplicate"),
        Reading.value.is_not(None),
    )
)
"""The readings of registers from an instant on. A bound instant, not a join with LAST_BEFORE:
PostgreSQL would read the whole history of the registers. Held rows that only doubled a
confirmed reading do not stand in the way of later ones."""

HISTORY = (
    select(
        Consumption.service_point_id,
        Consumption.register_kind,
        Consumption.from_at,
        Consumption.to_at,
        Consumption.quantity,
        Reading.quality,
    )
    .select_from(Consumption)
    .join(Reading, Reading.id == Consumption.reading_id)
    .where(
        among(Consumption.service_point_id, many_ids("ids")),
        Consumption.to_at >= _at("since"),
        Consumption.status != "superseded",
    )
)

_last_of_staff = (
    select(func.max(_earlier.read_at))
    .where(
        _earlier.staff_id == Staff.id,
        _earlier.read_at < _at("before"),
        _earlier.read_at >= _at("since"),
    )
    .correlate(Staff)
    .scalar_subquery()
)

LAST_PLACES = (
    select(Staff.id, Reading.read_at, Reading.lat_e7, Reading.lon_e7)
    .select_from(Staff)
    .join(Reading, and_(Reading.staff_id == Staff.id, Reading.read_at == _last_of_staff))
    .where(among(Staff.id, many_ids("ids")))
)

_last_actual = (
    select(func.max(_earlier.read_at))
    .where(
        _earlier.register_id == Reading.register_id,
        _earlier.status == "confirmed",
        _earlier.quality.in_(ACTUAL_QUALITIES),
    )
    .correlate(Reading)
    .scalar_subquery()
)

ESTIMATES = (
    select(Reading.register_id, func.count())
    .where(
        among(Reading.register_id, many_ids("ids")),
        Reading.status == "confirmed",
        Reading.quality.in_(ESTIMATE_QUALITIES),
        Reading.read_at > func.coalesce(_last_actual, _at("long_ago")),
    )
    .group_by(Reading.register_id)
)

_next_use = aliased(Consumption)

TARGETS = (
    select(
        Reading.id,
        Reading.capture_uuid,
        Reading.register_id,
        Reading.register_kind,
        Reading.service_point_id,
        Reading.staff_id,
        Reading.status,
        Reading.read_at,
        Reading.order_id,
        Consumption.id,
        func.coalesce(Consumption.bill_id, _next_use.bill_id),
        Reading.reason,
        Reading.value,
    )
    .select_from(Reading)
    .outerjoin(
        Consumption,
        and_(Consumption.reading_id == Reading.id, Consumption.status != "superseded"),
    )
    .outerjoin(
        _next_use,
        and_(
            _next_use.previous_reading_id == Reading.id,
            _next_use.status == "active",
            _next_use.bill_id.is_not(None),
        ),
    )
)
"""Stored rows of captures, with the bill that charges the use before or after them."""

TARGETS_OF_CAPTURES = TARGETS.where(Reading.capture_uuid.in_(bindparam("uuids", expanding=True)))
