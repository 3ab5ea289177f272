"""A utility large enough to measure: points with open orders, a year-tier tariff, handhelds.

Everything is made from the point's number alone, so that two runs measure the same work.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from server import clock, founding
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
from server.billing.models import UsageYear
from server.billing.service import put_tariff, read_tariff_file
from server.billing.service.tariffs import SHIPPED
from server.db import Base, Session, insert_rows, take_ids, transaction
from server.feed import FeedEntry, FeedScope
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Device, Staff
from server.identity.rules import hash_secret, receipt_prefix
from server.metering.models import Reading, ReadOrder
from server.rounds.models import Route, RouteStop

TARIFF = "zhejiang-residential"
WALK = 200
"""Points that one handheld reads in a day."""
CHUNK = 2000
STEP = timedelta(seconds=45)
LAT_E7, LON_E7 = 312330000, 1214730000


@dataclass(frozen=True, slots=True)
class Target:
    """What a handheld needs to know to read one point."""

    order_id: int
    service_point_id: int
    serial: str
    value: int
    lat_e7: int
    lon_e7: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Handheld:
    """An enrolled handheld with its day's walk."""

    device_id: int
    token: str
    targets: tuple[Target, ...]


def build(points: int) -> list[Handheld]:
    """Fill an empty, migrated database and return the handhelds that will read it.

    Needs an app context. Every point has one open order of this month and a tariff with tiers of
    the calendar year, filled so far that some bills have two tiers.
    """
    morning = _morning(clock.now())
    with transaction() as session:
        readers = _found(session, -(-points // WALK))
    with transaction() as session:
        devices = _add_devices(session, readers)
        routes = _add_routes(session, readers)
    walks: list[list[Target]] = [[] for _ in readers]
    for start in range(0, points, CHUNK):
        with transaction() as session:
            numbers = range(start, min(start + CHUNK, points))
            for number, target in zip(
                numbers, _add_points(session, numbers, routes, morning), strict=True
            ):
                walks[number // WALK].append(target)
    with transaction() as session:
        _number_feed(session, routes, walks)
    return [
        Handheld(device_id, token, tuple(walk))
        for (device_id, token), walk in zip(devices, walks, strict=True)
    ]


def _morning(now: datetime) -> datetime:
    """Eight o'clock in Shanghai on the day before: every reading lies in working hours."""
    return (now - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _found(session: Session, routes: int) -> list[int]:
    """Set the system up and return one reader for each route."""
    founded = founding.found(
        session,
        name="测试电力",
        currency="CNY",
        time_zone="Asia/Shanghai",
        language="zh_Hans",
        administrator=founding.Administrator("admin", "管理员", None, "-"),
    )
    put_tariff(session, read_tariff_file(SHIPPED / f"{TARIFF}.yaml"))
    first = identity.add_staff(
        session,
        SYSTEM,
        username="reader0",
        name="抄表 0",
        password_hash="-",  # noqa: S106 - nobody signs in with this
        roles=["meter_reader"],
        org_unit_id=founded.root.id,
    )
    ids = take_ids(session, {Staff: routes - 1}).get(Staff, [])
    rows = [
        {
            "id": number,
            "created_at": clock.now(),
            "username": f"reader{number}",
            "name": f"抄表 {number}",
            "language": "zh_Hans",
            "org_unit_id": founded.root.id,
            "password": "-",
            "active": True,
            "fs_uniquifier": f"reader{number}",
        }
        for number in ids
    ]
    insert_rows(session, Staff, rows)
    return [first.id, *ids]


def _add_devices(session: Session, readers: list[int]) -> list[tuple[int, str]]:
    ids = take_ids(session, {Device: len(readers)})[Device]
    devices = [(number, f"fbd_benchmark_{number}") for number in ids]
    rows = [
        {
            "id": number,
            "created_at": clock.now(),
            "name": f"handheld {number}",
            "staff_id": reader,
            "status": "active",
            "install_id": f"benchmark-{number}",
            "token_hash": hash_secret(token),
            "receipt_prefix": receipt_prefix(n),
            "received_through": 0,
        }
        for n, ((number, token), reader) in enumerate(zip(devices, readers, strict=True))
    ]
    insert_rows(session, Device, rows)
    return devices


def _add_routes(session: Session, readers: list[int]) -> list[int]:
    ids = take_ids(session, {Route: len(readers)})[Route]
    root = session.get_one(Staff, readers[0]).org_unit_id
    rows = [
        {
            "id": number,
            "created_at": clock.now(),
            "book_no": f"B{number:05}",
            "name": f"路线 {number}",
            "read_cycle": "monthly",
            "org_unit_id": root,
            "reader_id": reader,
            "read_and_bill": True,
        }
        for number, reader in zip(ids, readers, strict=True)
    ]
    insert_rows(session, Route, rows)
    return ids


_MODELS: tuple[type[Base], ...] = (
    Customer,
    Contact,
    Account,
    Premise,
    Meter,
    Register,
    ServicePoint,
    Installation,
    RouteStop,
    Reading,
    ReadOrder,
)


def _add_points(
    session: Session, numbers: range, routes: list[int], morning: datetime
) -> list[Target]:
    """Write a chunk of points, table by table, and return what handhelds need of them."""
    wanted: dict[type[Base], int] = {model: len(numbers) for model in _MODELS}
    ids = take_ids(session, wanted)
    written: tuple[type[Base], ...] = (*_MODELS, UsageYear, FeedEntry)
    rows: dict[type[Base], list[dict[str, Any]]] = {model: [] for model in written}
    targets = []
    for i, number in enumerate(numbers):
        own = {model: ids[model][i] for model in wanted}
        point = _Point(number, own, routes[number // WALK], morning)
        for model, row in point.rows():
            rows[model].append(row)
        targets.append(point.target())
    for model, made in rows.items():
        insert_rows(session, model, made)
    return targets


class _Point:
    """The rows of one point."""

    def __init__(
        self, number: int, ids: dict[type[Base], int], route_id: int, morning: datetime
    ) -> None:
        self.number, self.ids, self.route_id = number, ids, route_id
        self.now = clock.now()
        chance = random.Random(number)
        self.previous = chance.randrange(1000, 90000)
        self.expected = chance.randrange(80, 400)
        self.value = self.previous + round(self.expected * chance.uniform(0.85, 1.2))
        self.used = chance.randrange(0, 3200)
        self.place = number % WALK
        self.read_at = morning + self.place * STEP
        self.lat_e7 = LAT_E7 + number // WALK * 50_000
        self.lon_e7 = LON_E7 + self.place * 2_000

    def target(self) -> Target:
        """What the handheld reads here."""
        return Target(
            self.ids[ReadOrder],
            self.ids[ServicePoint],
            f"M{self.number:07}",
            self.value,
            self.lat_e7,
            self.lon_e7,
            self.read_at,
        )

    def rows(self) -> Iterator[tuple[type[Base], dict[str, Any]]]:
        """Every row of the point with its table, parents before children."""
        yield from self._customer()
        yield from self._plant()
        yield from self._work()

    def _row(self, model: type[Base], **values: Any) -> tuple[type[Base], dict[str, Any]]:
        return model, {"id": self.ids[model], "created_at": self.now, **values}

    def _customer(self) -> Iterator[tuple[type[Base], dict[str, Any]]]:
        n, ids = self.number, self.ids
        yield self._row(
            Customer,
            customer_no=f"C{n:07}",
            name=f"客户 {n}",
            customer_class="residential",
            attributes={},
        )
        yield self._row(
            Contact,
            customer_id=ids[Customer],
            name=f"客户 {n}",
            kind="holder",
            phone=f"+86120{n:08}",
            language="zh_Hans",
            consent={},
            verified=True,
            is_default=True,
        )
        yield self._row(
            Account,
            account_no=f"A{n:07}",
            customer_id=ids[Customer],
            account_class="residential",
            mode="postpaid",
            status="active",
            tariff_code=TARIFF,
        )
        quantity = Decimal(self.used)
        year = {"account_id": ids[Account], "year": self.read_at.year}
        yield UsageYear, {**year, "opening": quantity, "quantity": quantity}

    def _plant(self) -> Iterator[tuple[type[Base], dict[str, Any]]]:
        n, ids = self.number, self.ids
        yield self._row(
            Premise,
            premise_no=f"P{n:07}",
            address=f"南京路{n}号",
            lat_e7=self.lat_e7,
            lon_e7=self.lon_e7,
            datum="wgs84",
            position_source="survey",
            position_confidence="high",
        )
        yield self._row(Meter, serial=f"M{n:07}", status="in_service")
        yield self._row(Register, meter_id=ids[Meter], kind="total", integer_digits=6, decimals=0)
        yield self._row(
            ServicePoint,
            point_no=f"S{n:07}",
            premise_id=ids[Premise],
            account_id=ids[Account],
            status="active",
        )
        yield self._row(
            Installation,
            meter_id=ids[Meter],
            service_point_id=ids[ServicePoint],
            multiplier=Decimal(1),
            installed_at=self.read_at - timedelta(days=700),
        )

    def _work(self) -> Iterator[tuple[type[Base], dict[str, Any]]]:
        ids, last = self.ids, self.read_at - timedelta(days=30)
        yield self._row(
            RouteStop,
            route_id=self.route_id,
            sequence=self.place + 1,
            kind="service_point",
            subject_id=ids[ServicePoint],
        )
        yield self._row(
            Reading,
            service_point_id=ids[ServicePoint],
            installation_id=ids[Installation],
            register_id=ids[Register],
            register_kind="total",
            meter_serial=f"M{self.number:07}",
            value=Decimal(self.previous),
            read_at=last,
            quality="regular",
            reason="01",
            source="import",
            status="confirmed",
            confirmed_at=last,
        )
        yield self._row(
            ReadOrder,
            service_point_id=ids[ServicePoint],
            route_id=self.route_id,
            period=f"{self.read_at:%Y-%m}",
            reason="01",
            due=self.read_at.date(),
            status="open",
            expectations={"total": self._expectation()},
        )
        for k, (collection, model) in enumerate(
            (("service_point", ServicePoint), ("read_order", ReadOrder))
        ):
            yield (
                FeedEntry,
                {
                    "scope": f"route:{self.route_id}",
                    "collection": collection,
                    "document_id": str(ids[model]),
                    "seq": 2 * self.place + k + 1,
                    "deleted": False,
                },
            )

    def _expectation(self) -> dict[str, str]:
        return {
            "previous": str(self.previous),
            "expected": str(self.expected),
            "low": str(round(self.expected * 0.6)),
            "high": str(round(self.expected * 1.65)),
            "days": "30",
        }


def _number_feed(session: Session, routes: list[int], walks: list[list[Target]]) -> None:
    """The counter of every route's scope stands at its last entry."""
    rows = [
        {"scope": f"route:{route}", "seq": 2 * len(walk)}
        for route, walk in zip(routes, walks, strict=True)
    ]
    insert_rows(session, FeedScope, rows)
