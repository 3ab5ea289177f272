from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import update

from server.accounts.models import Installation, ServicePoint
from server.billing.service import bill_judged
from server.db import transaction
from server.errors import Invalid
from server.metering.models import Consumption, Reading, ReadingCheck, ReadOrder, Skip
from server.metering.rules.limits import CheckLimits, LimitBook
from server.metering.service import (
    DevicePlace,
    DialEntry,
    NewReading,
    NewSkip,
    open_orders,
    record,
    skip,
)
from server.review import ReviewItem
from tests.metering.world import (
    DUE,
    NOW,
    OTHER,
    START,
    build,
    october,
    rows,
    statements,
    uuid,
)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


def uses(session):
    return [
        (use.quantity, use.from_at, use.to_at)
        for use in sorted(rows(session, Consumption), key=lambda use: use.to_at)
        if use.status == "active"
    ]


def test_a_good_reading_is_confirmed_with_its_use(session):
    world = build(session)
    (judged,) = record(session, [world.capture(0, 1230)])
    assert (judged.verdict, judged.code, judged.bill_now) == ("applied", None, True)
    assert uses(session) == [(Decimal(230), START, NOW)]
    reading = rows(session, Reading)[-1]
    assert (reading.status, reading.value) == ("confirmed", Decimal(1230))
    assert judged.reading_ids == (reading.id,)
    assert judged.consumption_ids == (rows(session, Consumption)[0].id,)


def test_the_order_of_a_point_is_done_by_its_reading(session):
    world = build(session)
    assert open_orders(session, [world.route_id], "2026-10", DUE) == 1
    (judged,) = record(session, [world.capture(0, 1230)])
    (order,) = rows(session, ReadOrder)
    assert order.status == "done"
    assert order.expectations == {"total": {"previous": "1000"}}
    assert judged.order_id == order.id


def test_orders_are_opened_once_for_a_period(session):
    world = build(session, points=3)
    assert open_orders(session, [world.route_id], "2026-10", DUE) == 3
    assert open_orders(session, [world.route_id], "2026-10", DUE) == 0
    with pytest.raises(Invalid) as caught:
        open_orders(session, [world.route_id], "2026-13", DUE)
    assert caught.value.code == "order.period"


def test_a_control_reading_can_be_ordered_again_once_the_first_is_done(session):
    world = build(session)
    assert open_orders(session, [world.route_id], "2026-10", DUE, "10") == 1
    assert open_orders(session, [world.route_id], "2026-10", DUE, "10") == 0
    order_id = rows(session, ReadOrder)[0].id
    record(session, [world.capture(0, 1230, reason="10", order_id=order_id)])
    assert open_orders(session, [world.route_id], "2026-10", DUE, "10") == 1


def test_an_order_says_what_to_expect_from_the_uses_before(session):
    world = build(session)
    record(session, [world.capture(0, 1300)])
    open_orders(session, [world.route_id], "2026-11", DUE.replace(month=11, day=30))
    expected = rows(session, ReadOrder)[0].expectations["total"]
    assert expected["previous"] == "1300"
    assert Decimal(expected["expected"]) == pytest.approx(Decimal(291), abs=5)
    assert Decimal(expected["low"]) < Decimal(expected["expected"]) < Decimal(expected["high"])


