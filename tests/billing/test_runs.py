from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from server import clock
from server.billing.models import Bill, BillRun, BillRunChunk
from server.billing.rules.estimate import estimated_value
from server.billing.service import reconcile, runs
from server.db import snapshot, transaction
from server.errors import Invalid, NotFound
from server.identity.actor import SYSTEM
from server.metering.models import Reading, ReadOrder
from server.metering.service import open_orders, record, release
from server.notify.models import OutboxMessage
from server.rounds.models import Route
from tests.billing.test_bills import WIDE
from tests.metering.world import DUE, NOW, boss, build, rows


class Killed(Exception):
    """A process that died before its commit."""


def world_of(app, points=5, read=True, **more):
    with app.app_context(), transaction() as session:
        world = build(session, points, read_and_bill=False, **more)
        open_orders(session, [world.route_id], "2026-10", DUE)
        if read:
            record(session, [world.capture(i, 1100 + i) for i in range(points)], WIDE)
    return world


def begin(app, **more):
    with app.app_context(), transaction() as session:
        return runs.begin(session, SYSTEM, "2026-10", chunk=2, **more)


def step(app, run_id, *, dies=False):
    with app.app_context(), transaction() as session:
        left = runs.step(session, run_id)
        if dies:
            raise Killed
        return left


def finish(app, run_id):
    while step(app, run_id):
        pass
    with app.app_context(), snapshot() as session:
        return runs.progress(session, [run_id])[0]


def test_a_run_bills_every_account_once_with_its_notice_and_says_how_far_it_is(app):
    world_of(app)
    run_id = begin(app)
    assert step(app, run_id)
    with app.app_context(), snapshot() as session:
        (half,) = runs.progress(session, [run_id])
    assert (half.status, half.done, half.accounts, half.bills) == ("running", 2, 5, 2)
    done = finish(app, run_id)
    assert (done.status, done.done, done.bills, done.waiting) == ("done", 5, 5, 0)
    with app.app_context(), snapshot() as session:
        bills = rows(session, Bill)
        assert len({bill.account_id for bill in bills}) == 5
        assert {bill.run_id for bill in bills} == {run_id}
        assert done.total == sum(bill.total for bill in bills)
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 5
        assert reconcile(session) == []


def test_a_killed_run_goes_on_where_it_was_and_no_account_is_billed_twice_or_left_out(app):
    world_of(app)
    run_id = begin(app)
    step(app, run_id)
    with pytest.raises(Killed):
        step(app, run_id, dies=True)
    assert begin(app) == run_id
    assert finish(app, run_id).bills == 5
    again = begin(app)
    assert again != run_id
    assert finish(app, again).bills == 0
    with app.app_context(), snapshot() as session:
        assert session.scalar(select(func.count()).select_from(Bill)) == 5


def test_accounts_without_a_reading_wait_unless_estimates_are_wanted(app):
    world_of(app, 2, read=False)
    assert finish(app, begin(app)).waiting == 2
    clock.set(NOW + timedelta(days=8))
    with app.app_context(), transaction() as session:
        for order in rows(session, ReadOrder):
            order.expectations = {"total": {"previous": "1000", "expected": "90.6", "days": "30"}}
    done = finish(app, begin(app, estimate_missing=True))
    assert (done.bills, done.estimates, done.waiting) == (2, 2, 0)
    with app.app_context(), snapshot() as session:
        assert {bill.estimated for bill in rows(session, Bill)} == {True}
        estimates = [r for r in rows(session, Reading) if r.quality == "system_estimate"]
        assert {r.source for r in estimates} == {"system"}
        assert reconcile(session) == []


