"""What has to be known to judge a batch of captures, read with one statement per subject."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from server.accounts.models import Account, Installation, Meter, Premise, Register, ServicePoint
from server.db import Session
from server.identity.models import Staff
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.rules.checks import ACTUAL_QUALITIES, ESTIMATE_QUALITIES
from server.metering.rules.consumption import Dial
from server.metering.rules.expectation import PastUse
from server.rounds.models import Route, RouteStop

_LONG_AGO = datetime.fromisoformat("1900-01-01T00:00:00+00:00")
_HISTORY = timedelta(days=430)
_BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Point:
    """A service point with what billing and review need to know of it."""

    id: int
    active: bool
    account_id: int
    account_class: str
    lat_e7: int | None
    lon_e7: int | None
    route_id: int | None
    org_unit_id: int | None
    read_and_bill: bool


@dataclass(frozen=True, slots=True)
class Plant:
    """An installation at a point: the meter, its registers by kind, the factor, from, to."""

    installation_id: int
    service_point_id: int
    serial: str
    multiplier: Decimal
    installed_at: datetime
    removed_at: datetime | None
    registers: Mapping[str, tuple[int, Dial]]

    def in_force(self, at: datetime) -> bool:
        """Tell whether this meter hung here at an instant."""
        return self.installed_at <= at and (self.removed_at is None or at < self.removed_at)


@dataclass(slots=True)
class Order:
    """A read order as far as judging needs it."""

    id: int
    service_point_id: int
    route_id: int | None
    reason: str
    status: str
    due: object
    expectations: Mapping[str, Mapping[str, str]]


@dataclass(slots=True, order=True)
class Mark:
    """A reading on the time line of its register."""

    read_at: datetime
    reading_id: int
    value: Decimal = field(compare=False)
    confirmed: bool = field(compare=False, default=True)
    actual: bool = field(compare=False, default=True)
    order_id: int | None = field(compare=False, default=None)
    consumption_id: int | None = field(compare=False, default=None)
    billed: bool = field(compare=False, default=False)


class Timeline:
    """The readings of one register in the order they were read, whenever they arrived."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._confirmed: list[Mark] = []
        self._held: list[Mark] = []
        for mark in marks:
            self.add(mark)

    def add(self, mark: Mark) -> None:
        """Put a reading in its place."""
        insort(self._confirmed if mark.confirmed else self._held, mark)

    def remove(self, reading_id: int) -> Mark | None:
        """Take a reading out and return it."""
        for marks in (self._confirmed, self._held):
            for mark in marks:
                if mark.reading_id == reading_id:
                    marks.remove(mark)
                    return mark
        return None

    def before(self, at: datetime) -> Mark | None:
        """The latest confirmed reading before an instant."""
        index = bisect_left(self._confirmed, at, key=_read_at)
        return self._confirmed[index - 1] if index else None

    def after(self, at: datetime) -> Mark | None:
        """The earliest confirmed reading after an instant."""
        index = bisect_right(self._confirmed, at, key=_read_at)
        return self._confirmed[index] if index < len(self._confirmed) else None

    def at(self, at: datetime) -> Mark | None:
        """The confirmed reading of exactly this instant."""
        index = bisect_left(self._confirmed, at, key=_read_at)
        found = self._confirmed[index] if index < len(self._confirmed) else None
        return found if found is not None and found.read_at == at else None

    def held_since(self, start: datetime | None, end: datetime, order_id: int | None) -> bool:
        """Tell whether a reading of another order is held between two instants."""
        return any(
            (start is None or mark.read_at > start)
            and mark.read_at < end
            and (order_id is None or mark.order_id != order_id)
            for mark in self._held
        )

    def confirmed_for(self, order_id: int) -> bool:
        """Tell whether an order has a confirmed reading of this register."""
        return any(mark.order_id == order_id for mark in self._confirmed)


def _read_at(mark: Mark) -> datetime:
    return mark.read_at


def ids(values: Iterable[int | None]) -> set[int]:
    """The values that can be keys at all; what a sender makes up may be of any size."""
    return {value for value in values if value is not None and 0 < value <= _BIGGEST_ID}


