"""Two transactions that wait for each other: the database ends one, which is then run again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from server import review
from server.capture import settle
from server.capture.api import readings as readings_api
from server.capture.ingest import ingest
from server.capture.items import Item, Sender
from server.capture.models import DeviceSequence
from server.capture.parse import parse_item
from server.console.views import readings as readings_view
from server.db import carry_out, insert_rows, snapshot, transaction
from server.feed import FeedScope
from server.metering.models import Reading
from server.review import ReviewItem
from server.sync.sequences import note_received
from tests import world as worlds
from tests.capture.test_readings_api import person
from tests.console.office import Desk, hire, key

two_writers = pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)


class Chosen(Exception):
    """What the driver raises for the transaction that ends a deadlock."""

    sqlstate = "40P01"


def deadlock():
    return OperationalError("UPDATE", {}, Chosen())


@pytest.fixture
def failing_once(monkeypatch):
    """Have a function of a module fail with a deadlock the first time it is called."""

    def arrange(module, name):
        real, calls = getattr(module, name), []

        def once(*args, **more):
            calls.append(name)
            if len(calls) == 1:
                raise deadlock()
            return real(*args, **more)

        monkeypatch.setattr(module, name, once)
        return calls

    return arrange


def in_parallel(*works):
    """Run functions at once, each in a thread of its own; their failures are raised here."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(work) for work in works]]


@two_writers
def test_two_that_lock_the_same_rows_in_opposite_order_both_get_through(app):
    names, meet, runs = ["a", "b"], threading.Barrier(2, timeout=60), []
    with app.app_context(), transaction() as session:
        insert_rows(session, FeedScope, [{"scope": name, "seq": 0} for name in names])

    def add_in(order):
        def work(session):
            first_time = order not in runs
            runs.append(order)
            session.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
            for name in order:
                row = session.scalars(
                    select(FeedScope).where(FeedScope.scope == name).with_for_update()
                ).one()
                row.seq += 1
                session.flush()
                if first_time and name == order[0]:
                    meet.wait()

        def run():
            with app.app_context():
                carry_out(work)

        return run

    in_parallel(add_in(names), add_in(names[::-1]))
    assert len(runs) == 3
    with app.app_context(), snapshot() as session:
        assert [row.seq for row in session.scalars(select(FeedScope))] == [2, 2]


def test_what_is_ended_every_time_fails_and_leaves_nothing(app):
    def work(session):
        insert_rows(session, FeedScope, [{"scope": "a", "seq": 0}])
        raise deadlock()

    with app.app_context():
        with pytest.raises(OperationalError):
            carry_out(work)
        with snapshot() as session:
            assert session.scalars(select(FeedScope)).all() == []


def test_readings_decisions_and_hand_overs_are_tried_again(app, failing_once):
    """Each of them answered 500 before, and was not done."""
    world = worlds.build(app)
    token = person(app, world, "api", ["billing_clerk"])
    clerk = hire(app, "clerk", "billing_clerk")
    manager = hire(app, "manager", "manager", world.team_id)
    held = key(app, clerk, world.points[0], 9000)
    calls = failing_once(readings_api, "record_office_readings")
    body = {
        "point_no": world.points[1].point_no,
        "read_at": worlds.READ_AT.isoformat(),
        "registers": [{"kind": "total", "value": "1200"}],
    }
    answer = app.test_client().post(
        "/api/v1/readings",
        json={"readings": [body]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, len(calls)) == (200, 2)
    desk = Desk(app, manager)
    calls = failing_once(review, "reassign")
    with app.app_context(), snapshot() as session:
        item = session.scalars(select(ReviewItem.id)).one()
    desk.post(f"/review/{item}/owner", owner=str(manager))
    assert len(calls) == 2
    calls = failing_once(settle, "release_reading")
    desk.post(f"/review/{item}", way="release", why="seen")
    assert len(calls) == 2
    calls = failing_once(readings_view, "record_office_readings")
    form = {"point_no": world.points[2].point_no, "value.total": "1200"}
    Desk(app, clerk).post("/readings/new", **form, read_at="2026-11-01T10:00", source="office")
    assert len(calls) == 2
    with app.app_context(), snapshot() as session:
        assert session.get_one(Reading, held).status == "confirmed"
        assert session.get_one(ReviewItem, item).owner_id == manager
        found = session.scalars(select(Reading.status).where(Reading.source == "office")).all()
        assert found == ["confirmed"] * 3


@two_writers
def test_two_pushes_of_one_device_do_not_wait_for_each_other_in_a_ring(app, settings):
    """Both have stored items of the device; a lock that foreign keys wait for would end one."""
    world = worlds.build(app, points=2)
    meet = threading.Barrier(2, timeout=60)

    def push(n):
        def run():
            item = parse_item(worlds.reading(world.points[n], 1200, n + 1))
            assert isinstance(item, Item)
            now = worlds.NOW
            sender = Sender(world.device_id, world.reader_id, "A", False, now, None, settings)
            with app.app_context(), transaction() as session:
                session.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
                ingest(session, sender, [item])
                meet.wait()
                note_received(session, world.device_id, [n + 1])

        return run

    in_parallel(push(0), push(1))
    with app.app_context(), snapshot() as session:
        (run,) = session.scalars(select(DeviceSequence)).all()
        assert (run.first, run.last) == (1, 2)
