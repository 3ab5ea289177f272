"""A small utility for tests: points with meters on one route, and captures of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import event, select

from server import clock, operator
from server.accounts.models import (
    Account,
    Contact,
    Customer,
    Installation,
    Meter,
    Premise,
    Register,
    ServicePoint,
)
from server.billing.service import put_tariff, read_tariff_file
from server.billing.service.tariffs import SHIPPED
from server.db import Session, db
from server.identity.actor import Actor
from server.identity.models import OrgUnit, Staff
from server.metering.models import Reading
from server.metering.service import DialEntry, NewReading
from server.rounds.models import Route, RouteStop

START = datetime(2026, 9, 30, 2, tzinfo=UTC)
NOW = datetime(2026, 10, 31, 3, tzinfo=UTC)
READER, OTHER = 1, 2


@dataclass
class World:
    """Ids of what the world holds; lists run in step with the points."""

    route_id: int
    points: list[int] = field(default_factory=list)
    accounts: list[int] = field(default_factory=list)
    installations: list[int] = field(default_factory=list)
    registers: list[dict[str, int]] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)

    def capture(self, index: int, value: int | str, at: datetime = NOW, **more: Any) -> NewReading:
        """A capture of one point's total."""
        given: dict[str, Any] = {
            "service_point_id": self.points[index],
            "meter_serial": self.serials[index],
            "registers": (DialEntry("total", Decimal(value)),),
            "read_at": at,
            "staff_id": READER,
        }
        return NewReading(**(given | more))


def boss() -> Actor:
    """Somebody who may release readings and has captured none."""
    return Actor(kind="staff", id=OTHER, name="王主管", staff_id=OTHER)


def build(
    session: Session,
    points: int = 1,
    *,
    start_value: int = 1000,
    digits: int = 5,
    multiplier: str = "1",
    kinds: tuple[str, ...] = ("total",),
    read_and_bill: bool = True,
) -> World:
    """Make a world whose meters were all read at ``START``."""
    clock.set(NOW)
    operator.found(session, "海东供电", "CNY", "Asia/Shanghai", "zh_Hans")
    put_tariff(session, read_tariff_file(SHIPPED / "zhejiang-residential.yaml"))
    unit = OrgUnit(kind="office", code="T", name="一所")
    session.add(unit)
    session.flush()
    for staff_id in (READER, OTHER):
        session.add(_staff(staff_id, unit.id))
    route = Route(
        book_no="1",
        name="一段",
        org_unit_id=unit.id,
        reader_id=READER,
        read_and_bill=read_and_bill,
    )
    session.add(route)
    session.flush()
    world = World(route.id)
    for index in range(points):
        _add_point(session, world, index, start_value, digits, Decimal(multiplier), kinds)
    return world


def _staff(staff_id: int, unit_id: int) -> Staff:
    return Staff(
        id=staff_id,
        username=f"reader{staff_id}",
        password="-",
        name=f"抄表员{staff_id}",
        language="zh_Hans",
        org_unit_id=unit_id,
        active=True,
        fs_uniquifier=f"u{staff_id}",
    )


def _add_point(
    session: Session,
    world: World,
    index: int,
    start_value: int,
    digits: int,
    multiplier: Decimal,
    kinds: tuple[str, ...],
) -> None:
    customer = Customer(customer_no=f"C{index}", name=f"客户 {index:03d}")
    premise = Premise(
        premise_no=f"P{index}", address="路 1 号", lat_e7=312000000, lon_e7=1214000000
    )
    meter = Meter(serial=f"E{index:05d}")
    session.add_all([customer, premise, meter])
    session.flush()
    account = Account(
        account_no=f"A{index}", customer_id=customer.id, tariff_code="zhejiang-residential"
    )
    phone = f"+8612000{index:06d}"
    session.add_all([account, Contact(customer_id=customer.id, name="户主", phone=phone)])
    session.flush()
    point = ServicePoint(point_no=f"M{index}", premise_id=premise.id, account_id=account.id)
    session.add(point)
    session.flush()
    installation = Installation(
        meter_id=meter.id,
        service_point_id=point.id,
        multiplier=multiplier,
        installed_at=START - timedelta(days=400),
    )
    registers = {
        kind: Register(meter_id=meter.id, kind=kind, integer_digits=digits) for kind in kinds
    }
    session.add_all([installation, *registers.values()])
    session.add(RouteStop(route_id=world.route_id, sequence=index, subject_id=point.id))
    session.flush()
    for kind, register in registers.items():
        session.add(
            first_reading(point.id, installation.id, register.id, meter.serial, kind, start_value)
        )
    session.flush()
    world.points.append(point.id)
    world.accounts.append(account.id)
    world.installations.append(installation.id)
    world.registers.append({kind: register.id for kind, register in registers.items()})
    world.serials.append(meter.serial)


def first_reading(
    point_id: int, installation_id: int, register_id: int, serial: str, kind: str, value: int
) -> Reading:
    """The reading every world starts with."""
    return Reading(
        service_point_id=point_id,
        installation_id=installation_id,
        register_id=register_id,
        register_kind=kind,
        meter_serial=serial,
        value=Decimal(value),
        read_at=START,
        source="import",
        status="confirmed",
        confirmed_at=START,
    )


def rows(session: Session, model: Any, **equal: Any) -> list[Any]:
    """The rows of a table, the oldest first."""
    statement = select(model).filter_by(**equal)
    ordered = statement.order_by(*model.__table__.primary_key.columns)
    return list(session.scalars(ordered.execution_options(populate_existing=True)))


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL statements sent while the block runs."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def october(day: int, hour: int = 2) -> datetime:
    """An instant in October 2026."""
    return datetime(2026, 10, day, hour, tzinfo=UTC)


DUE = date(2026, 10, 31)


def uuid(number: int) -> UUID:
    """A capture's id."""
    return UUID(int=number)
