"""A small utility to test against: one team, one reader, one route of metered points."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask

from server import clock, feed, founding
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
from server.db import Session, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import OrgUnit
from server.metering.models import Reading, ReadOrder
from server.rounds.models import Route, RouteStop

INSTALLED = datetime(2025, 1, 1, tzinfo=UTC)
READ_AT = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 10, 0, tzinfo=UTC)
TARIFF = "zhejiang-residential"
LAT_E7, LON_E7 = 312330000, 1214730000


@dataclass
class Point:
    """One metered point with what tests ask of it."""

    service_point_id: int
    account_id: int
    account_no: str
    point_no: str
    serial: str
    phone: str
    order_id: int
    previous: Decimal


@dataclass
class World:
    """The ids of what :func:`build` made."""

    root_id: int
    team_id: int
    reader_id: int
    route_id: int
    device_id: int = 0
    token: str = ""
    points: list[Point] = field(default_factory=list)


def build(
    app: Flask,
    points: int = 3,
    *,
    now: datetime = NOW,
    phone_from: int = 8612000000000,
) -> World:
    """Found a system with a route of points, each with an open order, and enrol a handheld."""
    clock.set(now)
    with app.app_context():
        with transaction() as session:
            world = _found(session)
            put_tariff(session, read_tariff_file(SHIPPED / "zhejiang-residential.yaml"))
            _add_points(session, world, points, phone_from)
        with transaction() as session:
            _, code = identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))
        with transaction() as session:
            joined = identity.enrol(session, code, {"install_id": "test"})
            world.device_id, world.token = joined.device.id, joined.token
    return world


def _found(session: Session) -> World:
    founded = founding.found(
        session,
        name="测试电力",
        currency="CNY",
        time_zone="Asia/Shanghai",
        language="zh_Hans",
        administrator=founding.Administrator("admin", "管理员", None, "-"),
    )
    team = OrgUnit(kind="crew", code="team-1", name="一班", parent_id=founded.root.id)
    session.add(team)
    session.flush()
    reader = identity.add_staff(
        session,
        SYSTEM,
        username="reader",
        name="李抄表",
        password_hash="-",
        roles=["meter_reader"],
        org_unit_id=team.id,
    )
    route = Route(
        book_no="B1", name="南京路", org_unit_id=team.id, reader_id=reader.id, read_and_bill=True
    )
    session.add(route)
    session.flush()
    feed.touch(session, f"route:{route.id}", "route", route.id)
    feed.touch(session, f"user:{reader.id}", "rep", reader.id)
    return World(founded.root.id, team.id, reader.id, route.id)


def _add_points(session: Session, world: World, count: int, phone_from: int) -> None:
    """All points step by step, not one after the other: most tests begin here."""
    makings = [_add_point(session, world, n, f"+{phone_from + n}") for n in range(1, count + 1)]
    for _ in zip(*makings, strict=True):
        session.flush()


def _add_point(session: Session, world: World, n: int, phone: str) -> Iterator[None]:
    """Add the rows of one point, step by step; each step needs the ids of the one before."""
    customer = Customer(customer_no=f"C{n:04}", name=f"客户 {n:03}")
    session.add(customer)
    yield
    contact = Contact(customer_id=customer.id, name=customer.name, phone=phone, language="zh_Hans")
    account = Account(account_no=f"A{n:04}", customer_id=customer.id, tariff_code=TARIFF)
    premise = Premise(
        premise_no=f"P{n:04}",
        address=f"南京路{n}号",
        lat_e7=LAT_E7 + n * 1000,
        lon_e7=LON_E7,
        datum="wgs84",
        position_source="survey",
        position_confidence="high",
    )
    meter = Meter(serial=f"M{n:05}")
    session.add_all([contact, account, premise, meter])
    yield
    register = Register(meter_id=meter.id, kind="total", integer_digits=5, decimals=0)
    point = ServicePoint(point_no=f"S{n:04}", premise_id=premise.id, account_id=account.id)
    session.add_all([register, point])
    yield
    installation = Installation(
        meter_id=meter.id,
        service_point_id=point.id,
        multiplier=Decimal(1),
        installed_at=INSTALLED,
    )
    session.add_all(
        [
            installation,
            RouteStop(
                route_id=world.route_id, sequence=n, kind="service_point", subject_id=point.id
            ),
        ]
    )
    yield
    previous = Decimal(1000)
    session.add(
        Reading(
            service_point_id=point.id,
            installation_id=installation.id,
            register_id=register.id,
            register_kind="total",
            meter_serial=meter.serial,
            value=previous,
            read_at=clock.now() - timedelta(days=31),
            source="import",
            status="confirmed",
            confirmed_at=clock.now() - timedelta(days=31),
        )
    )
    order = ReadOrder(
        service_point_id=point.id,
        route_id=world.route_id,
        period=clock.now().strftime("%Y-%m"),
        reason="01",
        due=clock.now().date() + timedelta(days=4),
        expectations={
            "total": {
                "previous": "1000",
                "expected": "200",
                "low": "80",
                "high": "320",
                "days": "31",
            }
        },
    )
    session.add(order)
    yield
    scope = f"route:{world.route_id}"
    feed.touch(session, scope, "service_point", point.id)
    feed.touch(session, scope, "read_order", order.id)
    world.points.append(
        Point(
            service_point_id=point.id,
            account_id=account.id,
            account_no=account.account_no,
            point_no=point.point_no,
            serial=meter.serial,
            phone=phone,
            order_id=order.id,
            previous=previous,
        )
    )


# --- what a handheld sends ----------------------------------------------------------------


def reading(
    point: Point, value: object, seq: int = 1, *, at: datetime = READ_AT, **changes: Any
) -> dict[str, Any]:
    """A ``meter_reading.v1`` item; ``data`` in the changes is merged into the item's data."""
    item: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "seq": seq,
        "type": "meter_reading.v1",
        "captured_at": at.isoformat(),
        "gps": {"lat": 31.2331, "lon": 121.473, "accuracy_m": 6.0, "provider": "gnss"},
        "data": {
            "read_order": point.order_id,
            "service_point": point.service_point_id,
            "meter_serial": point.serial,
            "reason": "01",
            "registers": [{"kind": "total", "value": str(value)}],
        },
    }
    data = changes.pop("data", {})
    item.update(changes)
    item["data"].update(data)
    return item


def push_body(items: Sequence[Any], **more: Any) -> dict[str, Any]:
    """The envelope of a push."""
    return {
        "batch": str(uuid.uuid4()),
        "sent_at": clock.to_iso(clock.now()),
        "protocol": 1,
        "items": list(items),
        **more,
    }