def test_a_second_reader_of_an_order_is_a_conflict_and_changes_nothing(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    (order,) = rows(session, ReadOrder)
    record(session, [world.capture(0, 1230)])
    second = world.capture(0, 1235, october(31, 8), order_id=order.id, staff_id=OTHER)
    (judged,) = record(session, [second])
    assert (judged.verdict, judged.code) == ("conflict", "reading.duplicate")
    assert uses(session) == [(Decimal(230), START, NOW)]
    assert rows(session, Reading)[-1].status == "held"
    assert [item.reason for item in rows(session, ReviewItem)] == ["reading.duplicate"]


def test_two_readers_of_one_order_in_one_batch_are_a_conflict_too(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    order_id = rows(session, ReadOrder)[0].id
    first = world.capture(0, 1230, order_id=order_id)
    second = world.capture(0, 1231, october(31, 9), order_id=order_id, staff_id=OTHER)
    verdicts = [j.verdict for j in record(session, [second, first])]
    assert verdicts == ["conflict", "applied"]


def test_a_reading_below_the_previous_one_is_held_for_review(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    (judged,) = record(session, [world.capture(0, 990)])
    assert (judged.verdict, judged.code) == ("held", "reading.below_previous")
    assert judged.field == "registers.total"
    assert not judged.bill_now
    assert uses(session) == []
    assert rows(session, ReadOrder)[0].status == "held"
    (item,) = rows(session, ReviewItem)
    assert (item.subject_id, item.route_id) == (str(judged.reading_ids[0]), world.route_id)
    (check,) = rows(session, ReadingCheck)
    assert (check.rule, check.severity, check.detail["previous"]) == ("V6", "hold", "1000")


def test_the_dial_may_pass_zero(session):
    world = build(session, start_value=99_800)
    record(session, [world.capture(0, 200)])
    (use,) = rows(session, Consumption)
    assert (use.quantity, use.method) == (Decimal(400), "rollover")


def test_the_multiplier_of_the_installation_counts(session):
    world = build(session, multiplier="30")
    record(session, [world.capture(0, 1010)])
    assert uses(session)[0][0] == Decimal(300)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"service_point_id": 987_654}, "reading.unknown_point"),
        ({"service_point_id": None}, "reading.unknown_point"),
        ({"service_point_id": 2**70}, "reading.unknown_point"),
        ({"meter_serial": "nobody's"}, "reading.not_installed"),
        ({"registers": (DialEntry("peak", Decimal(1)),)}, "reading.register"),
        ({"registers": (DialEntry("total", Decimal(100_000)),)}, "reading.digits"),
        ({"registers": (DialEntry("total", Decimal("1200.5")),)}, "reading.digits"),
        ({"registers": (DialEntry("total", Decimal("1e30")),)}, "reading.digits"),
        ({"registers": (DialEntry("total", Decimal(-5)),)}, "reading.digits"),
        ({"read_at": october(31, 4)}, "reading.future"),
        ({"read_at": START.replace(year=1970)}, "reading.not_installed"),
        ({"read_at": START.replace(year=1)}, "reading.not_installed"),
        ({"read_at": START.replace(year=9999, month=12, day=31)}, "reading.future"),
        ({"read_at": START}, "reading.same_time"),
    ],
)
def test_what_cannot_be_settled_is_held_and_its_neighbours_go_through(session, change, code):
    world = build(session, points=3)
    bad = world.capture(1, 1200, **change)
    judged = record(session, [world.capture(0, 1200), bad, world.capture(2, 1300)])
    assert [j.verdict for j in judged] == ["applied", "held", "applied"]
    assert judged[1].code == code
    assert judged[1].message
    (item,) = rows(session, ReviewItem)
    assert item.reason == code
    assert item.detail["values"]
    assert [r.status for r in rows(session, Reading, id=judged[1].reading_ids[0])] == ["held"]


def test_a_reading_of_the_meter_that_was_removed_before_is_held(session):
    world = build(session)
    session.execute(update(Installation).values(removed_at=october(20)))
    (early, late) = record(
        session, [world.capture(0, 1100, october(19)), world.capture(0, 1200, october(21))]
    )
    assert (early.verdict, late.verdict) == ("applied", "held")
    assert late.code == "reading.not_installed"


def test_a_batch_that_arrives_late_splits_the_unbilled_use(session):
    world = build(session)
    record(session, [world.capture(0, 1230)])
    record(session, [world.capture(0, 1100, october(14), reason="09")])
    assert uses(session) == [
        (Decimal(100), START, october(14)),
        (Decimal(130), october(14), NOW),
    ]
    superseded = [use for use in rows(session, Consumption) if use.status == "superseded"]
    assert [use.quantity for use in superseded] == [Decimal(230)]


