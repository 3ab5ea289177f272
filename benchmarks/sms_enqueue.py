"""One notice to very many contacts: announced in one statement, made into messages in slices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, literal, select

from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, Sheet, machine
from benchmarks.options import Options
from server import clock, operator
from server.accounts.models import Contact, Customer
from server.db import BigId, insert_rows, snapshot, transaction
from server.notify import service
from server.notify.models import OutboxMessage

ORIGINAL = "contacts"
CHUNK = 20_000
OUTAGE = {
    "line": "10kV东岭线",
    "reason": "线路检修",
    "start": "12月20日08:00",
    "end": "17:30",
    "scope": "解放路1-88号",
}


@dataclass(frozen=True)
class Round:
    """One round: seconds of announcing and of making the messages, the longest slice, memory gained."""

    announced: float
    made: float
    slice_most: float
    grown_mib: float


def sms_enqueue(options: Options, databases: Databases) -> list[Figure]:
    """Measure an outage notice to all contacts on one kind of database."""
    state = machine()
    _fill(options, databases)
    rounds = []
    for number in range(1, options.rounds + 1):
        url = databases.copy(ORIGINAL, "round")
        with application(url, options.folder):
            rounds.append(_round(options.contacts))
        databases.drop("round")
        last = rounds[-1]
        options.say(
            f"{databases.kind} round {number}: announced in {last.announced:.1f} s, made in"
            f" {last.made:.1f} s, {last.grown_mib:.0f} MiB more memory"
        )
    databases.drop(ORIGINAL)
    parameters = {"contacts": options.contacts, "database": databases.describe()}
    figure = Sheet(databases.kind, parameters, state).figure
    return [
        figure("sms_enqueue", [one.announced + one.made for one in rounds], "s"),
        figure("sms_enqueue.announce", [one.announced for one in rounds], "s"),
        figure("sms_enqueue.slice", [1000 * one.slice_most for one in rounds], "ms"),
        figure("sms_enqueue.memory", [one.grown_mib for one in rounds], "MiB"),
    ]


def _fill(options: Options, databases: Databases) -> None:
    """Customers with a contact each, half of them Chinese, and a gateway with prices."""
    options.say(f"{databases.kind}: filling a database with {options.contacts} contacts")
    url = databases.create(ORIGINAL)
    migrate(url, options.folder)
    with application(url, options.folder):
        with transaction() as session:
            operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans", is_demo=True)
            service.put_gateway(session, "log", "log", {}, simulated=True)
        for rows in _contacts(options.contacts):
            with transaction() as session:
                insert_rows(session, Customer, [_customer(row["customer_id"]) for row in rows])
                insert_rows(session, Contact, rows)
    databases.settle(ORIGINAL)


def _contacts(count: int) -> Iterator[list[dict[str, object]]]:
    numbers = range(1, count + 1)
    for start in range(0, count, CHUNK):
        yield [
            {
                "customer_id": number,
                "name": f"客户{number}",
                "kind": "holder",
                "phone": f"+86120{number:08d}",
                "language": "zh_Hans" if number % 2 else "en",
                "consent": {},
                "verified": True,
                "is_default": True,
                "created_at": clock.now(),
            }
            for number in numbers[start : start + CHUNK]
        ]


def _customer(number: object) -> dict[str, object]:
    return {
        "id": number,
        "customer_no": f"{number}",
        "name": f"客户{number}",
        "customer_class": "residential",
        "attributes": {},
        "created_at": clock.now(),
    }


def _round(contacts: int) -> Round:
    """Announce an outage to everybody and make all messages, as the worker does."""
    query = select(
        Contact.phone,
        Contact.language,
        Contact.id.label("contact_id"),
        literal(None, BigId).label("account_id"),
    ).where(Contact.is_default)
    began = time.perf_counter()
    with transaction() as session:
        service.announce(session, service.Announcement("outage:1", "outage.planned", OUTAGE), query)
    announced = time.perf_counter() - began
    memory, slices = _memory_mib(), []
    while True:
        start = time.perf_counter()
        with transaction() as session:
            made = service.next_slice(session)
        if made is None:
            break
        slices.append(time.perf_counter() - start)
        # The first slice fills what is kept for all the others.
        memory = _memory_mib() if len(slices) == 1 else memory
    grown = _memory_mib() - memory
    _check(contacts)
    return Round(announced, sum(slices), max(slices), grown)


def _check(contacts: int) -> None:
    """One queued message for each phone, or there is no figure."""
    m = OutboxMessage
    with snapshot() as session:
        row = session.execute(
            select(func.count(), func.count(m.phone.distinct())).where(m.status == "queued")
        ).one()
    if tuple(row) != (contacts, contacts):
        raise AssertionError(f"{row[0]} messages to {row[1]} phones instead of {contacts}")


def _memory_mib() -> float:
    """What this process holds now; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
