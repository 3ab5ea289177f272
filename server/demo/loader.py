"""Loads the demo's company into an empty system, in one transaction and a few bulk statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from server import clock, feed, founding
from server.billing.service import put_tariff, read_tariff_file
from server.billing.service.tariffs import SHIPPED
from server.db import Session
from server.demo import people, plan
from server.demo.history import write_balances, write_readings
from server.demo.households import read_consumption, read_homes
from server.demo.money import write_money
from server.demo.orders import open_next
from server.demo.plan import PlannedHome
from server.demo.plant import Point, write_plant
from server.identity.actor import SYSTEM
from server.identity.models import OrgUnit, Staff
from server.identity.service import add_staff
from server.metering.service import DialEntry, NewReading, record
from server.notify.service import put_gateway
from server.rounds.models import Route

SMSC = {
    "host": "127.0.0.1",
    "port": 2775,
    "system_id": "fieldbell",
    "password": "fieldbell",
    "source": "95598",
}
"""The simulated SMSC that ``make run`` starts."""


@dataclass(frozen=True)
class Loaded:
    """What was loaded: counts for people to read, and the true dials for the simulator."""

    homes: list[PlannedHome]
    readers: list[Staff]
    readings: int


def load(session: Session, password_hash: str) -> Loaded:
    """Found the demo's company and fill it; everybody signs in with the same password.

    Raises:
        Conflict: ``operator.exists`` when the system is not empty.
    """
    readers = _people(session, password_hash)
    today = clock.now().astimezone(ZoneInfo(people.TIME_ZONE))
    put_tariff(session, read_tariff_file(SHIPPED / "zhejiang-residential.yaml"))
    homes = plan.plan(read_homes(), read_consumption(), today)
    routes = _routes(session, readers, plan.reading_day(today))
    points = write_plant(session, homes, routes)
    readings = write_readings(session, homes, points)
    write_balances(session, homes, points)
    write_money(session, points)
    _touch(session, routes, points, readers)
    _misread(session, homes, points)
    open_next(session, today.date())
    put_gateway(session, "demo", "smpp", SMSC, simulated=True)
    return Loaded(homes, readers, readings)


def _misread(session: Session, homes: Sequence[PlannedHome], points: Sequence[Point]) -> None:
    """A customer has sent in a reading that cannot be right: two of its digits changed places."""
    for home, point in zip(homes, points, strict=True):
        if home.home.household == plan.MISREAD:
            last = home.readings[-1]
            wrong = Decimal(f"{last.value:05d}"[1::-1] + f"{last.value:05d}"[2:])
            reading = NewReading(
                service_point_id=point.id,
                meter_serial=home.serials[-1],
                registers=(DialEntry("total", min(wrong, Decimal(last.value - 90))),),
                read_at=clock.now() - timedelta(hours=20),
                source="customer",
                quality="customer",
                reason="09",
                note="客户自报示数",
            )
            record(session, [reading])


# --- people -------------------------------------------------------------------------------


def _people(session: Session, password_hash: str) -> list[Staff]:
    """Found the company and add its staff; the readers are returned in the order of routes."""
    chief = people.ADMINISTRATOR
    founded = founding.found(
        session,
        name=people.COMPANY,
        currency=people.CURRENCY,
        time_zone=people.TIME_ZONE,
        language=people.LANGUAGE,
        administrator=founding.Administrator(chief.username, chief.name, None, password_hash),
        is_demo=True,
    )
    units = {founding.ROOT_CODE: founded.root}
    for code, name in people.TEAMS:
        units[code] = OrgUnit(kind="crew", code=code, name=name, parent_id=founded.root.id)
        session.add(units[code])
    session.flush()
    staff = [
        add_staff(
            session,
            SYSTEM,
            username=person.username,
            name=person.name,
            password_hash=password_hash,
            roles=[person.role],
            org_unit_id=units[person.team].id,
            language=people.LANGUAGE,
        )
        for person in (*people.STAFF, *people.READERS)
    ]
    return staff[len(people.STAFF) :]


def _routes(session: Session, readers: Sequence[Staff], day: int) -> list[Route]:
    routes = [
        Route(
            book_no=f"B{number:02d}",
            name=name,
            scheduled_day=day,
            org_unit_id=reader.org_unit_id,
            reader_id=reader.id,
            read_and_bill=True,
        )
        for number, (name, reader) in enumerate(
            zip(people.ROUTE_NAMES, readers, strict=True), start=1
        )
    ]
    session.add_all(routes)
    session.flush()
    return routes


def _touch(
    session: Session, routes: Sequence[Route], points: Sequence[Point], readers: Sequence[Staff]
) -> None:
    """Tell the change feed of everything handhelds hold."""
    for reader in readers:
        feed.touch(session, f"user:{reader.id}", "rep", reader.id)
    for route in routes:
        feed.touch(session, f"route:{route.id}", "route", route.id)
    feed.touch_many(session, "service_point", ((f"route:{p.route_id}", p.id) for p in points))
