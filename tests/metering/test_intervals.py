"""Hourly values: taken once, corrected with their history, gaps found, charges estimated."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from sqlalchemy import select

from server.db import snapshot, transaction
from server.dues.models import ChargeEstimate
from server.dues.service import estimates
from server.metering.intervals.models import IntervalCorrection, IntervalReading
from server.metering.intervals.rules import HOUR, Gap, gaps, use_of
from server.metering.rules.consumption import Dial
from tests import world as worlds
from tests.desk.test_messages_api import Caller as TextCaller

START = datetime(2026, 11, 1, 0, tzinfo=UTC)


class Caller(TextCaller):
    """A terminal's head end with a personal token."""

    def take(self, *values, status=200):
        answer = self.client.post(
            "/api/v1/intervals", json={"values": list(values)}, headers=self.headers
        )
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def gaps(self, status=200, **query):
        answer = self.client.get("/api/v1/intervals/gaps", query_string=query, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.get_json()


@pytest.fixture
def world(app):
    return worlds.build(app, points=2)


@pytest.fixture
def head_end(app, world):
    return Caller(app, world, "head", "billing_clerk")


def shown(point, hour, value, **more):
    at = (START + hour * HOUR).isoformat()
    return {"meter_serial": point.serial, "at": at, "value": str(value), **more}


def test_hours_are_taken_once_corrected_with_history_and_bad_ones_refused(app, world, head_end):
    point = world.points[0]
    batch = [shown(point, hour, 1000 + hour) for hour in (0, 1, 2, 5, 9)]
    assert head_end.take(*batch)["stored"] == 5
    again = head_end.take(*reversed(batch))
    assert (again["same"], again["stored"], again["corrected"]) == (5, 0, 0)
    changed = head_end.take(shown(point, 5, 1006), shown(point, 6, 1007), shown(point, 6, 1008))
    assert (changed["corrected"], changed["stored"]) == (2, 1)
    bad = head_end.take(
        shown(point, 3, 1003),
        shown(point, 4, "1004.5"),
        {**shown(point, 4, 1004), "meter_serial": "nobody's"},
        {**shown(point, 4, 1004), "at": "2026-11-01T04:30:00Z"},
        shown(point, 24 * 60, 1),
        shown(point, 4, 1, register="peak"),
        shown(point, -24 * 900, 1),
    )
    assert [one["code"] for one in bad["refused"]] == [
        "interval.digits",
        "interval.unknown_meter",
        "interval.not_on_the_hour",
        "interval.future",
        "interval.register",
        "interval.not_installed",
    ]
    with app.app_context(), snapshot() as session:
        history = session.execute(
            select(IntervalReading.read_at, IntervalCorrection.value_before, IntervalReading.value)
            .join(IntervalReading, IntervalReading.id == IntervalCorrection.interval_reading_id)
            .order_by(IntervalCorrection.id)
        ).all()
    assert [tuple(row) for row in history] == [
        (START + 5 * HOUR, 1005, 1006),
        (START + 6 * HOUR, 1007, 1008),
    ]
    found = head_end.gaps(account_no=point.account_no, since=START.isoformat())
    (state,) = found["points"]
    assert (state["missing"], [gap["hours"] for gap in state["gaps"]]) == (3, [1, 2])
    assert head_end.gaps(account_no=world.points[1].account_no)["points"] == []
    head_end.gaps(422, account_no=point.account_no, since="2025-01-01T00:00:00Z")


def test_meters_of_others_are_unknown(app, world):
    stranger = Caller(app, world, "reader3", "meter_reader")
    point = world.points[0]
    (refused,) = stranger.take(shown(point, 0, 1000))["refused"]
    assert refused["code"] == "interval.unknown_meter"
    stranger.gaps(404, account_no=point.account_no)


def test_a_file_is_taken_in_part_and_again_without_effect(app, world, tmp_path):
    point = world.points[0]
    file = tmp_path / "hours.csv"
    lines = ["\ufeffmeter_serial,at,value", f"{point.serial},2026-11-01 08:00,1010"]
    lines += [f"{point.serial},2026-11-01 09:00,1020", f"{point.serial},yesterday,1", "X,,"]
    file.write_text("\n".join(lines), encoding="utf-8")
    runner = app.test_cli_runner()
    first = runner.invoke(args=["intervals", "import", str(file)])
    assert first.exit_code == 1
    assert "4 lines: 2 stored, 0 same, 0 corrected, 2 bad" in first.output
    assert "0 stored, 2 same" in runner.invoke(args=["intervals", "import", str(file)]).output
    with app.app_context(), snapshot() as session:
        hours = session.scalars(select(IntervalReading.read_at).order_by(IntervalReading.id)).all()
    assert hours == [START, START + HOUR]
    told = runner.invoke(args=["intervals", "gaps", point.account_no])
    assert "9 hours" not in told.output
    assert f"{point.point_no}:" in told.output


def test_the_charge_since_the_last_reading_is_estimated_to_the_cent(app, world, head_end):
    point = world.points[0]
    head_end.take(*[shown(point, hour, 1100 + 10 * hour) for hour in range(10)])
    with app.app_context():
        with transaction() as session:
            assert estimates.estimate(session, [point.account_id]) == 1
        with snapshot() as session:
            found = session.get_one(ChargeEstimate, point.account_id)
        assert (found.quantity, found.amount) == (Decimal(190), Decimal("102.22"))
        assert found.problem is None
        assert found.as_of == START + 9 * HOUR
        days = Decimal((found.as_of - found.from_at).total_seconds()) / 86400
        assert found.daily == (Decimal("102.22") / days).quantize(Decimal("0.01"))
    head_end.take(shown(point, 9, 900))
    with app.app_context():
        with transaction() as session:
            estimates.estimate(session, estimates.next_accounts(session))
        with snapshot() as session:
            found = session.get_one(ChargeEstimate, point.account_id)
        assert (found.problem, found.quantity) == (estimates.WENT_BACK, Decimal(0))


def test_gaps_are_between_hours_and_towards_both_ends():
    hours = [START + n * HOUR for n in (1, 2, 4)]
    assert gaps(hours) == [Gap(START + 3 * HOUR, START + 3 * HOUR)]
    found = gaps(hours, START, START + 6 * HOUR)
    assert [gap.hours for gap in found] == [1, 1, 2]
    assert gaps([], START, START + HOUR) == [Gap(START, START + HOUR)]


def test_use_passes_zero_where_that_is_likely_and_is_unknown_where_a_dial_goes_back():
    dial = Dial("total", 5)
    values = [Decimal(text) for text in ("99990", "5", "9", "2")]
    used = [use_of(a, b, dial, Decimal(2)) for a, b in pairwise(values)]
    assert used == [Decimal(30), Decimal(8), None]
