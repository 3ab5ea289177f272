"""Addresses without a position: asked one by one, never inside a transaction, misses are warnings."""

from __future__ import annotations

from collections.abc import Callable

from geopy.exc import GeocoderTimedOut
from sqlalchemy import select

from server import geo
from server.accounts.models import Premise
from server.db import snapshot, transaction
from server.feed import FeedScope
from server.imports.geocode import find_positions
from tests.imports.conftest import GOOD, Outcome, Write

Run = Callable[..., Outcome]


def test_addresses_without_a_position_are_looked_up(run: Run, write: Write) -> None:
    rows = [dict(row) for row in GOOD["premises.csv"]]
    for row in rows[1:]:
        row["lat"] = row["lon"] = ""
    write("premises.csv", rows)
    outcome = run()
    asked: list[str] = []

    def geocode(address: str) -> geo.Place | None:
        asked.append(address)
        with transaction():  # Would wait for ever if the caller held the write lock.
            pass
        return geo.Place(31.5, 121.5) if address.endswith("2号") else None

    with snapshot() as session:
        before = session.scalar(select(FeedScope.seq).where(FeedScope.scope.like("route:%")))
    assert find_positions(geocode, outcome.report, lambda _done, _all: None) == 1
    assert asked == ["浙江中路2号", "浙江中路3号"]
    with snapshot() as session:
        found = session.execute(
            select(Premise.lat_e7, Premise.lon_e7, Premise.position_source).where(
                Premise.premise_no == "P2"
            )
        ).one()
        after = session.scalar(select(FeedScope.seq).where(FeedScope.scope.like("route:%")))
    assert found == (315_000_000, 1_215_000_000, "geocoder")
    assert after == (before or 0) + 1
    assert outcome.problems[-1].severity == "warning"
    assert outcome.report.bad == 0


def test_a_geocoder_that_is_away_is_a_warning_for_each_address(run: Run, write: Write) -> None:
    write("premises.csv", [{**row, "lat": "", "lon": ""} for row in GOOD["premises.csv"]])
    outcome = run()

    def geocode(_address: str) -> geo.Place | None:
        raise GeocoderTimedOut("no answer")

    assert find_positions(geocode, outcome.report, lambda _done, _all: None) == 0
    assert outcome.codes == ["import.no_position"] * 3
    assert "GeocoderTimedOut" in outcome.problems[0].reason
