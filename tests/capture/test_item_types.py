"""Every item type: its samples are accepted for ever, and what each does when it is settled."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from server.accounts.models import Installation, Meter
from server.billing.models import Bill
from server.capture.items import Item
from server.capture.models import CaptureEvent, FieldNote
from server.capture.parse import parse_item
from server.capture.types import ITEM_TYPES
from server.db import snapshot, transaction
from server.metering.models import Consumption, Reading, ReadOrder, Skip
from server.review import ReviewItem
from server.rounds.models import Route, StopVisit
from server.rounds.service import coverage
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


@pytest.fixture
def world(app):
    return worlds.build(app)


@pytest.fixture
def handheld(app, world):
    return Handheld(app, world.token)


def item(kind, data, seq=1, at=worlds.READ_AT, **more):
    return {
        "id": str(uuid.uuid4()),
        "seq": seq,
        "type": kind,
        "captured_at": at.isoformat(),
        "data": data,
        **more,
    }


def reason_of(app, subject):
    with app.app_context(), snapshot() as session:
        return session.execute(
            select(ReviewItem).where(ReviewItem.subject_id == subject)
        ).scalar_one_or_none()


# --- samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_published_sample_is_still_understood(path):
    parsed = parse_item(json.loads(path.read_text("utf-8")))
    assert isinstance(parsed, Item)
    assert parsed.problem is None


def test_every_type_has_a_sample():
    assert {path.stem.rsplit("-", 1)[0] for path in SAMPLES} == set(ITEM_TYPES)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_published_sample_is_settled_without_a_fault(path, handheld):
    answer = handheld.push(json.loads(path.read_text("utf-8")))
    assert "faults" not in answer
    assert verdicts(answer)[0] in ("applied", "held")


def test_a_published_track_is_still_understood(app, world, handheld):
    """Whole, short and doubtful points, one off the globe and one that is none."""
    path = Path(__file__).parent.parent / "tracking" / "samples" / "track-1.json"
    at = worlds.NOW.replace(hour=0)
    shift = item("shift.v1", {"shift": str(uuid.uuid4()), "state": "started"}, at=at)
    answer = handheld.push(shift, track=json.loads(path.read_text("utf-8")))
    assert answer["track"] == {"accepted": 4, "duplicate": 0, "flagged": 3}


# --- meter exchange -----------------------------------------------------------------------


def exchange(point, *, final="1100", serial="N1", at=worlds.READ_AT, **more):
    data = {
        "service_point": point.service_point_id,
        "old_meter_serial": point.serial,
        "new_meter_serial": serial,
        "finals": [{"kind": "total", "value": final}],
        "initials": [{"kind": "total", "value": "3"}],
        **more,
    }
    return item("meter_exchange.v1", data, at=at)


def test_an_exchange_hangs_the_new_meter_and_both_shares_are_billed(app, world, handheld):
    point = world.points[0]
    assert verdicts(handheld.push(exchange(point))) == ["applied"]
    later = worlds.READ_AT + timedelta(hours=5)
    reading = worlds.reading(point, 8, 2, at=later, data={"meter_serial": "N1"})
    assert verdicts(handheld.push(reading)) == ["applied"]
    with app.app_context(), snapshot() as session:
        bill = session.execute(select(Bill)).scalar_one()
        assert bill.quantity == Decimal(100 + 5)
        hanging = session.execute(
            select(Meter.serial)
            .join(Installation, Installation.meter_id == Meter.id)
            .where(
                Installation.service_point_id == point.service_point_id,
                Installation.removed_at.is_(None),
            )
        ).scalar_one()
        assert hanging == "N1"


def test_a_reading_of_the_new_meter_in_the_push_of_its_exchange_counts(app, world, handheld):
    elsewhere, point = world.points[:2]
    later = worlds.READ_AT + timedelta(hours=5)
    answer = handheld.push(
        worlds.reading(elsewhere, 1200, 1),
        exchange(point) | {"seq": 2},
        worlds.reading(point, 8, 3, at=later, data={"meter_serial": "N1"}),
    )
    assert verdicts(answer) == ["applied"] * 3


def test_an_exchange_of_a_meter_that_did_not_hang_there_is_held(app, world, handheld):
    wrong = exchange(world.points[0], old_meter_serial="M00002")
    answer = handheld.push(wrong)
    assert (verdicts(answer), answer["results"][0]["code"]) == (["held"], "exchange.other_meter")
    assert reason_of(app, wrong["id"]).reason == "exchange.other_meter"


def test_an_exchange_below_the_previous_reading_is_held_and_changes_nothing(app, world, handheld):
    answer = handheld.push(exchange(world.points[0], final="900"))
    assert answer["results"][0]["code"] == "reading.below_previous"
    with app.app_context(), snapshot() as session:
        assert session.execute(select(Meter).where(Meter.serial == "N1")).first() is None


def test_readings_that_came_before_their_exchange_are_judged_anew_by_it(app, world, handheld):
    """The crew has no signal: readers of the new meter, and under the old number, come first."""
    new, old, other = world.points
    at = worlds.READ_AT + timedelta(hours=5)
    item_of_new = worlds.reading(new, 8, 1, at=at, data={"meter_serial": "N1"})
    item_of_old = worlds.reading(old, 8, 2, at=at)
    untouched = worlds.reading(other, 9000, 3)
    answer = handheld.push(item_of_new, item_of_old, untouched)
    codes = [result["code"] for result in answer["results"]]
    assert codes == ["reading.not_installed", "reading.below_previous", "reading.high"]
    crew = exchange(new) | {"seq": 4}, exchange(old, serial="N2") | {"seq": 5}
    assert verdicts(handheld.push(*crew)) == ["applied"] * 2
    with app.app_context(), snapshot() as session:
        assert session.execute(select(Bill.quantity)).scalar_one() == Decimal(100 + 5)
        open_items = session.scalars(
            select(ReviewItem.reason).where(ReviewItem.status == "open").order_by(ReviewItem.id)
        ).all()
        assert open_items == ["reading.high", "reading.not_installed"]
        found = session.execute(
            select(Reading.status, Reading.meter_serial, Reading.value, Reading.source)
            .where(Reading.capture_uuid == uuid.UUID(item_of_new["id"]))
            .order_by(Reading.id)
        ).all()
        value = Decimal(8)
        assert [tuple(row) for row in found] == [
            ("superseded", "N1", value, "device"),
            ("confirmed", "N1", value, "device"),
        ]
    again = worlds.reading(new, 9, 6, at=at, supersedes=item_of_new["id"])
    again["data"]["meter_serial"] = "N1"
    (result,) = handheld.push(again)["results"]
    assert (result["verdict"], result["code"]) == ("held", "reading.billed")


def test_the_readings_of_an_exchange_know_their_capture(app, world, handheld):
    hung = exchange(world.points[0])
    handheld.push(hung)
    with app.app_context(), snapshot() as session:
        found = session.execute(
            select(Reading.reason, Reading.source, Reading.staff_id, Reading.value)
            .where(Reading.capture_uuid == uuid.UUID(hung["id"]))
            .order_by(Reading.reason)
        ).all()
    assert [tuple(row) for row in found] == [
        ("21", "device", world.reader_id, 3),
        ("22", "device", world.reader_id, 1100),
    ]
    (result,) = handheld.push(worlds.reading(world.points[0], 5, 2, supersedes=hung["id"]))[
        "results"
    ]
    assert result["code"] == "reading.exchange"


def skip_of(point, seq, taken_back, **more):
    data = {"service_point": point.service_point_id, "read_order": point.order_id, "skip": "locked"}
    return item("meter_skip.v1", data, seq, supersedes=taken_back, **more)


def test_a_skip_takes_back_the_reading_that_should_not_have_been(app, world, handheld):
    """In the same push before it counts, later while it is unbilled; after the bill it is a request."""
    with app.app_context(), transaction() as session:
        session.get_one(Route, world.route_id).read_and_bill = False
    at_once, later, held = world.points
    wrong = [worlds.reading(point, 1200, n) for n, point in enumerate(world.points, 1)]
    wrong[2]["data"]["registers"][0]["value"] = "9000"
    answer = handheld.push(*wrong, skip_of(at_once, 4, wrong[0]["id"]))
    codes = [(result["verdict"], result.get("code")) for result in answer["results"]]
    assert codes == [
        ("applied", "reading.superseded"),
        ("applied", "reading.hurried"),
        ("held", "reading.high"),
        ("applied", None),
    ]
    back = skip_of(later, 5, wrong[1]["id"]), skip_of(held, 6, wrong[2]["id"])
    assert verdicts(handheld.push(*back)) == ["applied"] * 2
    with app.app_context(), snapshot() as session:
        stored = select(Reading.status).where(Reading.capture_uuid.is_not(None))
        assert session.scalars(stored).all() == ["superseded"] * 3
        active = select(Consumption.id).where(Consumption.status == "active")
        assert session.scalars(active).all() == []
        assert session.scalars(select(ReadOrder.status)).all() == ["skipped"] * 3
        assert session.scalars(select(ReviewItem.status)).all() == ["corrected"]


def test_a_skip_cannot_take_back_what_has_been_billed(app, world, handheld):
    billed = worlds.reading(world.points[0], 1200, 1)
    handheld.push(billed)
    (result,) = handheld.push(skip_of(world.points[0], 2, billed["id"]))["results"]
    assert (result["verdict"], result["code"]) == ("held", "reading.billed")
    assert reason_of(app, result["id"]).kind == "capture"
    with app.app_context(), snapshot() as session:
        assert session.scalars(select(Skip.id)).all() == []


def test_what_names_no_known_point_is_shown_to_the_reps_team_and_can_be_corrected(
    app, world, handheld
):
    nowhere = {"service_point": 99_999, "read_order": 99_999}
    skipped = item("meter_skip.v1", {**nowhere, "skip": "dog"}, 1)
    read = worlds.reading(world.points[0], 1200, 2, data=nowhere)
    answer = handheld.push(skipped, read)
    codes = [result["code"] for result in answer["results"]]
    assert codes == ["skip.unknown_point", "reading.unknown_point"]
    with app.app_context(), snapshot() as session:
        found = session.scalars(select(ReviewItem).order_by(ReviewItem.kind)).all()
        assert [(i.kind, i.org_unit_id) for i in found] == [
            ("capture", world.team_id),
            ("reading", world.team_id),
        ]
        assert found[0].subject_id == skipped["id"]


def test_a_held_exchange_does_not_stop_its_neighbour(app, world, handheld):
    bad, good = exchange(world.points[0], final="900"), exchange(world.points[1], serial="N2")
    assert verdicts(handheld.push(bad, good)) == ["held", "applied"]


def test_story_2_the_new_dial_read_under_the_old_serial_is_held_and_moved_with_one_action(
    app, world
):
    """Field story 2: crew A exchanges at 10:00, reader B knows nothing of it at 11:00."""
    from config.settings import Settings  # noqa: PLC0415
    from server.capture import settle  # noqa: PLC0415
    from server.identity.actor import SYSTEM  # noqa: PLC0415

    point, handheld = world.points[0], Handheld(app, world.token)
    handheld.push(exchange(point))
    late = worlds.reading(point, 5, 2, at=worlds.READ_AT + timedelta(hours=1))
    answer = handheld.push(late)
    assert answer["results"][0]["code"] == "reading.not_installed"
    with app.app_context(), transaction() as session:
        held = session.execute(select(Reading).where(Reading.status == "held")).scalar_one()
        rules = settle.billing_rules(Settings())
        judged = settle.move_reading(session, SYSTEM, held.id, "the new meter was read", rules)
        assert judged.verdict == "applied"
    with app.app_context(), snapshot() as session:
        active = session.execute(
            select(Consumption.quantity).where(Consumption.status == "active")
        ).scalars()
        assert sum(active) == Decimal(100 + 2)


# --- visits, notes, positions -------------------------------------------------------------


def visit(point, outcome, seq=1, **more):
    stop = {"kind": "service_point", "id": point.service_point_id}
    return item("visit.v1", {"stop": stop, "outcome": outcome, **more}, seq)


def test_visits_and_readings_make_the_coverage_of_the_day(app, world, handheld):
    first, second, third = world.points
    handheld.push(
        worlds.reading(first, 1200, 1),
        visit(second, "missed", 2, reason="closed"),
        item(
            "meter_skip.v1",
            {"read_order": third.order_id, "service_point": third.service_point_id, "skip": "dog"},
            3,
        ),
    )
    with app.app_context(), snapshot() as session:
        zone = ZoneInfo("Asia/Shanghai")
        day = worlds.READ_AT.astimezone(zone).date()
        found = coverage(session, [world.route_id], day, zone)[0]
        assert (found.planned, found.served, found.skipped, found.missed) == (3, 1, 1, 1)
        nothing = coverage(session, [world.route_id], day + timedelta(days=1), zone)[0]
        assert (nothing.served, nothing.skipped, nothing.missed) == (0, 0, 0)


def test_a_missed_stop_must_say_why(handheld, world):
    answer = handheld.push(visit(world.points[0], "missed"))
    assert (verdicts(answer), answer["results"][0]["field"]) == (["rejected"], "data.reason")


def test_a_visit_to_an_unknown_stop_is_held(app, world, handheld):
    stray = item("visit.v1", {"stop": {"kind": "shop", "id": 4}, "outcome": "served"})
    answer = handheld.push(stray)
    assert answer["results"][0]["code"] == "visit.unknown_stop"
    assert reason_of(app, stray["id"]).kind == "capture"


def test_a_visit_on_a_route_that_was_given_away_is_held_with_its_team(app, world, handheld):
    with app.app_context(), transaction() as session:
        session.get_one(Route, world.route_id).reader_id = None
    made = visit(world.points[0], "served")
    assert handheld.push(made)["results"][0]["code"] == "visit.not_your_route"
    assert reason_of(app, made["id"]).org_unit_id == world.team_id
    with app.app_context(), snapshot() as session:
        assert session.execute(select(StopVisit)).first() is None


def test_a_note_is_kept_with_what_it_is_about(app, world, handheld):
    subject = {"kind": "service_point", "id": world.points[0].service_point_id}
    handheld.push(item("note.v1", {"subject": subject, "text": "表箱生锈"}))
    with app.app_context(), snapshot() as session:
        note = session.execute(select(FieldNote)).scalar_one()
        assert (note.text, note.subject_type, note.staff_id) == (
            "表箱生锈",
            "service_point",
            world.reader_id,
        )


def test_a_corrected_position_waits_for_the_office_and_says_how_far_it_moved(app, world, handheld):
    position = {"lat": 31.2340, "lon": 121.4730}
    proposal = item(
        "premise_position.v1",
        {"service_point": world.points[0].service_point_id, "position": position},
    )
    answer = handheld.push(proposal)
    assert (verdicts(answer), answer["results"][0]["code"]) == (["held"], "position.proposed")
    waiting = reason_of(app, proposal["id"])
    assert waiting.kind == "premise_position"
    assert 90 < waiting.detail["moved_m"] < 110


# --- clocks and routes ----------------------------------------------------------------------


def test_story_5_a_device_clock_one_year_off_is_set_right_and_flagged(app, world, handheld):
    """Field story 5."""
    year = timedelta(days=365)
    reading = worlds.reading(world.points[0], 1200, at=worlds.READ_AT + year)
    answer = handheld.push(reading, sent_at=(worlds.NOW + year).isoformat())
    assert (answer["results"][0]["verdict"], answer["results"][0]["code"]) == (
        "applied",
        "reading.clock",
    )
    with app.app_context(), snapshot() as session:
        stored = session.execute(select(Reading).where(Reading.source == "device")).scalar_one()
        assert stored.read_at == worlds.READ_AT
        event = session.execute(select(CaptureEvent)).scalar_one()
        assert event.captured_at == worlds.READ_AT + year
        assert event.skew_ms == year // timedelta(milliseconds=1)


def test_a_reading_of_a_route_that_was_given_away_is_held(app, world, handheld):
    with app.app_context(), transaction() as session:
        session.get_one(Route, world.route_id).reader_id = None
    answer = handheld.push(worlds.reading(world.points[0], 1200))
    assert answer["results"][0]["code"] == "reading.not_your_route"
