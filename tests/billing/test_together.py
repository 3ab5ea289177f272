"""Two connections at once: whoever comes second sees what the first has done."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

from sqlalchemy.exc import IntegrityError

from server.billing.models import Bill, Journal
from server.billing.service import bill_judged, bill_points, reconcile
from server.db import Session, transaction
from server.errors import Conflict
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.service import discard, open_orders, record, release
from tests.metering.world import DUE, NOW, boss, build, october, rows, uuid


def both_at_once(app, first: Callable[[Session], Any], second: Callable[[Session], Any]):
    """Run two transactions that start together; the loser of a race is tried again, as a push is."""
    start = Barrier(2)

    def run(act: Callable[[Session], Any]) -> Any:
        start.wait(timeout=60)
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


def one_inside_the_other(app, first: Callable[[Session], Any], second: Callable[[Session], Any]):
    """Run a transaction that starts when another has done its work and has not committed yet."""
    done = Event()

    def leading() -> Any:
        with app.app_context(), transaction() as session:
            answer = first(session)
            done.set()
            # Long enough for the other one to read what it may read and to wait at a lock.
            time.sleep(0.5)
            return answer

    def following() -> Any:
        done.wait(timeout=60)
        with app.app_context(), transaction() as session:
            return second(session)

    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(leading), pool.submit(following)]
        return [future.result(timeout=60) for future in started]


def held(app):
    """A world with a capture that waits for a decision: its ids of order and reading."""
    with app.app_context(), transaction() as session:
        world = build(session)
        record(session, [world.capture(0, 1100, october(10), reason="09")])
        open_orders(session, [world.route_id], "2026-10", DUE)
        order_id = rows(session, ReadOrder)[0].id
        much = world.capture(0, 9000, october(20), order_id=order_id, capture_uuid=uuid(1))
        judged = record(session, [much])[0]
        assert judged.code == "reading.high"
        return world, order_id, judged.reading_ids[0]


def test_a_capture_that_is_taken_back_while_it_is_released_stays_on_its_bill(app):
    world, order_id, reading_id = held(app)

    def decide(session):
        bill_judged(session, [release(session, boss(), reading_id, "seen")])

    def take_back(session):
        right = world.capture(
            0, 1230, NOW, order_id=order_id, capture_uuid=uuid(2), supersedes=uuid(1)
        )
        judged = record(session, [right])
        bill_judged(session, judged)
        return judged[0].code

    _, code = one_inside_the_other(app, decide, take_back)
    assert code in {"reading.billed", "reading.duplicate"}
    with app.app_context(), transaction() as session:
        (billed,) = rows(session, Consumption, reading_id=reading_id)
        assert (billed.status, billed.bill_id is not None) == ("active", True)
        assert session.get_one(Reading, reading_id).status == "confirmed"
        assert reconcile(session) == []


def test_an_order_that_is_read_while_an_earlier_capture_is_refused_stays_done(app):
    world, order_id, reading_id = held(app)

    def read(session):
        again = world.capture(0, 1240, october(21), order_id=order_id, capture_uuid=uuid(2))
        return record(session, [again])[0].verdict

    def refuse(session):
        discard(session, boss(), reading_id, "a slip of the finger")

    verdict, _ = one_inside_the_other(app, read, refuse)
    assert verdict == "applied"
    with app.app_context(), transaction() as session:
        assert session.get_one(ReadOrder, order_id).status == "done"
