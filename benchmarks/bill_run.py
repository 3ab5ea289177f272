"""A bill run over a whole utility: year-cumulative tiers, notices in the same transactions.

The database is filled by statements, not row by row. Two processes share the run; in a round of its
own one of them is killed on the way and the run is started again.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, String, cast, func, insert, literal, null, select, text

from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from server import founding
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
from server.billing.models import Bill, BillRunChunk, UsageYear
from server.billing.service import put_tariff, read_tariff_file, reconcile
from server.billing.service.tariffs import SHIPPED
from server.db import Base, Session, is_postgresql, snapshot, transaction
from server.metering.models import Consumption, Reading, ReadOrder
from server.notify.models import OutboxMessage
from server.rounds.models import Route, RouteStop

ORIGINAL = "utility"
TARIFF = "zhejiang-residential"
PERIOD = "2026-10"
BEFORE = datetime(2026, 9, 30, 2, tzinfo=UTC)
READ = datetime(2026, 10, 31, 2, tzinfo=UTC)
ROUTE = 500
"""Accounts on a route."""

_CHECKS_UP_TO = 20_000
"""So many accounts at most are proven by reconcile in the round that is killed."""


@dataclass(frozen=True)
class Round:
    """One run: seconds, seconds of processor time of its processes, the largest of them in MiB."""

    seconds: float
    processor: float
    memory: float


def bill_run(options: Options, databases: Databases) -> list[Figure]:
    """Measure a bill run on one kind of database; the work itself is checked each time."""
    state = machine()
    _fill(options, databases)
    rounds = []
    for number in range(1, options.rounds + 1):
        url = databases.copy(ORIGINAL, "round")
        rounds.append(_run(url, options))
        _check(url, options)
        databases.drop("round")
        last = rounds[-1]
        options.say(
            f"{databases.kind} round {number}: {options.accounts} accounts in {last.seconds:.1f} s,"
            f" {1000 * last.processor / options.accounts:.2f} ms of processor time each,"
            f" {last.memory:.0f} MiB at most"
        )
    killed = _killed(options, databases)
    databases.drop(ORIGINAL)
    parameters = {
        "accounts": options.accounts,
        "processes": _processes(databases.kind),
        "killed_and_started_again": killed,
        "database": databases.describe(),
    }

    def figure(name: str, values: Sequence[float], unit: str) -> Figure:
        shown = [round(value, 3) for value in values]
        return Figure(
            name,
            databases.kind,
            median(shown),
            unit,
            "less",
            rounds=shown,
            parameters=parameters,
            machine=state,
        )

    each = [1000 * one.processor / options.accounts for one in rounds]
    return [
        figure("bill_run", [one.seconds for one in rounds], "s"),
        figure("bill_run.processor", each, "ms of processor time of ours an account"),
        figure("bill_run.memory", [one.memory for one in rounds], "MiB"),
    ]


def _processes(kind: str) -> int:
    """SQLite has one writer: a second process would only wait for it."""
    return 2 if kind == "postgresql" else 1


# --- running ----------------------------------------------------------------------------------


def _start(url: str, folder: Path) -> subprocess.Popen[bytes]:
    settings = {
        "FIELDBELL_DATABASE_URL": url,
        "FIELDBELL_VAR_DIR": str(folder / "var"),
        "FIELDBELL_SECRET_KEY": "-" * 32,
        "FLASK_APP": "wsgi.py",
    }
    command = [sys.executable, "-m", "flask", "billing", "run", "--period", PERIOD, "--quiet"]
    return subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)


def _run(url: str, options: Options) -> Round:
    """Let the processes share a run until it is done."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    kind = "postgresql" if url.startswith("postgresql") else "sqlite"
    running = [_start(url, options.folder) for _ in range(_processes(kind))]
    for process in running:
        if process.wait() != 0:
            raise RuntimeError("a bill run failed")
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Round(seconds, processor, after.ru_maxrss / 1024)


