"""Customers, premises, the network and the meters of the demo, in one bulk insert for each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from server import clock
from server.accounts.models import (
    Account,
    Contact,
    Customer,
    Installation,
    Meter,
    NetworkNode,
    Premise,
    Register,
    ServicePoint,
    ServicePointNode,
)
from server.db import Base, Session, insert_rows, take_ids
from server.demo import people, plan
from server.demo.plan import PlannedHome
from server.rounds.models import Route, RouteStop

Row = dict[str, Any]

PHONES = "+861200000"
"""Customers' phones are these digits and four more: a range that only the simulator serves."""

MISPLACED_BY_E7 = 180_000
"""About two kilometres of latitude."""

LANGUAGE_EN_EVERY = 9
HINTS = ("一楼楼道电表箱", "院门内左侧", "楼梯间", None, "二楼配电间")
HAZARDS = {5: "院内有狗", 23: "楼道照明坏", 40: "院内有狗", 88: "配电间台阶湿滑"}


@dataclass(frozen=True)
class Point:
    """The ids of a home's rows that its history refers to."""

    id: int
    account_id: int
    route_id: int
    installation_ids: tuple[int, ...]
    register_ids: tuple[int, ...]


def write_plant(
    session: Session, homes: Sequence[PlannedHome], routes: Sequence[Route]
) -> list[Point]:
    """Write customers, accounts, premises, points and meters; one bulk insert for each table."""
    nodes = _network(session)
    meters = sum(len(home.serials) for home in homes)
    each = len(homes)
    ids = take_ids(
        session,
        {
            Customer: each,
            Account: each,
            Premise: each,
            ServicePoint: each,
            Meter: meters,
            Register: meters,
            Installation: meters,
        },
    )
    tables: dict[type[Base], list[Row]] = {model: [] for model in _ORDER}
    points = []
    for index, home in enumerate(homes):
        customer, account, premise, point = (
            ids[model][index] for model in (Customer, Account, Premise, ServicePoint)
        )
        _customer_rows(tables, home, customer, account)
        _place_rows(tables, home, premise, account, point, _node_of(home, nodes))
        taken = [
            (ids[Meter].pop(0), ids[Register].pop(0), ids[Installation].pop(0))
            for _ in home.serials
        ]
        _meter_rows(tables, home, point, taken)
        route = routes[home.home.route - 1]
        tables[RouteStop].append(
            {
                "route_id": route.id,
                "sequence": home.home.sequence * 10,
                "kind": "service_point",
                "subject_id": point,
            }
        )
        points.append(
            Point(point, account, route.id, tuple(t[2] for t in taken), tuple(t[1] for t in taken))
        )
    for model in _ORDER:
        rows = [{**row, "created_at": clock.now()} for row in tables[model]]
        insert_rows(session, model, rows)
    return points


_ORDER: tuple[type[Base], ...] = (
    Customer,
    Contact,
    Account,
    Premise,
    ServicePoint,
    ServicePointNode,
    Meter,
    Register,
    Installation,
    RouteStop,
)


def _network(session: Session) -> list[int]:
    """One substation, two feeders, six transformer areas; the ids of the transformers."""
    substation = _node(session, *people.SUBSTATION, "substation", None)
    feeders = [_node(session, *feeder, "feeder", substation) for feeder in people.FEEDERS]
    return [
        _node(session, *transformer, "transformer", feeders[number // 3])
        for number, transformer in enumerate(people.TRANSFORMERS)
    ]


def _node(session: Session, code: str, name: str, kind: str, parent_id: int | None) -> int:
    node = NetworkNode(code=code, name=name, kind=kind, parent_id=parent_id)
    session.add(node)
    session.flush()
    return node.id


def _node_of(home: PlannedHome, transformers: Sequence[int]) -> int:
    """Routes 1 and 2 hang on the western feeder; along a walk the transformers follow each other."""
    side = 0 if home.home.route <= 2 else 3
    along = (home.home.route - 1) % 2 * 30 + home.home.sequence
    return transformers[side + min(along * 3 // 60, 2)]


def _customer_rows(
    tables: dict[type[Base], list[Row]], home: PlannedHome, customer: int, account: int
) -> None:
    number = home.home.household
    english = number % LANGUAGE_EN_EVERY == 0
    name = f"Customer {number:03d}" if english else f"客户 {number:03d}"
    tables[Customer].append(
        {
            "id": customer,
            "customer_no": f"C{number:05d}",
            "name": name,
            "customer_class": "residential",
            "attributes": {},
        }
    )
    tables[Contact].append(
        {
            "customer_id": customer,
            "name": name,
            "kind": "holder",
            "phone": f"{PHONES}{number:04d}",
            "language": "en" if english else "zh_Hans",
            "consent": {},
            "verified": True,
            "is_default": True,
        }
    )
    tables[Account].append(
        {
            "id": account,
            "account_no": f"{100_000 + number}",
            "customer_id": customer,
            "account_class": "residential",
            "mode": "postpaid",
            "status": "active",
            "tariff_code": "zhejiang-residential",
        }
    )


def _place_rows(
    tables: dict[type[Base], list[Row]],
    home: PlannedHome,
    premise: int,
    account: int,
    point: int,
    node: int,
) -> None:
    place = home.home
    wrong = place.household == plan.MISPLACED
    tables[Premise].append(
        {
            "id": premise,
            "premise_no": f"P{place.household:05d}",
            "address": f"{place.street}{place.house_number}号{place.room}室",
            "lat_e7": place.lat_e7 + (MISPLACED_BY_E7 if wrong else 0),
            "lon_e7": place.lon_e7,
            "datum": "wgs84",
            "position_source": "import",
            "position_confidence": "low" if wrong else "good",
        }
    )
    inactive = place.household == plan.INACTIVE
    tables[ServicePoint].append(
        {
            "id": point,
            "point_no": f"M{place.household:05d}",
            "premise_id": premise,
            "account_id": account,
            "status": "inactive" if inactive else "active",
            "location_hint": HINTS[place.household % len(HINTS)],
            "hazards": HAZARDS.get(place.household),
            "note": "报停户,请核对表计" if inactive else None,
        }
    )
    tables[ServicePointNode].append(
        {
            "service_point_id": point,
            "node_id": node,
            "valid_from": home.readings[0].read_at,
            "valid_to": None,
        }
    )


def _meter_rows(
    tables: dict[type[Base], list[Row]],
    home: PlannedHome,
    point: int,
    ids: Sequence[tuple[int, int, int]],
) -> None:
    """The home's meters; the instant of an exchange is that of the new meter's first reading."""
    first = home.readings[0].read_at - timedelta(days=1)
    starts = [first, *(r.read_at for r in home.readings if r.reason == "21")]
    ends: list[datetime | None] = [*starts[1:], None]
    for serial, (meter, register, installation), start, end in zip(
        home.serials, ids, starts, ends, strict=True
    ):
        tables[Meter].append(
            {
                "id": meter,
                "serial": serial,
                "maker": "田铃仪表",
                "model": serial[:3],
                "status": "in_service" if end is None else "removed",
            }
        )
        tables[Register].append(
            {
                "id": register,
                "meter_id": meter,
                "kind": "total",
                "integer_digits": plan.DIGITS,
                "decimals": 0,
            }
        )
        tables[Installation].append(
            {
                "id": installation,
                "meter_id": meter,
                "service_point_id": point,
                "multiplier": Decimal(1),
                "installed_at": start,
                "removed_at": end,
            }
        )
