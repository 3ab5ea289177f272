"""Two connections at once: whoever comes second sees what the first has done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from sqlalchemy.exc import IntegrityError

from server.billing.models import Bill, Journal
from server.billing.service import bill_judged, bill_points, reconcile
from server.db import Session, transaction
from server.errors import Conflict
from server.metering.models import Consumption, ReadOrder
from server.metering.service import open_orders, record
from tests.metering.world import DUE, NOW, build, october, rows


def both_at_once(app, first: Callable[[Session], Any], second: Callable[[Session], Any]):
    """Run two transactions that start together; the loser of a race is tried again, as a push is."""
    start = Barrier(2)

    def run(act: Callable[[Session], Any]) -> Any:
        start.wait(timeout=20)
        for attempt in range(3):
            try:
                with app.app_context(), transaction() as session:
                    return act(session)
            except (Conflict, IntegrityError):
                if attempt == 2:
                    raise
        return None

    with ThreadPoolExecutor(2) as pool:
        return [
            future.result(timeout=60)
            for future in [pool.submit(run, first), pool.submit(run, second)]
        ]


def made(app, **more):
    with app.app_context(), transaction() as session:
        world = build(session, **more)
        open_orders(session, [world.route_id], "2026-10", DUE)
        return world, rows(session, ReadOrder)[0].id


def test_two_captures_of_one_order_at_the_same_time_give_one_bill_and_one_conflict(app):
    world, order_id = made(app)
    captures = [
        world.capture(0, 1230, NOW, order_id=order_id),
        world.capture(0, 1231, NOW.replace(minute=1), order_id=order_id),
    ]

    def settle(capture):
        def act(session):
            judged = record(session, [capture])
            bill_judged(session, judged)
            return judged[0].verdict

        return act

    assert sorted(both_at_once(app, *map(settle, captures))) == ["applied", "conflict"]
    with app.app_context(), transaction() as session:
        assert len(rows(session, Bill)) == len(rows(session, Journal)) == 1
        assert len(rows(session, Consumption)) == 1
        assert reconcile(session) == []


def test_two_bill_runs_over_the_same_points_bill_every_use_once(app):
    world, _ = made(app, points=5, read_and_bill=False)
    with app.app_context(), transaction() as session:
        record(session, [world.capture(i, 1230) for i in range(5)])

    def run(points):
        return lambda session: len(bill_points(session, points))

    given = both_at_once(app, run(world.points), run(world.points[::-1]))
    assert sorted(given) == [0, 5]
    with app.app_context(), transaction() as session:
        assert len(rows(session, Bill)) == 5
        assert reconcile(session) == []


def test_a_late_reading_and_a_bill_run_at_the_same_time_leave_the_books_right(app):
    world, _ = made(app, read_and_bill=False)
    with app.app_context(), transaction() as session:
        record(session, [world.capture(0, 1230)])
    late = world.capture(0, 1100, october(14), reason="09")

    def split(session):
        return record(session, [late])[0].verdict

    def run(session):
        return len(bill_points(session, world.points))

    verdict, bills = both_at_once(app, split, run)
    assert (verdict, bills) in {("applied", 1), ("held", 1)}
    with app.app_context(), transaction() as session:
        assert sum(bill.quantity for bill in rows(session, Bill)) == 230
        assert reconcile(session) == []