@pytest.mark.parametrize("arrival", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]])
def test_whatever_the_arrival_order_the_uses_are_the_same(session, arrival):
    world = build(session)
    captures = [
        world.capture(0, value, october(day), reason="09")
        for value, day in ((1050, 5), (1110, 11), (1150, 18), (1260, 27))
    ]
    wide = LimitBook(CheckLimits(slack=Decimal(1000)))
    for index in arrival:
        assert record(session, [captures[index]], wide)[0].verdict == "applied"
    assert [use[0] for use in uses(session)] == [50, 60, 40, 110]


def test_a_late_reading_in_the_same_batch_as_later_ones_splits_too(session):
    world = build(session)
    record(session, [world.capture(0, 1230)])
    record(
        session,
        [
            world.capture(0, 1150, october(20), reason="09"),
            world.capture(0, 1060, october(8), reason="09"),
        ],
    )
    assert [use[0] for use in uses(session)] == [60, 90, 80]


def test_a_late_reading_above_the_next_one_is_held(session):
    world = build(session)
    record(session, [world.capture(0, 1230)])
    (judged,) = record(session, [world.capture(0, 1900, october(14), reason="09")])
    assert (judged.verdict, judged.code) == ("held", "reading.above_next")
    assert uses(session) == [(Decimal(230), START, NOW)]


def test_a_late_reading_before_a_billed_one_is_held(session):
    world = build(session)
    bill_judged(session, record(session, [world.capture(0, 1230)]))
    (judged,) = record(session, [world.capture(0, 1100, october(14), reason="09")])
    assert (judged.verdict, judged.code) == ("held", "reading.before_previous")
    assert [item.reason for item in rows(session, ReviewItem)] == ["reading.before_previous"]


def test_after_a_held_reading_the_next_period_is_held_as_well(session):
    world = build(session)
    record(session, [world.capture(0, 900, october(10), reason="09")])
    (judged,) = record(session, [world.capture(0, 1230)])
    assert (judged.verdict, judged.code) == ("held", "reading.previous_unconfirmed")


