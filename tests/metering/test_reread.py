"""A re-read that takes the place of a confirmed reading: what is unbilled is found anew."""

from __future__ import annotations

import pytest

from server.audit import AuditEvent
from server.billing.models import Bill
from server.billing.service import bill_judged, reconcile
from server.db import transaction
from server.errors import Conflict, Forbidden
from server.identity.actor import Actor
from server.metering.models import Consumption, Reading, ReadingCheck, ReadOrder
from server.metering.service import open_orders, record, replace_confirmed
from server.review import ReviewItem
from tests.metering.test_decide import WIDE
from tests.metering.world import DUE, NOW, OTHER, READER, START, boss, build, october, rows, uuid

THIRD = Actor(kind="staff", id=1, name="抄表员1", staff_id=READER)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


@pytest.fixture
def world(session):
    """One point with an order for October, read as 1230 on the 29th."""
    made = build(session)
    open_orders(session, [made.route_id], "2026-10", DUE)
    order_id = rows(session, ReadOrder)[0].id
    first = made.capture(0, 1230, october(29), order_id=order_id, capture_uuid=uuid(1))
    record(session, [first], WIDE)
    return made


def uses(session):
    found = [use for use in rows(session, Consumption) if use.status == "active"]
    return [use.quantity for use in sorted(found, key=lambda use: use.to_at)]


def statuses(session):
    return [(r.value, r.status) for r in rows(session, Reading) if r.read_at > START]


def reread(session, world, value, at=NOW, **more):
    """The point is read again, for the same order."""
    given = {"order_id": rows(session, ReadOrder)[0].id, "source": "office", "staff_id": READER}
    (judged,) = record(session, [world.capture(0, value, at, **(given | more))], WIDE)
    return judged


def test_the_second_reading_of_an_order_may_replace_the_first(session, world):
    judged = reread(session, world, 1203)
    assert (judged.verdict, judged.code) == ("conflict", "reading.duplicate")
    (check,) = rows(session, ReadingCheck, code="reading.duplicate")
    assert check.detail == {"confirmed": "1230", "reread": "1203", "difference": "-27"}
    replaced = replace_confirmed(session, boss(), judged.reading_ids[0], "digits were swapped")
    assert statuses(session) == [(1230, "superseded"), (1203, "confirmed")]
    assert uses(session) == [203]
    (bill,) = bill_judged(session, [replaced])
    assert bill.quantity == 203
    assert rows(session, ReadOrder)[0].status == "done"
    assert [item.status for item in rows(session, ReviewItem)] == ["released"]
    (act,) = rows(session, AuditEvent, action="reading.superseded")
    assert (act.actor_id, act.after["by"]) == (OTHER, list(judged.reading_ids))
    assert reconcile(session) == []


def test_a_re_read_of_another_reader_asks_and_names_what_it_would_replace(session, world):
    record(session, [world.capture(0, 1300, october(30), reason="09")], WIDE)
    judged = reread(
        session, world, 1203, at=october(29, 9), supersedes=uuid(1), staff_id=OTHER, order_id=None
    )
    assert (judged.verdict, judged.code) == ("held", "reading.not_own")
    asked = rows(session, Reading, id=judged.reading_ids[0])[0]
    assert rows(session, Reading, id=asked.supersedes_id)[0].value == 1230
    replace_confirmed(session, THIRD, asked.id, "the second visit was right")
    assert uses(session) == [203, 97]
    assert rows(session, ReadOrder)[0].status == "done"
    assert reconcile(session) == []


def test_nobody_lets_his_own_re_read_stand(session, world):
    judged = reread(session, world, 1203, staff_id=OTHER)
    with pytest.raises(Forbidden) as own:
        replace_confirmed(session, boss(), judged.reading_ids[0], "mine is right")
    assert own.value.code == "reading.same_person"


def test_after_the_bill_it_stays_a_request_with_the_difference(session, world):
    first = rows(session, Reading, capture_uuid=uuid(1))[0]
    judged_first = record(session, [world.capture(0, 1240, october(30), reason="02")], WIDE)
    bill_judged(session, judged_first)
    assert rows(session, Bill)[0].quantity == 240
    judged = reread(session, world, 1203, at=october(29, 9), supersedes=uuid(1), source="device")
    assert (judged.verdict, judged.code) == ("held", "reading.billed")
    (item,) = rows(session, ReviewItem)
    assert item.detail["figures"] == {"confirmed": "1230", "reread": "1203", "difference": "-27"}
    with pytest.raises(Conflict) as billed:
        replace_confirmed(session, boss(), judged.reading_ids[0], "misread")
    assert billed.value.code == "reading.billed"
    assert rows(session, Reading, id=first.id)[0].status == "confirmed"
    assert uses(session) == [230, 10]


def test_a_held_reading_that_doubles_nothing_replaces_nothing(session, world):
    (judged,) = record(session, [world.capture(0, 9000, NOW, reason="09")])
    with pytest.raises(Conflict) as nothing:
        replace_confirmed(session, boss(), judged.reading_ids[0], "why not")
    assert nothing.value.code == "reading.nothing_to_replace"