def load_points(session: Session, ids: Collection[int]) -> dict[int, Point]:
    """The service points of a batch, locked in the order of their ids.

    The lock makes everything that happens to the readings of a point one after the other.
    """
    if not ids:
        return {}
    statement = (
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
        )
        .join(Account, Account.id == ServicePoint.account_id)
        .join(Premise, Premise.id == ServicePoint.premise_id)
        .outerjoin(
            RouteStop,
            and_(RouteStop.kind == "service_point", RouteStop.subject_id == ServicePoint.id),
        )
        .outerjoin(Route, Route.id == RouteStop.route_id)
        .where(ServicePoint.id.in_(sorted(ids)))
        .order_by(ServicePoint.id)
        .with_for_update(of=ServicePoint, key_share=True)
    )
    return {
        row[0]: Point(row[0], row[1] == "active", *row[2:8], bool(row[8]))
        for row in session.execute(statement)
    }


def load_plant(session: Session, point_ids: Collection[int]) -> dict[int, list[Plant]]:
    """Every installation of the points, by point, the earliest first."""
    if not point_ids:
        return {}
    rows = session.execute(
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
        .join(Meter, Meter.id == Installation.meter_id)
        .join(Register, Register.meter_id == Meter.id)
        .where(Installation.service_point_id.in_(sorted(point_ids)))
        .order_by(Installation.service_point_id, Installation.installed_at, Register.id)
    )
    registers: dict[int, dict[str, tuple[int, Dial]]] = defaultdict(dict)
    heads: dict[int, tuple[int, int, str, Decimal, datetime, datetime | None]] = {}
    for row in rows:
        heads[row[0]] = (row[0], row[1], row[2], row[3], row[4], row[5])
        registers[row[0]][row[7]] = (row[6], Dial(row[7], row[8], row[9]))
    plant: dict[int, list[Plant]] = defaultdict(list)
    for installation_id, head in heads.items():
        plant[head[1]].append(Plant(*head, registers[installation_id]))
    return plant


def load_orders(
    session: Session, ids: Collection[int], point_ids: Collection[int]
) -> dict[int, Order]:
    """The named orders and the periodic orders that wait at the points."""
    if not ids and not point_ids:
        return {}
    rows = session.execute(
        select(
            ReadOrder.id,
            ReadOrder.service_point_id,
            ReadOrder.route_id,
            ReadOrder.reason,
            ReadOrder.status,
            ReadOrder.due,
            ReadOrder.expectations,
        ).where(
            or_(
                ReadOrder.id.in_(sorted(ids)),
                and_(
                    ReadOrder.service_point_id.in_(sorted(point_ids)),
                    ReadOrder.status.in_(("open", "held", "skipped")),
                    ReadOrder.reason == "01",
                ),
            )
        )
    )
    return {row[0]: Order(*row) for row in rows}


def load_timelines(
    session: Session, register_ids: Collection[int], start: datetime
) -> dict[int, Timeline]:
    """The readings of registers from the last confirmed one before ``start`` on.

    Held rows that only doubled a confirmed reading do not stand in the way of later ones.
    """
    timelines: dict[int, Timeline] = defaultdict(Timeline)
    if not register_ids:
        return timelines
    earlier = aliased(Reading)
    last_before = (
        select(func.max(earlier.read_at))
        .where(
            earlier.register_id == Register.id,
            earlier.status == "confirmed",
            earlier.read_at < start,
        )
        .correlate(Register)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Register.id,
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
        .select_from(Register)
        .join(
            Reading,
            and_(
                Reading.register_id == Register.id,
                Reading.status.in_(("confirmed", "held")),
                Reading.read_at >= func.coalesce(last_before, _LONG_AGO),
                or_(Reading.code.is_(None), Reading.code != "reading.duplicate"),
            ),
        )
        .outerjoin(
            Consumption,
            and_(Consumption.reading_id == Reading.id, Consumption.status != "superseded"),
        )
        .where(Register.id.in_(sorted(register_ids)), Reading.value.is_not(None))
    )
    for register_id, at, reading_id, value, status, quality, order_id, used, bill, state in rows:
        if value is None:
            continue
        timelines[register_id].add(
            Mark(
                at,
                reading_id,
                value,
                status == "confirmed",
                quality in ACTUAL_QUALITIES,
                order_id,
                used,
                bill is not None or state == "settled",
            )
        )
    return timelines