def test_the_second_try_for_the_same_order_is_judged_on_its_own(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    record(session, [world.capture(0, 900)])
    (again,) = record(session, [world.capture(0, 1230, NOW.replace(minute=5))])
    assert again.verdict == "applied"
    assert rows(session, ReadOrder)[0].status == "done"


def test_a_limit_failure_keyed_twice_on_the_spot_counts_as_verified(session):
    world = build(session, points=2)
    record(session, [world.capture(i, 1100, october(15), reason="09") for i in (0, 1)])
    twice = (DialEntry("total", Decimal(4000), second_entry=Decimal(4000)),)
    once, verified = record(session, [world.capture(0, 4000), world.capture(1, 0, registers=twice)])
    assert (once.verdict, once.code) == ("held", "reading.high")
    assert (verified.verdict, verified.code) == ("applied", None)
    reading = rows(session, Reading, id=verified.reading_ids[0])[0]
    assert reading.quality == "verified"


def test_registers_of_one_capture_are_judged_together(session):
    world = build(session, kinds=("total", "peak", "valley"))

    def capture(total, peak, valley, at=NOW):
        entries = (("total", total), ("peak", peak), ("valley", valley))
        return world.capture(
            0, 0, at, registers=tuple(DialEntry(k, Decimal(v)) for k, v in entries)
        )

    (good,) = record(session, [capture(1100, 1060, 1040, october(15))])
    assert (good.verdict, len(good.reading_ids), len(good.consumption_ids)) == ("applied", 3, 3)
    (bad,) = record(session, [capture(1200, 1160, 1100)])
    assert (bad.verdict, bad.code) == ("held", "reading.tou_sum")
    assert {r.status for r in rows(session, Reading) if r.read_at == NOW} == {"held"}


def test_a_capture_without_all_registers_is_held(session):
    world = build(session, kinds=("total", "peak", "valley"))
    (judged,) = record(session, [world.capture(0, 1100)])
    assert (judged.verdict, judged.code) == ("held", "reading.incomplete")


def test_use_at_an_inactive_point_is_held_and_no_use_is_fine(session):
    world = build(session, points=2)
    session.execute(update(ServicePoint).values(status="inactive"))
    used, unused = record(session, [world.capture(0, 1200), world.capture(1, 1000)])
    assert (used.verdict, used.code) == ("held", "reading.inactive_use")
    assert (unused.verdict, unused.code) == ("applied", "reading.zero")


def test_a_third_estimate_in_a_row_is_held(session):
    world = build(session)
    verdicts = [
        record(
            session,
            [
                world.capture(
                    0, 1000 + 10 * n, october(n), quality="office_estimate", source="office"
                )
            ],
        )[0]
        for n in (5, 10, 15)
    ]
    assert [v.verdict for v in verdicts] == ["applied", "applied", "held"]
    assert verdicts[2].code == "reading.estimates"


def test_place_and_pace_are_noted_and_never_hold(session):
    world = build(session, points=2)
    far = DevicePlace(lat_e7=313000000, lon_e7=1214000000, accuracy_m=8, mock=True)
    near = DevicePlace(lat_e7=312000000, lon_e7=1214000000, accuracy_m=8, clock_skew_s=-900)
    captures = [
        world.capture(0, 1200, place=far),
        world.capture(1, 1200, NOW.replace(second=3), place=near),
    ]
    first, second = record(session, captures)
    assert (first.verdict, second.verdict) == ("applied", "applied")
    assert {f.code for f in first.findings} >= {"reading.far", "reading.mock"}
    assert {f.code for f in second.findings} >= {
        "reading.hurried",
        "reading.speed",
        "reading.clock",
    }
    assert rows(session, ReviewItem) == []


def test_a_rep_takes_his_own_capture_back_before_the_bill(session):
    world = build(session)
    record(session, [world.capture(0, 1320, capture_uuid=uuid(1))])
    (judged,) = record(
        session,
        [world.capture(0, 1230, NOW.replace(minute=1), capture_uuid=uuid(2), supersedes=uuid(1))],
    )
    assert judged.verdict == "applied"
    assert [use[0] for use in uses(session)] == [230]
    old, new = rows(session, Reading)[-2:]
    assert (old.status, old.value, new.supersedes_id) == ("superseded", 1320, old.id)


def test_a_held_capture_that_is_taken_back_leaves_the_review_queue(session):
    world = build(session)
    record(session, [world.capture(0, 900, capture_uuid=uuid(1))])
    record(
        session,
        [world.capture(0, 1230, NOW.replace(minute=1), capture_uuid=uuid(2), supersedes=uuid(1))],
    )
    assert [item.status for item in rows(session, ReviewItem)] == ["corrected"]
    assert [use[0] for use in uses(session)] == [230]


def test_capture_and_undo_in_one_batch_have_one_effect(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    first, second = record(
        session,
        [
            world.capture(0, 1320, capture_uuid=uuid(1)),
            world.capture(0, 1230, NOW.replace(minute=1), capture_uuid=uuid(2), supersedes=uuid(1)),
        ],
    )
    assert (first.verdict, first.code) == ("applied", "reading.superseded")
    assert (second.verdict, second.code) == ("applied", None)
    assert [use[0] for use in uses(session)] == [230]


@pytest.mark.parametrize("case", ["billed", "not_own"])
def test_what_may_not_be_taken_back_is_held(session, case):
    world = build(session)
    judged = record(session, [world.capture(0, 1320, capture_uuid=uuid(1))])
    if case == "billed":
        bill_judged(session, judged)
    staff = OTHER if case == "not_own" else 1
    at = NOW.replace(minute=1)
    (undo,) = record(session, [world.capture(0, 1230, at, supersedes=uuid(1), staff_id=staff)])
    assert (undo.verdict, undo.code) == ("held", f"reading.{case}")
    assert [use[0] for use in uses(session)] == [320]


def test_the_statements_of_a_batch_do_not_grow_with_it(session):
    world = build(session, points=60)
    open_orders(session, [world.route_id], "2026-10", DUE)
    session.flush()
    counts = []
    for part in (range(3), range(3, 53)):
        captures = [
            world.capture(i, 900 if i % 3 == 0 else 1230, capture_uuid=uuid(i + 1)) for i in part
        ]
        with statements() as sent:
            judged = record(session, captures)
        assert {j.verdict for j in judged} == {"applied", "held"}
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 20


def test_opening_orders_takes_as_many_statements_for_many_points_as_for_few(session):
    world = build(session, points=40)
    session.flush()
    with statements() as sent:
        assert open_orders(session, [world.route_id], "2026-10", DUE) == 40
    assert len(sent) <= 8


def test_an_empty_batch_is_nothing(session):
    assert record(session, []) == []


def test_a_skip_ends_the_order_and_says_why(session):
    world = build(session, points=2)
    open_orders(session, [world.route_id], "2026-10", DUE)
    orders = rows(session, ReadOrder)
    given = [
        NewSkip(world.points[0], "dog", NOW, order_id=orders[0].id, capture_uuid=uuid(1)),
        NewSkip(424_242, "locked", NOW, capture_uuid=uuid(2)),
    ]
    good, unknown = skip(session, given)
    assert good.verdict == "applied"
    assert (unknown.verdict, unknown.code) == ("held", "skip.unknown_point")
    assert [order.status for order in rows(session, ReadOrder)] == ["skipped", "open"]
    assert [row.skip_code for row in rows(session, Skip)] == ["dog"]
    assert [item.reason for item in rows(session, ReviewItem)] == ["skip.unknown_point"]


def test_a_skipped_order_can_still_be_read_and_a_read_one_not_skipped(session):
    world = build(session)
    open_orders(session, [world.route_id], "2026-10", DUE)
    skip(session, [NewSkip(world.points[0], "locked", october(30))])
    assert rows(session, ReadOrder)[0].status == "skipped"
    record(session, [world.capture(0, 1230)])
    (judged,) = skip(session, [NewSkip(world.points[0], "locked", NOW)])
    assert judged.verdict == "applied"
    assert rows(session, ReadOrder)[0].status == "done"


def test_an_unknown_skip_code_is_refused_by_name():
    with pytest.raises(Invalid) as caught:
        NewSkip(1, "tired", NOW)
    assert caught.value.code == "skip.code"


def test_a_capture_needs_each_register_once():
    twice = (DialEntry("total", Decimal(1)), DialEntry("total", Decimal(2)))
    with pytest.raises(Invalid) as caught:
        NewReading(1, "E1", twice, NOW)
    assert caught.value.code == "reading.registers"


def test_a_second_reading_of_an_order_is_a_conflict_behind_other_readings_too(session):
    world = build(session)
    record(session, [world.capture(0, 1100, october(10), reason="09")])
    open_orders(session, [world.route_id], "2026-10", DUE)
    order_id = rows(session, ReadOrder)[0].id
    record(session, [world.capture(0, 1120, october(12), order_id=order_id)])
    record(session, [world.capture(0, 1200, october(20), reason="09")])
    again = record(session, [world.capture(0, 1240, october(25), order_id=order_id)])[0]
    assert (again.verdict, again.code) == ("conflict", "reading.duplicate")


def test_a_reading_on_which_a_billed_use_begins_cannot_be_taken_back(session):
    world = build(session)
    session.execute(update(Reading).values(status="superseded"))
    record(session, [world.capture(0, 1000, october(1), capture_uuid=uuid(1), reason="09")])
    bill_judged(session, record(session, [world.capture(0, 1230)]))
    other = world.capture(0, 900, october(2), capture_uuid=uuid(2), supersedes=uuid(1))
    assert record(session, [other])[0].code == "reading.billed"