def _killed(options: Options, databases: Databases) -> int:
    """Kill a run that has billed something, start it again, and check it; how often it was killed."""
    url = databases.copy(ORIGINAL, "killed")
    process = _start(url, options.folder)
    deadline = time.monotonic() + 600
    with application(url, options.folder):
        while process.poll() is None and time.monotonic() < deadline:
            with snapshot() as session:
                if session.scalar(select(func.count()).where(BillRunChunk.done_at.is_not(None))):
                    break
            time.sleep(0.02)
    killed = int(process.poll() is None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _run(url, options)
    _check(url, options, prove=options.accounts <= _CHECKS_UP_TO)
    databases.drop("killed")
    return killed


def _check(url: str, options: Options, *, prove: bool = False) -> None:
    """No account is billed twice or left out, and every bill that says so has its notice."""
    with application(url, options.folder), snapshot() as session:
        bills, accounts, owing = session.execute(
            select(
                func.count(),
                func.count(Bill.account_id.distinct()),
                func.count().filter(Bill.balance_after < Decimal(0)),
            )
        ).one()
        notices = session.scalar(select(func.count()).select_from(OutboxMessage))
        wrong = reconcile(session) if prove else []
    if (bills, accounts, notices) != (options.accounts, options.accounts, owing) or wrong:
        raise RuntimeError(
            f"{bills} bills of {accounts} accounts with {notices} notices for {owing}, {wrong[:3]}"
        )


# --- filling ----------------------------------------------------------------------------------


def _fill(options: Options, databases: Databases) -> None:
    """A utility whose meters have been read for the month, by one statement for each table."""
    options.say(f"{databases.kind}: filling a database with {options.accounts} accounts")
    url = databases.create(ORIGINAL)
    migrate(url, options.folder)
    with application(url, options.folder), transaction() as session:
        founded = founding.found(
            session,
            name="测试电力",
            currency="CNY",
            time_zone="Asia/Shanghai",
            language="zh_Hans",
            administrator=founding.Administrator("admin", "管理员", None, "-"),
        )
        put_tariff(session, read_tariff_file(SHIPPED / f"{TARIFF}.yaml"))
        _Filler(session, options.accounts, founded.root.id).fill()
    databases.settle(ORIGINAL)


class _Filler:
    """Writes the tables of a utility; the number of an account is the id of everything of it."""

    def __init__(self, session: Session, accounts: int, unit_id: int) -> None:
        self.session = session
        self.accounts = accounts
        self.unit_id = unit_id
        self.now = READ + timedelta(hours=1)
        self.touched: list[type[Base]] = []

    def fill(self) -> None:
        """Write everything, parents before children."""
        self._customers()
        self._plant()
        self._readings()
        if is_postgresql(self.session):
            for model in self.touched:
                name = model.__tablename__
                self.session.execute(
                    text(f"SELECT setval('{name}_id_seq', (SELECT max(id) FROM \"{name}\"))")  # noqa: S608 - names of our own tables
                )

    def _write(
        self, model: type[Base], count: int, make: Any, *, keyed: bool = True, first: int = 0
    ) -> None:
        """Insert ``count`` rows; ``make`` turns a number from 1 into the values of the columns."""
        numbers = select(literal(1, BigInteger).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < count))
        n = numbers.c.n
        made = make(n)
        values = {name: self._literal(model, name, value) for name, value in made.items()}
        if keyed:
            values = {
                "id": n + first,
                "created_at": self._literal(model, "created_at", self.now),
                **values,
            }
            self.touched.append(model)
        source = select(*(value.label(name) for name, value in values.items()))
        self.session.execute(insert(model).from_select(list(values), source))

    def _literal(self, model: type[Base], name: str, value: Any) -> Any:
        """A value as its column keeps it; expressions stay what they are."""
        if hasattr(value, "label"):
            return value
        return literal(value, model.__table__.c[name].type)

    def _customers(self) -> None:
        self._write(
            Customer,
            self.accounts,
            lambda n: {
                "customer_no": _numbered("C", n),
                "name": _numbered("客户 ", n),
                "customer_class": "residential",
                "attributes": {},
            },
        )
        self._write(
            Contact,
            self.accounts,
            lambda n: {
                "customer_id": n,
                "name": _numbered("客户 ", n),
                "kind": "holder",
                "phone": _numbered("+86120", n + 10_000_000),
                "language": "zh_Hans",
                "consent": {},
                "verified": True,
                "is_default": True,
            },
        )
        self._write(
            Account,
            self.accounts,
            lambda n: {
                "account_no": _numbered("A", n),
                "customer_id": n,
                "account_class": "residential",
                "mode": "postpaid",
                "status": "active",
                "tariff_code": TARIFF,
            },
        )
        self._write(
            UsageYear,
            self.accounts,
            lambda n: {
                "account_id": n,
                "year": READ.year,
                "opening": _quantity(n * 131 % 5000),
                "quantity": _quantity(n * 131 % 5000),
            },
            keyed=False,
        )

    def _plant(self) -> None:
        self._write(
            Premise,
            self.accounts,
            lambda n: {"premise_no": _numbered("P", n), "address": _numbered("南京路", n)},
        )
        self._write(
            Meter,
            self.accounts,
            lambda n: {"serial": _numbered("M", n), "status": "in_service"},
        )
        self._write(
            Register,
            self.accounts,
            lambda n: {"meter_id": n, "kind": "total", "integer_digits": 6, "decimals": 0},
        )
        self._write(
            ServicePoint,
            self.accounts,
            lambda n: {
                "point_no": _numbered("S", n),
                "premise_id": n,
                "account_id": n,
                "status": "active",
            },
        )
        self._write(
            Installation,
            self.accounts,
            lambda n: {
                "meter_id": n,
                "service_point_id": n,
                "multiplier": Decimal(1),
                "installed_at": BEFORE - timedelta(days=700),
            },
        )
        self._write(
            Route,
            -(-self.accounts // ROUTE),
            lambda n: {
                "book_no": _numbered("B", n),
                "name": _numbered("路线 ", n),
                "read_cycle": "monthly",
                "org_unit_id": literal(self.unit_id),
                "read_and_bill": False,
            },
        )
        self._write(
            RouteStop,
            self.accounts,
            lambda n: {
                "route_id": self._route(n),
                "sequence": n,
                "kind": "service_point",
                "subject_id": n,
            },
        )

    def _route(self, n: Any) -> Any:
        return 1 + (n - 1) % -(-self.accounts // ROUTE)

    def _readings(self) -> None:
        self._write(
            ReadOrder,
            self.accounts,
            lambda n: {
                "service_point_id": n,
                "route_id": self._route(n),
                "period": PERIOD,
                "reason": "01",
                "due": READ.date(),
                "status": "done",
                "expectations": {},
            },
        )
        # Each meter has two readings: 1 to N are the earlier ones, N + 1 to 2 N the later ones.
        for at, later in ((BEFORE, 0), (READ, 1)):
            self._write(
                Reading,
                self.accounts,
                lambda n, at=at, later=later: {
                    "order_id": n if later else null(),
                    "service_point_id": n,
                    "installation_id": n,
                    "register_id": n,
                    "register_kind": "total",
                    "meter_serial": _numbered("M", n),
                    "value": _quantity(n * 37 % 80_000 + 1000 + later * _used(n)),
                    "read_at": at,
                    "quality": "regular",
                    "reason": "01",
                    "source": "import",
                    "status": "confirmed",
                    "confirmed_at": at,
                },
                first=later * self.accounts,
            )
        self._write(
            Consumption,
            self.accounts,
            lambda n: {
                "service_point_id": n,
                "account_id": n,
                "register_kind": "total",
                "reading_id": n + self.accounts,
                "previous_reading_id": n,
                "from_at": BEFORE,
                "to_at": READ,
                "quantity": _quantity(_used(n)),
                "method": "difference",
                "status": "active",
            },
        )


def _numbered(prefix: str, n: Any) -> Any:
    return literal(prefix, String) + cast(n, String)


def _used(n: Any) -> Any:
    """What a point used in the month: 80 to 399 units."""
    return 80 + n * 7919 % 320


def _quantity(units: Any) -> Any:
    """A quantity of supply as it is kept: millionths, a whole number."""
    return cast(units, BigInteger) * 1_000_000
