"""The demo's households: where they live and what they used, from the shipped files; pure."""

from __future__ import annotations

import csv
from calendar import monthrange
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

DATA = Path(__file__).parent / "data"

LEAST_MONTHS = 4
"""A history shorter than this is only taken when there is none longer."""

Month = tuple[int, int]
"""Year and month."""


@dataclass(frozen=True)
class Home:
    """A household's address and position, and its place in a route's walk; seven decimals."""

    household: int
    route: int
    sequence: int
    street: str
    house_number: str
    room: str
    lat_e7: int
    lon_e7: int

    @property
    def building(self) -> tuple[str, str]:
        """Street and number: the households of one building share their position."""
        return self.street, self.house_number


@dataclass(frozen=True)
class MonthUse:
    """What was used on the recorded days of a month, kWh."""

    kwh: Decimal
    days: int

    @property
    def per_day(self) -> Decimal:
        """The mean day of the month."""
        return self.kwh / self.days


def read_homes(folder: Path = DATA) -> list[Home]:
    """The homes in the order of routes and walks."""
    with (folder / "places.csv").open(encoding="utf-8", newline="") as file:
        return [
            Home(
                household=int(row["household"]),
                route=int(row["route"]),
                sequence=int(row["sequence"]),
                street=row["street"],
                house_number=row["house_number"],
                room=row["room"],
                lat_e7=int(Decimal(row["lat"]).scaleb(7)),
                lon_e7=int(Decimal(row["lon"]).scaleb(7)),
            )
            for row in csv.DictReader(file)
        ]


def read_consumption(folder: Path = DATA) -> dict[int, dict[Month, MonthUse]]:
    """What each household used by month, as published."""
    uses: dict[int, dict[Month, MonthUse]] = defaultdict(dict)
    with (folder / "consumption.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            year, month = row["month"].split("-")
            use = MonthUse(Decimal(row["kwh"]), int(row["days"]))
            uses[int(row["household"])][int(year), int(month)] = use
    return dict(uses)


def month_after(month: Month, count: int = 1) -> Month:
    """The month so many months later (earlier when negative)."""
    index = month[0] * 12 + month[1] - 1 + count
    return index // 12, index % 12 + 1


def shifted(uses: Mapping[Month, MonthUse], last: Month) -> dict[Month, MonthUse]:
    """The months moved by whole years so that they end in ``last``; what lies later is cut.

    Of the years that could be last, the one that leaves the longest history is taken; a month
    between its end and ``last`` weighs as much as four of history. Where the record goes on, the
    month after ``last`` is kept: it is what the meters count now.
    """
    latest = max(uses)
    moves = range(last[0] - latest[0] - 1, last[0] - min(uses)[0] + 1)
    move = max(moves, key=lambda years: _worth(uses, years, last))
    moved = {(year + move, month): use for (year, month), use in uses.items()}
    return {month: use for month, use in moved.items() if month <= month_after(last)}


def _worth(uses: Mapping[Month, MonthUse], move: int, last: Month) -> int:
    kept = [(year + move, month) for year, month in uses if (year + move, month) <= last]
    if len(kept) < LEAST_MONTHS:
        return len(kept) - 1000
    year, month = max(kept)
    gap = (last[0] - year) * 12 + last[1] - month
    return len(kept) - 4 * gap


class Curve:
    """A household's use over time: what a meter that never stops would have counted, kWh."""

    def __init__(self, uses: Mapping[Month, MonthUse], last: Month) -> None:
        self.first = min(uses)
        self._mean = sum((use.kwh for use in uses.values()), Decimal(0)) / sum(
            use.days for use in uses.values()
        )
        self._uses = uses
        self._before: dict[Month, Decimal] = {}
        total, month = Decimal(0), self.first
        while month <= month_after(last, 2):
            self._before[month] = total
            total += self.per_day(month) * monthrange(*month)[1]
            month = month_after(month)

    def per_day(self, month: Month) -> Decimal:
        """The mean day of a month; of a month nobody recorded, of the whole record."""
        use = self._uses.get(month)
        return use.per_day if use else self._mean

    def at(self, moment: datetime) -> Decimal:
        """What was used from the start of the record to a local moment."""
        month = (moment.year, moment.month)
        days = Decimal(moment.day - 1) + Decimal(moment.hour * 60 + moment.minute) / 1440
        return self._before[month] + self.per_day(month) * days
