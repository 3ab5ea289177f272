"""The utility that a run reads: its people, routes and meters, written as the CSV files of an import."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from device_sim.rep import Dial, Dials
from device_sim.torture.oracle import TIERS, Home

ZONE = ZoneInfo("Asia/Shanghai")
FIRST_PHONE = 8612000000000
LAT, LON = 31.2330, 121.4730
STEP_DEGREES = 0.0002
TARIFF = "zhejiang-residential"


@dataclass(frozen=True)
class World:
    """What was written: the homes by account number, the first morning, the folder of the files."""

    folder: Path
    homes: Mapping[str, Home]
    start: datetime
    readers: Sequence[str]

    @cached_property
    def dials(self) -> Dials:
        """What really stands on the meters."""
        as_of = self.start - timedelta(days=1)
        return Dials(
            {
                (home.serial, "total"): Dial(home.previous, home.per_day, as_of)
                for home in self.homes.values()
            }
        )

    def morning(self, day: int) -> datetime:
        """Eight o'clock of a day of the run."""
        return self.start + timedelta(days=day)


def first_morning(now: datetime, days: int) -> datetime:
    """Eight o'clock, so many days ago that all of them are past and lie in one calendar year."""
    today = now.astimezone(ZONE).date()
    first = today - timedelta(days=days + 1)
    if (first - timedelta(days=2)).year != today.year:
        first = today.replace(month=1, day=1) - timedelta(days=days + 2)
    return datetime.combine(first, time(8), ZONE).astimezone(UTC)


def write_world(
    folder: Path, seed: int, readers: Sequence[str], stops: int, start: datetime, *, texts: bool
) -> World:
    """Write the files of a utility with one route of ``stops`` meters for each reader."""
    rng = random.Random(f"world:{seed}")
    homes = [
        _home(rng, reader, n * stops + i, i, texts)
        for n, reader in enumerate(readers)
        for i in range(stops)
    ]
    files = _Files(folder)
    files.tariff()
    files.write("org_units", ("code", "name", "kind"), [("team", "抄表班", "crew")])
    files.write(
        "staff",
        ("username", "name", "roles", "org_unit"),
        [(name, f"抄表员 {name}", "meter_reader", "team") for name in readers],
    )
    files.routes({name: name for name in readers})
    files.customers(homes, start)
    files.meters(homes, readers, stops, start)
    return World(folder, {home.account_no: home for home in homes}, start, readers)


def write_routes(folder: Path, routes: Mapping[str, str]) -> None:
    """Write an import that gives routes (by book) to other readers."""
    _Files(folder).routes(routes)


def _home(rng: random.Random, reader: str, index: int, stop: int, texts: bool) -> Home:
    tier_edge = rng.choice((0, 0, 2740, 4780))
    used = Decimal(tier_edge or rng.randint(100, 2500))
    return Home(
        account_no=f"A-{reader}-{stop:03d}",
        serial=f"M-{reader}-{stop:03d}",
        point_no=f"P-{reader}-{stop:03d}",
        phone=f"+{FIRST_PHONE + index}" if texts else None,
        previous=Decimal(rng.randint(3000, 80_000)),
        per_day=Decimal(rng.randint(5, 14)),
        used=used,
        balance=Decimal(rng.randint(-9000, -1)) / 100,
    )


class _Files:
    """The import files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            writer.writerows(rows)

    def tariff(self) -> None:
        """The oracle's own price table, so that both sides start from the same publication."""
        tiers = [
            {"price": str(price)} | ({} if top is None else {"up_to": str(top)})
            for top, price in TIERS
        ]
        component = {"code": "energy", "register": "total", "basis": "calendar_year"}
        rounding = {"mode": "half_up", "order": "lines_then_sum", "exponent": 2}
        version = {
            "code": TARIFF,
            "name": "浙江居民生活用电",
            "valid_from": "2012-07-01",
            "definition": {
                "currency": "CNY",
                "rounding": rounding,
                "components": [{**component, "tiers": tiers}],
            },
        }
        path = self.folder / "tariffs" / f"{TARIFF}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(version, ensure_ascii=False), encoding="utf-8")

    def routes(self, readers: Mapping[str, str]) -> None:
        head = ("book_no", "name", "org_unit", "reader", "read_and_bill")
        rows = [(book, f"抄表段 {book}", "team", reader, "yes") for book, reader in readers.items()]
        self.write("routes", head, rows)

    def customers(self, homes: Sequence[Home], start: datetime) -> None:
        self.write(
            "customers",
            ("customer_no", "name"),
            [(f"C{h.account_no}", f"客户 {h.account_no}") for h in homes],
        )
        phones = [(f"C{h.account_no}", h.account_no, h.phone, "zh_Hans") for h in homes if h.phone]
        if phones:
            self.write("contacts", ("customer_no", "name", "phone", "language"), phones)
        self.write(
            "accounts",
            (
                "account_no",
                "customer_no",
                "tariff_code",
                "opening_balance",
                "year_to_date",
                "year",
            ),
            [
                (h.account_no, f"C{h.account_no}", TARIFF, h.balance, h.used, _year(start))
                for h in homes
            ],
        )

    def meters(
        self, homes: Sequence[Home], readers: Sequence[str], stops: int, start: datetime
    ) -> None:
        """Premises, points, meters and their last readings; the routes run north in parallel."""
        installed = (start - timedelta(days=900)).astimezone(ZONE).date()
        before = (start - timedelta(days=31)).astimezone(ZONE)
        last = (start - timedelta(days=1)).astimezone(ZONE)
        places = [
            (n, i, LAT + i * STEP_DEGREES, LON + n * STEP_DEGREES * 4)
            for n in range(len(readers))
            for i in range(stops)
        ]
        self.write(
            "premises",
            ("premise_no", "address", "lat", "lon", "datum"),
            [
                (h.point_no, f"{n}号楼{i}室", f"{lat:.7f}", f"{lon:.7f}", "wgs84")
                for h, (n, i, lat, lon) in zip(homes, places, strict=True)
            ],
        )
        self.write(
            "service_points",
            ("point_no", "premise_no", "account_no"),
            [(h.point_no, h.point_no, h.account_no) for h in homes],
        )
        self.write("meters", ("serial", "registers"), [(h.serial, "total:5.0") for h in homes])
        self.write(
            "installations",
            ("meter_serial", "point_no", "installed_at"),
            [(h.serial, h.point_no, installed) for h in homes],
        )
        self.write(
            "route_stops",
            ("book_no", "sequence", "point_no"),
            [
                (readers[n], i + 1, h.point_no)
                for h, (n, i, _, _) in zip(homes, places, strict=True)
            ],
        )
        self.write(
            "readings",
            ("point_no", "value", "read_at", "billed"),
            [
                row
                for h in homes
                for row in (
                    (h.point_no, h.previous - 30 * h.per_day, before.isoformat(), "yes"),
                    (h.point_no, h.previous, last.isoformat(), "yes"),
                )
            ],
        )


def _year(start: datetime) -> int:
    return start.astimezone(ZONE).year
