"""A founded system to import into, and a folder of files to import."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from server import clock, founding
from server.billing.service.tariffs import SHIPPED
from server.db import transaction
from server.imports.fields import Locale
from server.imports.report import Problem, Report
from server.imports.runner import Import

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)

GOOD: dict[str, list[dict[str, str]]] = {
    "org_units.csv": [{"code": "north", "name": "城北抄表班", "kind": "crew", "parent": "office"}],
    "staff.csv": [
        {"username": "zhang", "name": "张伟", "roles": "meter_reader", "org_unit": "north"}
    ],
    "customers.csv": [{"customer_no": f"C{n}", "name": f"客户 {n}"} for n in (1, 2, 3)],
    "contacts.csv": [
        {"customer_no": f"C{n}", "name": f"客户 {n}", "phone": f"1380013800{n}"} for n in (1, 2, 3)
    ],
    "accounts.csv": [
        {
            "account_no": f"A{n}",
            "customer_no": f"C{n}",
            "tariff_code": "zhejiang-residential",
            "opening_balance": "-12.30",
            "year_to_date": "1500",
        }
        for n in (1, 2, 3)
    ],
    "premises.csv": [
        {"premise_no": f"P{n}", "address": f"浙江中路{n}号", "lat": f"31.24{n}", "lon": "121.47"}
        for n in (1, 2, 3)
    ],
    "network_nodes.csv": [
        {"code": "S1", "kind": "substation", "name": "变电站", "parent": ""},
        {"code": "T1", "kind": "transformer", "name": "公变", "parent": "S1"},
    ],
    "service_points.csv": [
        {"point_no": f"M{n}", "premise_no": f"P{n}", "account_no": f"A{n}", "node": "T1"}
        for n in (1, 2, 3)
    ],
    "meters.csv": [{"serial": f"S{n}", "registers": "total:5.0"} for n in (1, 2, 3)],
    "installations.csv": [
        {
            "meter_serial": f"S{n}",
            "point_no": f"M{n}",
            "installed_at": "2026-01-01",
            "initial": "100",
        }
        for n in (1, 2, 3)
    ],
    "routes.csv": [
        {"book_no": "B1", "name": "一段", "org_unit": "north", "reader": "zhang"},
    ],
    "route_stops.csv": [
        {"book_no": "B1", "sequence": str(n * 10), "point_no": f"M{n}"} for n in (1, 2, 3)
    ],
    "readings.csv": [
        {"point_no": f"M{n}", "value": str(100 + 150 * month), "read_at": f"2026-0{month + 1}-01"}
        for n in (1, 2, 3)
        for month in (1, 2)
    ],
}

Write = Callable[[str, Sequence[dict[str, str]]], None]


class Outcome:
    """What an import did: its problems, its counts by file."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.problems: list[Problem] = []
        self.report = Report(self.said.append)
        note = self.report.add

        def remember(problem: Problem) -> None:
            self.problems.append(problem)
            note(problem)

        self.report.add = remember  # type: ignore[method-assign]

    def counts(self, file: str) -> tuple[int, int, int, int]:
        """New, changed, unchanged, bad."""
        tally = self.report.tallies[file]
        return tally.added, tally.changed, tally.unchanged, tally.bad

    @property
    def codes(self) -> list[str]:
        """The codes of the problems in their order."""
        return [problem.code for problem in self.problems]


@pytest.fixture
def founded(app: Flask) -> Iterator[Flask]:
    """The application of a founded system at noon of a day, inside its context."""
    clock.set(NOW)
    with app.app_context():
        with transaction() as session:
            founding.found(
                session,
                name="Acme",
                currency="CNY",
                time_zone="Asia/Shanghai",
                language="zh_Hans",
                administrator=founding.Administrator("admin", "A", None, "x"),
            )
        yield app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small town, every row of it good."""
    folder = tmp_path / "takeover"
    (folder / "tariffs").mkdir(parents=True)
    shutil.copy(SHIPPED / "zhejiang-residential.yaml", folder / "tariffs")
    for name, rows in GOOD.items():
        write_csv(folder / name, rows)
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """Replace a file of the folder."""
    return lambda name, rows: write_csv(folder / name, rows)


@pytest.fixture
def run(founded: Flask, folder: Path) -> Callable[..., Outcome]:
    """Run the import of the folder."""

    def run(*, dry_run: bool = False) -> Outcome:
        outcome = Outcome()
        Import(folder, Locale(), outcome.report, lambda _file, _tally: None).run(dry_run=dry_run)
        return outcome

    return run


def write_csv(path: Path, rows: Sequence[dict[str, str]], encoding: str = "utf-8") -> None:
    """Write rows as a CSV file with a header."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
