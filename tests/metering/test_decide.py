from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DatabaseError

from server.accounts.models import Installation, Meter, Register
from server.audit import AuditEvent
from server.billing.models import Bill, UsageYear
from server.billing.service import bill_judged, reconcile
from server.db import transaction
from server.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service import (
    DialEntry,
    NewRegister,
    discard,
    exchange_meter,
    move,
    open_orders,
    record,
    release,
)
from server.review import ReviewItem
from tests.metering.world import (
    DUE,
    NOW,
    OTHER,
    READER,
    START,
    boss,
    build,
    october,
    rows,
    uuid,
)

WIDE = LimitBook(CheckLimits(slack=Decimal(100_000)))


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


@pytest.fixture
def world(session):
    made = build(session)
    record(session, [made.capture(0, 1100, october(10), reason="09")])
    open_orders(session, [made.route_id], "2026-10", DUE)
    return made


def held(session, world, value=9000, **more):
    (judged,) = record(session, [world.capture(0, value, **more)])
    assert judged.verdict == "held"
    return judged.reading_ids[0]


def active(session):
    found = [use for use in rows(session, Consumption) if use.status == "active"]
    return [use.quantity for use in sorted(found, key=lambda use: use.to_at)]


def test_a_released_reading_is_confirmed_and_can_be_billed(session, world):
    reading_id = held(session, world)
    judged = release(session, boss(), reading_id, "seen the new heat pump")
    assert (judged.verdict, judged.bill_now) == ("applied", True)
    assert active(session) == [100, 7900]
    reading = rows(session, Reading, id=reading_id)[0]
    assert (reading.status, reading.released_by_id) == ("confirmed", OTHER)
    assert rows(session, ReadOrder)[0].status == "done"
    assert [item.status for item in rows(session, ReviewItem)] == ["released"]
    assert "reading.released" in {event.action for event in rows(session, AuditEvent)}
    (bill,) = bill_judged(session, [judged])
    assert bill.quantity == 8000


def test_nobody_releases_or_discards_his_own_reading(session, world):
    reading_id = held(session, world)
    himself = Actor(kind="staff", id=READER, name="抄表员1", staff_id=READER)
    for decide in (release, discard):
        with pytest.raises(Forbidden) as caught:
            decide(session, himself, reading_id, "fine")
        assert caught.value.code == "reading.same_person"


def test_a_decision_needs_a_reason_and_a_held_reading(session, world):
    reading_id = held(session, world)
    with pytest.raises(Invalid) as no_reason:
        release(session, boss(), reading_id, "  ")
    with pytest.raises(NotFound) as unknown:
        release(session, boss(), 999_999, "fine")
    release(session, boss(), reading_id, "fine")
    with pytest.raises(Conflict) as twice:
        release(session, boss(), reading_id, "fine")
    codes = [error.value.code for error in (no_reason, unknown, twice)]
    assert codes == ["reading.why", "reading.unknown", "reading.not_held"]


def test_a_discarded_reading_opens_its_order_again(session, world):
    reading_id = held(session, world)
    discard(session, boss(), reading_id, "misread")
    assert rows(session, Reading, id=reading_id)[0].status == "discarded"
    assert rows(session, ReadOrder)[0].status == "open"
    assert [item.status for item in rows(session, ReviewItem)] == ["discarded"]
    (judged,) = record(session, [world.capture(0, 1230, NOW.replace(minute=2))], WIDE)
    assert judged.verdict == "applied"


def test_a_reading_below_an_actual_one_is_never_released_as_negative(session, world):
    reading_id = held(session, world, 1050)
    with pytest.raises(Conflict) as caught:
        release(session, boss(), reading_id, "looks right")
    assert caught.value.code == "reading.below_previous"
    assert caught.value.details == {"previous": "1100"}


def test_a_person_may_say_that_the_dial_passed_zero(session, world):
    reading_id = held(session, world, 1050)
    release(session, boss(), reading_id, "dial passed zero, seen", rollover=True)
    assert active(session) == [100, 99_950]


def test_below_an_estimate_a_release_becomes_a_credit_and_the_year_is_right(session):
    world = build(session)
    bill_judged(
        session,
        record(
            session,
            [world.capture(0, 1300, october(15), quality="office_estimate", source="office")],
        ),
    )
    reading_id = held(session, world, 1250)
    (bill,) = bill_judged(session, [release(session, boss(), reading_id, "estimate too high")])
    assert (bill.quantity, bill.total) == (Decimal(-50), Decimal("-26.90"))
    assert rows(session, UsageYear)[0].quantity == 250
    assert sum(b.total for b in rows(session, Bill)) == Decimal("134.50")
    assert reconcile(session) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"meter_serial": "other"}, "reading.not_installed"),
        ({"registers": (DialEntry("peak", Decimal(5)),)}, "reading.register"),
        ({"registers": (DialEntry("total", Decimal(500_000)),)}, "reading.digits"),
        ({"service_point_id": 4242}, "reading.not_installed"),
    ],
)
def test_a_release_cannot_overrule_what_the_meter_is(session, world, change, code):
    reading_id = held(session, world, **change)
    with pytest.raises(DomainError) as caught:
        release(session, boss(), reading_id, "fine")
    assert caught.value.code == code


def test_a_second_reading_of_an_order_can_only_be_discarded(session, world):
    order_id = rows(session, ReadOrder)[0].id
    record(session, [world.capture(0, 1230, october(30), order_id=order_id)], WIDE)
    (second,) = record(session, [world.capture(0, 1240, order_id=order_id)], WIDE)
    with pytest.raises(Conflict) as caught:
        release(session, boss(), second.reading_ids[0], "fine")
    assert caught.value.code == "reading.duplicate"
    discard(session, boss(), second.reading_ids[0], "second reader")
    assert rows(session, ReadOrder)[0].status == "done"