def load_history(
    session: Session, point_ids: Collection[int], start: datetime
) -> dict[tuple[int, str], list[PastUse]]:
    """What points used in the fourteen months before ``start``, by (point, register kind)."""
    if not point_ids:
        return {}
    return _history(session, _uses_since(start).where(_point.in_(sorted(point_ids))))


def load_history_of_routes(
    session: Session, route_ids: Collection[int], start: datetime
) -> dict[tuple[int, str], list[PastUse]]:
    """As :func:`load_history`, for every service point of routes."""
    stop = and_(RouteStop.kind == "service_point", RouteStop.subject_id == _point)
    statement = _uses_since(start).join(RouteStop, stop)
    return _history(session, statement.where(RouteStop.route_id.in_(sorted(route_ids))))


_point = Consumption.service_point_id


def _uses_since(start: datetime) -> Select[int, str, datetime, datetime, Decimal, str]:
    return (
        select(
            _point,
            Consumption.register_kind,
            Consumption.from_at,
            Consumption.to_at,
            Consumption.quantity,
            Reading.quality,
        )
        .join(Reading, Reading.id == Consumption.reading_id)
        .where(Consumption.status != "superseded", Consumption.to_at >= start - _HISTORY)
    )


def _history(
    session: Session, statement: Select[int, str, datetime, datetime, Decimal, str]
) -> dict[tuple[int, str], list[PastUse]]:
    history: dict[tuple[int, str], list[PastUse]] = defaultdict(list)
    for point_id, kind, from_at, to_at, quantity, quality in session.execute(statement):
        actual = quality in ACTUAL_QUALITIES
        history[point_id, kind].append(PastUse(from_at, to_at, quantity, actual))
    return history


def load_last_places(
    session: Session, staff_ids: Collection[int], before: datetime
) -> dict[int, tuple[datetime, int | None, int | None]]:
    """When and where each rep read last within the day before an instant."""
    if not staff_ids:
        return {}
    earlier = aliased(Reading)
    last = (
        select(func.max(earlier.read_at))
        .where(
            earlier.staff_id == Staff.id,
            earlier.read_at < before,
            earlier.read_at >= before - timedelta(days=1),
        )
        .correlate(Staff)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Staff.id, Reading.read_at, Reading.lat_e7, Reading.lon_e7)
        .select_from(Staff)
        .join(Reading, and_(Reading.staff_id == Staff.id, Reading.read_at == last))
        .where(Staff.id.in_(sorted(staff_ids)))
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def load_estimates(session: Session, register_ids: Collection[int]) -> dict[int, int]:
    """How many estimates each register has had since its last actual reading."""
    if not register_ids:
        return {}
    actual = aliased(Reading)
    last_actual = (
        select(func.max(actual.read_at))
        .where(
            actual.register_id == Reading.register_id,
            actual.status == "confirmed",
            actual.quality.in_(ACTUAL_QUALITIES),
        )
        .correlate(Reading)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Reading.register_id, func.count())
        .where(
            Reading.register_id.in_(sorted(register_ids)),
            Reading.status == "confirmed",
            Reading.quality.in_(ESTIMATE_QUALITIES),
            Reading.read_at > func.coalesce(last_actual, _LONG_AGO),
        )
        .group_by(Reading.register_id)
    )
    return {register_id: count for register_id, count in rows if register_id is not None}


@dataclass(frozen=True, slots=True)
class Target:
    """A stored reading that a capture wants to take back."""

    reading_id: int
    capture_uuid: UUID
    register_id: int | None
    register_kind: str
    service_point_id: int | None
    staff_id: int | None
    status: str
    read_at: datetime
    order_id: int | None
    consumption_id: int | None
    billed: bool


def load_targets(session: Session, uuids: Sequence[UUID]) -> dict[UUID, list[Target]]:
    """The stored readings of captures that are to be taken back."""
    targets: dict[UUID, list[Target]] = defaultdict(list)
    if not uuids:
        return targets
    rows = session.execute(
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
            Consumption.bill_id,
        )
        .outerjoin(
            Consumption,
            and_(Consumption.reading_id == Reading.id, Consumption.status != "superseded"),
        )
        .where(Reading.capture_uuid.in_(uuids))
    )
    for row in rows:
        uuid = row[1]
        if uuid is not None:
            targets[uuid].append(Target(row[0], uuid, *row[2:10], billed=row[10] is not None))
    return targets
