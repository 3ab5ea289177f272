"""Settling readings in a system with years behind it, beside one that is new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from benchmarks import books, web
from benchmarks.databases import Databases, application
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from benchmarks.pushes import send
from benchmarks.settled import ORIGINAL, Plan, begin, fill
from server.accounts.models import Account, Contact, Installation, Register, ServicePoint
from server.capture.models import CaptureEvent
from server.db import Base, insert_rows, snapshot, take_ids, transaction
from server.identity.models import Device
from server.metering.models import Consumption, Reading
from server.notify.models import OutboxMessage
from server.rounds.models import Route, RouteStop

LONG = "long"
MONTH = timedelta(days=30)
CHUNK = 5_000


def settled_with_history(options: Options, databases: Databases) -> list[Figure]:
    """Measure the same pushes on a new system and on one with a history, in turn.

    Raises:
        books.Wrong: when the books of a round do not agree with what was sent.
        pushes.NotSettled: when a push was not settled whole.
    """
    state = machine()
    plan = Plan(fill(options, databases), options)
    begin(options, databases, plan)
    before = {ORIGINAL: _books(options, databases, ORIGINAL)}
    options.say(f"{databases.kind}: adding {options.stored} readings and {options.unsent} texts")
    with application(databases.copy(ORIGINAL, LONG), options.folder):
        _add_history(options)
    databases.settle(LONG)
    before[LONG] = _books(options, databases, LONG)
    rates: dict[str, list[float]] = {ORIGINAL: [], LONG: []}
    for number in range(1, options.rounds + 1):
        for original, found in rates.items():
            found.append(_round(options, databases, plan, original, before[original]))
        told = ", ".join(f"{name} {found[-1]:.0f}/s" for name, found in rates.items())
        options.say(f"{databases.kind} round {number}: {told}")
    databases.drop(LONG)
    databases.drop(ORIGINAL)
    shares = [long / new for new, long in zip(rates[ORIGINAL], rates[LONG], strict=True)]
    parameters = {
        "points": options.points,
        "stored_readings": before[LONG].readings,
        "unsent_texts": before[LONG].messages,
        "connections": options.connections,
        "batch": options.batch,
        "workers": options.workers,
        "threads": options.threads,
        "database": databases.describe(),
    }
    return [
        Figure(
            "settled_with_history",
            databases.kind,
            median([round(rate, 1) for rate in rates[LONG]]),
            "readings/s",
            "more",
            ratio={"of_a_new_system": round(median(shares), 3)},
            rounds=[round(rate, 1) for rate in rates[LONG]],
            parameters=parameters,
            machine=state,
        )
    ]


def _books(options: Options, databases: Databases, name: str) -> books.Books:
    with application(databases.address(name), options.folder):
        return books.read()


def _round(
    options: Options, databases: Databases, plan: Plan, original: str, before: books.Books
) -> float:
    url = databases.copy(original, "round")
    with web.processes(url, options.folder, options.workers, options.threads) as running:
        warm = send(running.port, plan.warm, options.connections)
        many = send(running.port, plan.main, options.connections, options.seconds)
    with application(url, options.folder):
        books.check(books.read(), warm.settled + many.settled, before)
    databases.drop("round")
    return many.settled / many.wall


# --- the history --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What the history of a point is made of."""

    point_id: int
    register_id: int
    installation_id: int
    account_id: int
    reading_id: int
    read_at: datetime
    value: Decimal
    serial: str
    staff_id: int
    device_id: int
    contact_id: int
    phone: str


