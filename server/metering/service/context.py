"""What has to be known to judge a batch of captures, read with one statement per subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from server.db import Session, run
from server.metering.models import Reading
from server.metering.rules.consumption import Dial
from server.metering.rules.expectation import PastUse
from server.metering.rules.findings import ACTUAL_QUALITIES
from server.metering.service import statements
from server.metering.service.timeline import Mark, Timeline

_HISTORY = timedelta(days=430)
_DAY = timedelta(days=1)
_BIGGEST_ID = 2**63 - 1

History = dict[tuple[int, str], list[PastUse]]
"""Past uses by (service point, register kind)."""


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
    reader_id: int | None


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
    expectations: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """A stored reading that a capture wants to take back."""

    reading_id: int
    capture_uuid: UUID | None
    register_id: int | None
    register_kind: str
    service_point_id: int | None
    staff_id: int | None
    status: str
    read_at: datetime
    order_id: int | None
    consumption_id: int | None
    bill_id: int | None
    reason: str
    value: Decimal | None


def ids(values: Iterable[int | None]) -> set[int]:
    """The values that can be keys at all; what a sender makes up may be of any size."""
    return {value for value in values if value is not None and 0 < value <= _BIGGEST_ID}


def load_points(session: Session, point_ids: Collection[int]) -> dict[int, Point]:
    """The service points of a batch, locked in the order of their ids.

    The lock makes everything that happens to the readings of a point one after the other.
    """
    if not point_ids:
        return {}
    rows = run(session, statements.POINTS, {"ids": sorted(point_ids)})
    return {
        row[0]: Point(
            id=row[0],
            active=row[1] == "active",
            account_id=row[2],
            account_class=row[3],
            lat_e7=row[4],
            lon_e7=row[5],
            route_id=row[6],
            org_unit_id=row[7],
            read_and_bill=bool(row[8]),
            reader_id=row[9],
        )
        for row in rows
    }


def load_plant(session: Session, point_ids: Collection[int]) -> dict[int, list[Plant]]:
    """Every installation of the points, by point, the earliest first."""
    if not point_ids:
        return {}
    registers: dict[int, dict[str, tuple[int, Dial]]] = defaultdict(dict)
    plant: dict[int, list[Plant]] = defaultdict(list)
    for row in run(session, statements.PLANT, {"ids": sorted(point_ids)}):
        installation_id, point_id = row[0], row[1]
        if installation_id not in registers:
            plant[point_id].append(
                Plant(
                    installation_id,
                    point_id,
                    serial=row[2],
                    multiplier=row[3],
                    installed_at=row[4],
                    removed_at=row[5],
                    registers=registers[installation_id],
                )
            )
        registers[installation_id][row[7]] = (row[6], Dial(row[7], row[8], row[9]))
    return plant


def dials(plants: Mapping[int, Sequence[Plant]]) -> dict[int, tuple[Dial, Plant]]:
    """Every register of some points with its dial and installation."""
    return {
        register_id: (dial, plant)
        for hung in plants.values()
        for plant in hung
        for register_id, dial in plant.registers.values()
    }


def load_orders(
    session: Session, order_ids: Collection[int], point_ids: Collection[int]
) -> dict[int, Order]:
    """The named orders and the periodic orders that wait at the points."""
    if not order_ids and not point_ids:
        return {}
    wanted = {"ids": sorted(order_ids), "point_ids": sorted(point_ids)}
    return {row[0]: Order(*row) for row in run(session, statements.ORDERS, wanted)}


def load_timelines(
    session: Session, register_ids: Collection[int], start: datetime
) -> dict[int, Timeline]:
    """The readings of registers from the last confirmed one before ``start`` on."""
    timelines: dict[int, Timeline] = defaultdict(Timeline)
    if not register_ids:
        return timelines
    wanted = sorted(register_ids)
    last: Iterable[Any] = run(session, statements.LAST_BEFORE, {"ids": wanted, "start": start})
    since = min([start, *(at or start - _HISTORY for _, at in last)])
    rows: Iterable[Any] = run(session, statements.TIMELINES, {"ids": wanted, "since": since})
    for row in rows:
        register_id, at, reading_id, value, status, quality, order_id, used, bill, state = row
        mark = Mark(
            at,
            reading_id,
            value,
            confirmed=status == "confirmed",
            actual=quality in ACTUAL_QUALITIES,
            order_id=order_id,
            consumption_id=used,
            billed=bill is not None or state == "settled",
        )
        timelines[register_id].add(mark)
    return timelines


def load_history(session: Session, point_ids: Collection[int], start: datetime) -> History:
    """What points used in the fourteen months before ``start``."""
    if not point_ids:
        return {}
    history: History = defaultdict(list)
    rows = run(session, statements.HISTORY, {"ids": sorted(point_ids), "since": start - _HISTORY})
    for point_id, kind, from_at, to_at, quantity, quality in rows:
        actual = quality in ACTUAL_QUALITIES
        history[point_id, kind].append(PastUse(from_at, to_at, quantity, actual))
    return history


def load_last_places(
    session: Session, staff_ids: Collection[int], before: datetime
) -> dict[int, tuple[datetime, int | None, int | None]]:
    """When and where each rep read last within the day before an instant."""
    if not staff_ids:
        return {}
    wanted = {"ids": sorted(staff_ids), "before": before, "since": before - _DAY}
    rows = run(session, statements.LAST_PLACES, wanted)
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def load_estimates(session: Session, register_ids: Collection[int]) -> dict[int, int]:
    """How many estimates each register has had since its last actual reading."""
    if not register_ids:
        return {}
    wanted = {"ids": sorted(register_ids), "long_ago": statements.LONG_AGO}
    rows = run(session, statements.ESTIMATES, wanted)
    return {register_id: count for register_id, count in rows if register_id is not None}


def load_targets(session: Session, uuids: Sequence[UUID]) -> dict[UUID, list[Target]]:
    """The stored readings of captures that are to be taken back."""
    targets: dict[UUID, list[Target]] = defaultdict(list)
    if not uuids:
        return targets
    wanted = {"uuids": list(uuids)}
    rows: Iterable[Any] = session.execute(statements.TARGETS_OF_CAPTURES, wanted)
    for row in rows:
        targets[row[1]].append(Target(*row))
    return targets


def load_targets_where(session: Session, *conditions: ColumnElement[bool]) -> list[Target]:
    """The stored readings that fulfil conditions on ``reading``, in the order of their ids."""
    found: Iterable[Any] = session.execute(
        statements.TARGETS.where(*conditions).order_by(Reading.id)
    )
    return [Target(*row) for row in found]
