"""What happened before the demo starts: readings, their use, the year so far, opening balances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from server import clock
from server.billing.rules.tariff import split_by_year
from server.billing.service import OpeningBalance, post_opening_balance, post_opening_usage
from server.db import Session, insert_rows, take_ids
from server.demo import people
from server.demo.plan import PlannedHome
from server.demo.plant import Point
from server.metering.models import Consumption, Reading

Row = dict[str, Any]


def write_readings(session: Session, homes: Sequence[PlannedHome], points: Sequence[Point]) -> int:
    """Write the confirmed readings and what was used between them; return how many readings."""
    total = sum(len(home.readings) for home in homes)
    ids = iter(take_ids(session, {Reading: total})[Reading])
    readings: list[Row] = []
    uses: list[Row] = []
    for home, point in zip(homes, points, strict=True):
        rows = [_reading_row(next(ids), home, point, index) for index in range(len(home.readings))]
        readings += rows
        uses += _use_rows(rows, point, home.settled)
    insert_rows(session, Reading, readings)
    insert_rows(session, Consumption, uses)
    post_opening_usage(session, _years(uses))
    return total


def _reading_row(number: int, home: PlannedHome, point: Point, index: int) -> Row:
    reading = home.readings[index]
    return {
        "id": number,
        "created_at": clock.now(),
        "service_point_id": point.id,
        "installation_id": point.installation_ids[reading.meter],
        "register_id": point.register_ids[reading.meter],
        "register_kind": "total",
        "meter_serial": home.serials[reading.meter],
        "value": Decimal(reading.value),
        "read_at": reading.read_at.astimezone(UTC),
        "quality": "regular",
        "reason": reading.reason,
        "source": "import",
        "status": "confirmed",
        "confirmed_at": reading.read_at.astimezone(UTC),
    }


def _use_rows(readings: Sequence[Row], point: Point, settled: int) -> list[Row]:
    """What was used between neighbouring readings of one dial; none of the demo's passed zero."""
    rows = []
    for index, (before, after) in enumerate(pairwise(readings), start=1):
        if before["register_id"] != after["register_id"]:
            continue
        rows.append(
            {
                "created_at": clock.now(),
                "service_point_id": point.id,
                "account_id": point.account_id,
                "register_kind": "total",
                "reading_id": after["id"],
                "previous_reading_id": before["id"],
                "from_at": before["read_at"],
                "to_at": after["read_at"],
                "quantity": after["value"] - before["value"],
                "method": "exchange" if after["reason"] == "22" else "difference",
                "status": "settled" if index < settled else "active",
            }
        )
    return rows


def _years(uses: Sequence[Row]) -> dict[tuple[int, int], Decimal]:
    """What each account was charged for in each calendar year before this system."""
    zone = ZoneInfo(people.TIME_ZONE)
    years: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    for use in uses:
        if use["status"] == "settled":
            start, end = (use[at].astimezone(zone).date() for at in ("from_at", "to_at"))
            for year, share in split_by_year(start, end, use["quantity"]):
                years[use["account_id"], year] += share
    return years


def write_balances(session: Session, homes: Sequence[PlannedHome], points: Sequence[Point]) -> None:
    """Post the balances the accounts come with, as of the last reading."""
    rows = [
        OpeningBalance(point.account_id, home.opening_balance)
        for home, point in zip(homes, points, strict=True)
    ]
    post_opening_balance(session, rows, max(home.history[-1].read_at for home in homes))
