"""Two at once: runs that share a period, a bill cancelled while others are issued."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from server import clock
from server.billing.models import Bill
from server.billing.service import bill_points, runs
from server.books.proof import differences
from server.db import snapshot, transaction
from server.dues.service import cancel_bill
from server.identity.actor import SYSTEM
from server.metering.service import open_orders, record
from tests.billing.test_bills import WIDE
from tests.billing.test_together import both_at_once
from tests.metering.world import DUE, build, rows

NOVEMBER = datetime(2026, 11, 30, 3, tzinfo=UTC)


def made(app, points):
    with app.app_context(), transaction() as session:
        world = build(session, points, read_and_bill=False)
        open_orders(session, [world.route_id], "2026-10", DUE)
        record(session, [world.capture(i, 1100 + i) for i in range(points)], WIDE)
    return world


def test_two_processes_share_a_run_and_bill_every_account_once(app):
    made(app, 12)

    def work(session):
        return runs.begin(session, SYSTEM, "2026-10", chunk=2)

    one, two = both_at_once(app, work, work)
    assert one == two

    def until_done(session):
        while runs.step(session, one):
            pass

    both_at_once(app, until_done, until_done)
    both_at_once(app, until_done, until_done)
    with app.app_context(), snapshot() as session:
        (done,) = runs.progress(session, [one])
        assert (done.status, done.bills) == ("done", 12)
        bills, accounts = session.execute(
            select(func.count(), func.count(Bill.account_id.distinct()))
        ).one()
        assert (bills, accounts) == (12, 12)
        assert list(differences(session)) == []


def test_a_bill_cancelled_while_the_next_one_is_issued_leaves_the_books_right(app):
    world = made(app, 1)
    with app.app_context(), transaction() as session:
        (first,) = bill_points(session, world.points)
        clock.set(NOVEMBER)
        open_orders(session, [world.route_id], "2026-11", NOVEMBER.date())
        record(session, [world.capture(0, 1400, NOVEMBER)], WIDE)

    def cancel(session):
        return cancel_bill(session, SYSTEM, first.id, "misread", again=True)

    def bill(session):
        return bill_points(session, world.points)

    both_at_once(app, cancel, bill)
    with app.app_context(), transaction() as session:
        bill_points(session, world.points)
        standing = [b for b in rows(session, Bill) if b.kind == "bill" and b.status == "issued"]
        assert sum(bill.quantity for bill in standing) == 400
        assert list(differences(session)) == []