def _add_history(options: Options) -> None:
    """Give every point so many earlier months that there are ``stored`` readings; queue texts."""
    known = _points()
    months = -(-options.stored // len(known))
    for start in range(0, len(known), CHUNK // months + 1):
        _write_months(known[start : start + CHUNK // months + 1], months, start * months)
    for start in range(0, options.unsent, CHUNK):
        numbers = range(start, min(start + CHUNK, options.unsent))
        with transaction() as session:
            insert_rows(session, OutboxMessage, [_text(known[n % len(known)], n) for n in numbers])


def _points() -> list[_Known]:
    statement = (
        select(
            ServicePoint.id,
            Register.id,
            Installation.id,
            Account.id,
            Reading.id,
            Reading.read_at,
            Reading.value,
            Reading.meter_serial,
            Route.reader_id,
            Device.id,
            Contact.id,
            Contact.phone,
        )
        .join(Reading, Reading.service_point_id == ServicePoint.id)
        .join(Installation, Installation.id == Reading.installation_id)
        .join(Register, Register.id == Reading.register_id)
        .join(Account, Account.id == ServicePoint.account_id)
        .join(Contact, Contact.customer_id == Account.customer_id)
        .join(RouteStop, RouteStop.subject_id == ServicePoint.id)
        .join(Route, Route.id == RouteStop.route_id)
        .join(Device, Device.staff_id == Route.reader_id)
        .where(Reading.source == "import")
        .order_by(ServicePoint.id)
    )
    with snapshot() as session:
        rows: Iterable[Any] = session.execute(statement)
        return [_Known(*row) for row in rows]


def _write_months(known: Sequence[_Known], months: int, first: int) -> None:
    count = len(known) * months
    rows: dict[type[Base], list[dict[str, Any]]] = {CaptureEvent: [], Reading: [], Consumption: []}
    with transaction() as session:
        ids = take_ids(session, {Reading: count, Consumption: count})
        number = 0
        for point in known:
            later = point.reading_id
            for month in range(1, months + 1):
                own = {Reading: ids[Reading][number], Consumption: ids[Consumption][number]}
                for model, row in _month(point, month, months, own, later, first + number):
                    rows[model].append(row)
                later, number = own[Reading], number + 1
        for model, made in rows.items():
            insert_rows(session, model, made)


def _month(
    point: _Known, month: int, months: int, ids: dict[type[Base], int], later: int, number: int
) -> Iterator[tuple[type[Base], dict[str, Any]]]:
    """The capture, the reading and the use after it, so many months before the last reading."""
    at = point.read_at - month * MONTH
    uuid = UUID(int=(7 << 100) + number, version=4)
    step = Decimal(int(point.value) // (months + 1))
    yield CaptureEvent, _capture(point, at, uuid)
    yield Reading, _reading(point, ids[Reading], at, point.value - month * step, uuid)
    yield Consumption, _use(point, ids, later, at, step)


def _capture(point: _Known, at: datetime, uuid: UUID) -> dict[str, Any]:
    return {
        "created_at": at,
        "uuid": uuid,
        "device_id": point.device_id,
        "staff_id": point.staff_id,
        "type": "meter_reading.v1",
        "captured_at": at,
        "received_at": at,
        "payload": {"data": {"service_point": point.point_id, "meter_serial": point.serial}},
        "payload_hash": uuid.hex * 2,
        "verdict": "applied",
    }


def _reading(
    point: _Known, number: int, at: datetime, value: Decimal, uuid: UUID
) -> dict[str, Any]:
    return {
        "id": number,
        "created_at": at,
        "service_point_id": point.point_id,
        "installation_id": point.installation_id,
        "register_id": point.register_id,
        "register_kind": "total",
        "meter_serial": point.serial,
        "value": value,
        "read_at": at,
        "quality": "regular",
        "reason": "01",
        "source": "device",
        "status": "confirmed",
        "capture_uuid": uuid,
        "staff_id": point.staff_id,
        "confirmed_at": at,
    }


def _use(
    point: _Known, ids: dict[type[Base], int], later: int, at: datetime, quantity: Decimal
) -> dict[str, Any]:
    return {
        "id": ids[Consumption],
        "created_at": at,
        "service_point_id": point.point_id,
        "account_id": point.account_id,
        "register_kind": "total",
        "reading_id": later,
        "previous_reading_id": ids[Reading],
        "from_at": at,
        "to_at": at + MONTH,
        "quantity": quantity,
        "method": "difference",
        "status": "settled",
    }


def _text(point: _Known, number: int) -> dict[str, Any]:
    values = {
        "event": "bill.issued",
        "category": "bill",
        "priority": 50,
        "delivery": "at_least_once",
        "language": "zh_Hans",
        "text": "【测试电力】您的电费账单已出,请按时缴纳。",
        "segments": 1,
        "status": "queued",
        "attempts": 0,
        "copies": 0,
        "possible_duplicate": False,
    }
    own = {"key": f"history:{number}", "phone": point.phone, "contact_id": point.contact_id}
    times = {"created_at": point.read_at, "status_at": point.read_at}
    return values | own | times