def test_a_released_late_reading_splits_the_unbilled_use(session, world):
    reading_id = held(session, world, 1050, at=october(20), reason="09")
    discard(session, boss(), reading_id, "misread")
    late = held(session, world, 3000, at=october(20), reason="09")
    record(session, [world.capture(0, 3100, NOW)], WIDE)
    following = [r for r in rows(session, Reading) if r.status == "held" and r.id != late]
    release(session, boss(), late, "seen")
    release(session, boss(), following[0].id, "seen")
    assert active(session) == [100, 1900, 100]


def test_all_registers_of_a_capture_are_released_together(session):
    world = build(session, kinds=("total", "peak", "valley"))
    values = (("total", 1200), ("peak", 1160), ("valley", 1100))
    entries = tuple(DialEntry(kind, Decimal(value)) for kind, value in values)
    (judged,) = record(session, [world.capture(0, 0, registers=entries, capture_uuid=uuid(7))])
    assert judged.code == "reading.tou_sum"
    released = release(session, boss(), judged.reading_ids[1], "meter test passed")
    assert released.reading_ids == judged.reading_ids
    assert sorted(active(session)) == [100, 160, 200]


# --- exchange -----------------------------------------------------------------------------


def exchange(session, world, *, final=1150, initial=7, at=None, serial="N0001", **more):
    return exchange_meter(
        session,
        boss(),
        world.points[0],
        finals={"total": Decimal(final)},
        serial=serial,
        registers=[NewRegister("total", Decimal(initial), integer_digits=6)],
        at=at or october(20),
        **more,
    )


def test_an_exchange_bills_the_shares_of_both_meters(session, world):
    made = exchange(session, world, multiplier=Decimal(2))
    assert len(made.consumption_ids) == 1
    (judged,) = record(session, [world.capture(0, 37, meter_serial="N0001")], WIDE)
    assert judged.verdict == "applied"
    assert active(session) == [100, 50, 60]
    (bill,) = bill_judged(session, [judged])
    assert bill.quantity == (1150 - 1000) + (37 - 7) * 2
    old, new = rows(session, Installation)
    assert (old.removed_at, new.installed_at, new.multiplier) == (october(20), october(20), 2)
    assert [meter.status for meter in rows(session, Meter)] == ["removed", "in_service"]
    assert [r.reason for r in rows(session, Reading) if r.reason in ("21", "22")] == ["22", "21"]


def test_a_reading_of_the_new_dial_under_the_old_serial_is_held_and_moved_by_one_act(
    session, world
):
    exchange(session, world, at=october(20, 2))
    reading_id = held(session, world, 9, at=october(20, 3))
    assert rows(session, Reading, id=reading_id)[0].code == "reading.not_installed"
    judged = move(session, boss(), reading_id, "meter was exchanged at ten", WIDE)
    assert judged.verdict == "applied"
    old, new = (rows(session, Reading, id=i)[0] for i in (reading_id, judged.reading_ids[0]))
    assert (old.status, old.meter_serial, old.value) == ("superseded", world.serials[0], 9)
    assert (new.meter_serial, new.supersedes_id, new.staff_id) == ("N0001", old.id, READER)
    assert active(session) == [100, 50, 2]
    assert [item.status for item in rows(session, ReviewItem)] == ["corrected"]


def test_an_exchange_that_contradicts_the_readings_is_refused(session, world):
    cases: list[tuple[dict[str, Any], str]] = [
        ({"final": 1050}, "reading.below_previous"),
        ({"final": 100_000}, "reading.digits"),
        ({"initial": 1_000_000}, "reading.digits"),
        ({"at": october(5)}, "exchange.read_after"),
        ({"at": START - timedelta(days=800)}, "exchange.no_meter"),
        ({"at": NOW + timedelta(hours=1)}, "exchange.future"),
        ({"serial": world.serials[0]}, "exchange.meter_in_use"),
    ]
    for change, code in cases:
        with pytest.raises(DomainError) as caught:
            exchange(session, world, **change)
        assert caught.value.code == code
    assert len(rows(session, Installation)) == 1


def test_a_meter_that_came_back_from_repair_can_be_hung_again(session, world):
    spare = Meter(serial="N0001", status="spare")
    session.add(spare)
    session.flush()
    session.add(Register(meter_id=spare.id, kind="total", integer_digits=6))
    session.flush()
    exchange(session, world)
    assert [meter.serial for meter in rows(session, Meter)] == [world.serials[0], "N0001"]


# --- append-only --------------------------------------------------------------------------


def test_a_confirmed_reading_and_its_use_cannot_be_changed_or_deleted(app):
    with app.app_context(), transaction() as session:
        world = build(session)
        record(session, [world.capture(0, 1230)])
    for statement in (
        update(Reading).values(value=Decimal(1)),
        update(Reading).values(read_at=START),
        update(Consumption).values(quantity=Decimal(1)),
        delete(Consumption),
    ):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            app.app_context(),
            transaction() as session,
        ):
            session.execute(statement)


def test_the_database_refuses_a_second_confirmed_reading_of_an_order(app):
    with app.app_context(), transaction() as session:
        world = build(session)
        open_orders(session, [world.route_id], "2026-10", DUE)
        (judged,) = record(session, [world.capture(0, 1230)])
        first = rows(session, Reading, id=judged.reading_ids[0])[0]
        twin = {
            column.name: getattr(first, column.name)
            for column in Reading.__table__.columns
            if column.name not in ("id", "capture_uuid")
        }
    with pytest.raises(DatabaseError), app.app_context(), transaction() as session:
        session.add(Reading(**twin))
