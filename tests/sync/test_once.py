"""Exactly once: whatever is repeated, doubled or interleaved has one effect and one answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import event, func, select

from server.billing.models import AccountBalance, Bill, Journal, LedgerLine
from server.billing.service import reconcile
from server.capture import types
from server.capture.models import CaptureEvent
from server.db import db, snapshot
from server.metering.models import Consumption, Reading, ReadOrder
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts


def count(app, model, *where):
    with app.app_context(), snapshot() as session:
        return session.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def test_one_reading_becomes_one_bill_one_journal_and_one_text(app, world, handheld):
    answer = handheld.push(worlds.reading(world.points[0], 1200))
    assert verdicts(answer) == ["applied"]
    with app.app_context(), snapshot() as session:
        bill = session.execute(select(Bill)).scalar_one()
        assert (str(bill.quantity.normalize()), str(bill.total.normalize())) == ("2E+2", "107.6")
        lines = session.execute(select(LedgerLine)).scalars().all()
        assert sum(line.debit - line.credit for line in lines) == 0
        balance = session.execute(
            select(AccountBalance).where(AccountBalance.account_id == world.points[0].account_id)
        ).scalar_one()
        assert balance.balance == -bill.total
        message = session.execute(select(OutboxMessage)).scalar_one()
        assert message.phone == world.points[0].phone
        assert "107.60" in message.text
        order = session.get_one(ReadOrder, world.points[0].order_id)
        assert order.status == "done"
        assert reconcile(session) == []


def test_story_1_a_batch_sent_three_times_has_one_effect_and_the_same_answer(app, world, handheld):
    """Field story 1: the reader loses the answers and sends again."""
    items = [worlds.reading(p, 1200 + n, n + 1) for n, p in enumerate(world.points)]
    first, second, third = (handheld.push(*items) for _ in range(3))
    assert verdicts(first) == ["applied"] * 3
    assert [r["replayed"] for r in first["results"]] == [False] * 3
    for again in (second, third):
        assert [r["replayed"] for r in again["results"]] == [True] * 3
        assert [(r["id"], r["verdict"], r["ack"]) for r in again["results"]] == [
            (r["id"], r["verdict"], r["ack"]) for r in first["results"]
        ]
    for model, expected in ((CaptureEvent, 3), (Bill, 3), (Journal, 3), (OutboxMessage, 3)):
        assert count(app, model) == expected


def test_an_item_that_is_twice_in_one_push_has_one_effect(app, world, handheld):
    item = worlds.reading(world.points[0], 1200)
    answer = handheld.push(item, item)
    assert [(r["verdict"], r["replayed"]) for r in answer["results"]] == [
        ("applied", False),
        ("applied", True),
    ]
    assert count(app, Bill) == 1


def test_a_held_verdict_is_replayed_with_its_reason(app, world, handheld):
    item = worlds.reading(world.points[0], 900)
    first, second = handheld.push(item)["results"][0], handheld.push(item)["results"][0]
    assert (first["verdict"], first["code"]) == ("held", "reading.below_previous")
    assert {**second, "replayed": False, "seq": None} == {**first, "seq": None}
    assert count(app, ReviewItem) == 1


def test_a_batch_from_two_connections_at_once_gets_the_same_verdicts_and_one_effect(app, world):
    items = [worlds.reading(p, 1200, n + 1) for n, p in enumerate(world.points)]
    items[1]["data"]["registers"][0]["value"] = "500"
    start = threading.Barrier(4)

    def send(_):
        start.wait()
        return Handheld(app, world.token).push(*items)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert all(verdicts(a) == ["applied", "held", "applied"] for a in answers)
    fresh = [[not r["replayed"] for r in a["results"]] for a in answers]
    assert [sum(column) for column in zip(*fresh, strict=True)] == [1, 1, 1]
    assert (count(app, CaptureEvent), count(app, Bill), count(app, Journal)) == (3, 2, 2)
    assert count(app, Reading, Reading.source == "device") == 3


def test_a_poisoned_item_is_found_and_its_neighbours_go_through(app, world, handheld, monkeypatch):
    items = [worlds.reading(p, 1200, n + 1) for n, p in enumerate(world.points)]
    guilty = items[1]["id"]
    honest = types.ITEM_TYPES["meter_reading.v1"]

    def failing(session, sender, batch):
        if any(str(item.uuid) == guilty for item in batch):
            raise ZeroDivisionError("a fault of ours")
        return honest.handle(session, sender, batch)

    broken = types.ItemType(honest.schema, failing)
    monkeypatch.setitem(types.ITEM_TYPES, "meter_reading.v1", broken)
    answer = handheld.push(*items)
    assert [r["id"] for r in answer["results"]] == [items[0]["id"], items[2]["id"]]
    assert answer["faults"] == [{"id": guilty, "code": "server.fault"}]
    assert answer["gaps"] == [[2, 2]]
    assert count(app, CaptureEvent) == 2
    assert count(app, ReviewItem, ReviewItem.reason == "capture.fault") == 1

    monkeypatch.setitem(types.ITEM_TYPES, "meter_reading.v1", honest)
    assert verdicts(handheld.push(items[1])) == ["applied"]
    assert count(app, Bill) == 3


def test_gaps_in_the_numbers_are_told_and_close(app, world, handheld):
    first = handheld.push(worlds.reading(world.points[0], 1200, 1))
    later = handheld.push(worlds.reading(world.points[2], 1200, 4))
    assert (first["received_through"], later["received_through"], later["gaps"]) == (1, 1, [[2, 3]])
    closing = handheld.push(worlds.reading(world.points[1], 1200, 2))
    assert (closing["received_through"], closing["gaps"]) == (2, [[3, 3]])


def test_story_3_tuesdays_batch_may_come_before_mondays(app, world, handheld):
    """Field story 3: what is true is decided by capture time, not by arrival."""
    tuesday = worlds.reading(world.points[1], 1210, 2)
    monday = worlds.reading(world.points[0], 1200, 1)
    assert verdicts(handheld.push(tuesday)) == ["applied"]
    assert verdicts(handheld.push(monday)) == ["applied"]


def test_story_4_a_second_reader_at_one_point_is_a_conflict_not_an_overwrite(app, world, handheld):
    """Field story 4."""
    handheld.push(worlds.reading(world.points[0], 1200, 1))
    answer = handheld.push(worlds.reading(world.points[0], 1250, 2))
    assert verdicts(answer) == ["conflict"]
    assert count(app, Bill) == 1


def test_the_number_of_statements_does_not_grow_with_the_batch(app):
    world = worlds.build(app, points=43)
    handheld = Handheld(app, world.token)
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def push(points):
        statements.clear()
        handheld.push(*[worlds.reading(p, 1200) for p in points])
        return len(statements)

    push(world.points[:1])
    few, many = push(world.points[1:3]), push(world.points[3:])
    assert count(app, Bill) == 43
    assert many == few


def test_two_readings_of_one_point_in_one_push_are_two_uses_on_one_bill(app, world, handheld):
    first = worlds.reading(world.points[0], 1200)
    later = worlds.READ_AT + timedelta(hours=1)
    data = {"read_order": None, "reason": "02"}
    second = worlds.reading(world.points[0], 1200, 2, at=later, data=data)
    answer = handheld.push(first, second)
    assert verdicts(answer) == ["applied"] * 2, answer["results"]
    with app.app_context(), snapshot() as session:
        bill = session.execute(select(Bill)).scalar_one()
        uses = session.execute(select(Consumption).where(Consumption.bill_id == bill.id)).scalars()
        assert sorted(use.quantity for use in uses) == [0, 200]
        assert bill.quantity == 200
        assert reconcile(session) == []
    assert count(app, OutboxMessage) == 1