def test_r14_after_two_estimates_a_special_read_order_is_opened_and_the_account_waits(app):
    world = world_of(app, 1, read=False)
    for month, bills in ((10, 1), (11, 1), (12, 0)):
        due = date(2026, month, 28)
        clock.set(datetime(2026, month, 29, 3, tzinfo=UTC))
        period = f"2026-{month}"
        with app.app_context(), transaction() as session:
            open_orders(session, [world.route_id], period, due)
            for order in rows(session, ReadOrder):
                order.expectations = {"total": {"expected": "90", "days": "30"}}
                order.due = min(order.due, due)
            run_id = runs.begin(session, SYSTEM, period, estimate_missing=True)
        assert finish(app, run_id).bills == bills
    with app.app_context(), snapshot() as session:
        special = [order for order in rows(session, ReadOrder) if order.reason == "02"]
        assert [(order.period, order.status) for order in special] == [("2026-12", "open")]


def test_r15_after_an_estimate_the_actual_reading_bills_just_the_rest(app):
    world = world_of(app, 1, read=False)
    with app.app_context(), transaction() as session:
        (order,) = rows(session, ReadOrder)
        order.expectations = {"total": {"expected": "300", "days": "30"}}
        order.due = date(2026, 10, 31)
    finish(app, begin(app, estimate_missing=True))
    later = datetime(2026, 11, 30, 3, tzinfo=UTC)
    clock.set(later)
    with app.app_context(), transaction() as session:
        open_orders(session, [world.route_id], "2026-11", later.date())
        (judged,) = record(session, [world.capture(0, 1250, later)], WIDE)
        release(session, boss(), judged.reading_ids[0], "the estimate was too high")
        run_id = runs.begin(session, SYSTEM, "2026-11")
    finish(app, run_id)
    with app.app_context(), snapshot() as session:
        first, second = rows(session, Bill)
        assert first.quantity + second.quantity == 250
        assert (first.estimated, second.estimated) == (True, False)
        assert second.total < 0
        assert reconcile(session) == []


def test_a_later_reading_and_routes_billed_on_reading_are_left_to_their_own_bills(app):
    world = world_of(app, 1)
    later = datetime(2026, 11, 30, 3, tzinfo=UTC)
    clock.set(later)
    with app.app_context(), transaction() as session:
        open_orders(session, [world.route_id], "2026-11", later.date())
        record(session, [world.capture(0, 1200, later)], WIDE)
    finish(app, begin(app))
    with app.app_context(), transaction() as session:
        (bill,) = rows(session, Bill)
        assert (bill.period, bill.quantity) == ("2026-10", 100)
        session.get_one(BillRun, bill.run_id)
        session.get_one(Route, world.route_id).read_and_bill = True
    assert finish(app, begin(app)).accounts == 0


def test_a_run_needs_a_period_and_a_route_that_exist(app):
    world_of(app, 1)
    with app.app_context(), transaction() as session:
        with pytest.raises(Invalid, match="YYYY-MM"):
            runs.begin(session, SYSTEM, "2026-13")
        with pytest.raises(NotFound):
            runs.begin(session, SYSTEM, "2026-10", 999)
        with pytest.raises(NotFound):
            runs.step(session, 999)
        run_id = runs.begin(session, SYSTEM, "2026-10")
        runs.stop(session, SYSTEM, run_id)
        assert runs.step(session, run_id) is False
        assert session.scalar(select(BillRunChunk.done_at)) is None


@pytest.mark.parametrize(
    ("previous", "expected", "multiplier", "unit", "value"),
    [
        ("1000", "90.9", "1", "1", "1090"),
        ("1000", "90.9", "10", "1", "1009"),
        ("99990", "20", "1", "1", "10"),
        ("1000", "-5", "1", "1", "1000"),
        ("0.5", "0.29", "1", "0.1", "0.7"),
    ],
)
def test_an_estimate_is_what_the_dial_would_show_rounded_down(
    previous, expected, multiplier, unit, value
):
    found = estimated_value(
        Decimal(previous),
        Decimal(expected),
        Decimal(multiplier),
        Decimal(unit),
        Decimal(100_000),
    )
    assert found == Decimal(value)
