"""Nothing leaves the review queue silently: each way out, who may take it, and what it leaves."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import func, select

from config.settings import Settings
from server.accounts.models import Premise
from server.audit import AuditEvent
from server.billing.models import Bill
from server.capture import decide, settle, types
from server.capture.models import CaptureEvent
from server.db import snapshot, transaction
from server.errors import Conflict, DomainError, Forbidden, Invalid
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Staff
from server.metering.models import Reading
from server.metering.service import DialEntry
from server.review import ReviewItem, reassign
from server.rounds.models import Route, StopVisit
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts

SETTINGS = Settings()
RULES = settle.billing_rules(SETTINGS)


@pytest.fixture
def world(app):
    return worlds.build(app)


@pytest.fixture
def handheld(app, world):
    return Handheld(app, world.token)


@pytest.fixture
def manager(app, world):
    with app.app_context(), transaction() as session:
        staff = identity.add_staff(
            session,
            SYSTEM,
            username="manager",
            name="王主任",
            password_hash="-",
            roles=["manager"],
            org_unit_id=world.team_id,
        )
        return identity.actor_of(session, staff)


@pytest.fixture
def act(app):
    """Run a decision in a transaction of its own."""

    def run(decision, *args, **more):
        with app.app_context(), transaction() as session:
            return decision(session, *args, **more)

    return run


def waiting(app):
    with app.app_context(), snapshot() as session:
        return session.execute(select(ReviewItem).where(ReviewItem.status == "open")).scalar_one()


def count(app, model, *where):
    with app.app_context(), snapshot() as session:
        return session.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def test_what_a_shut_out_handheld_held_is_settled_when_somebody_takes_it(
    app, world, handheld, manager, act
):
    act(identity.revoke_device, SYSTEM, world.device_id)
    handheld.push(worlds.reading(world.points[0], 1200))
    item = waiting(app)
    result = act(decide.take, manager, item.id, "the rep has shown it to us", SETTINGS)
    assert result.verdict.verdict == "applied"
    assert count(app, Bill) == 1
    with app.app_context(), snapshot() as session:
        event = session.execute(
            select(CaptureEvent).where(CaptureEvent.code == "device.revoked")
        ).scalar_one()
        assert (event.verdict, event.decision) == ("held", "released")
        assert session.get_one(ReviewItem, item.id).why == "the rep has shown it to us"
        assert session.execute(
            select(AuditEvent).where(AuditEvent.action == "review.released")
        ).scalar_one()
    with pytest.raises(Conflict, match="decided"):
        act(decide.take, manager, item.id, "again", SETTINGS)
    assert count(app, Bill) == 1


def test_nobody_decides_about_his_own_capture(app, world, handheld, act):
    act(identity.revoke_device, SYSTEM, world.device_id)
    handheld.push(worlds.reading(world.points[0], 1200))
    with app.app_context(), snapshot() as session:
        reader = identity.actor_of(session, session.get_one(Staff, world.reader_id))
    rights = {**reader.rights, ("review", "decide"): "own"}
    reader = type(reader)(**{**reader.__dict__, "rights": rights})
    with pytest.raises(Forbidden) as refused:
        act(decide.take, reader, waiting(app).id, "it is right", SETTINGS)
    assert refused.value.code == "capture.same_person"


def test_without_the_right_nothing_can_be_decided(app, world, handheld, act):
    handheld.push(worlds.reading(world.points[0], 1200) | {"type": "dance.v1"})
    with app.app_context(), snapshot() as session:
        reader = identity.actor_of(session, session.get_one(Staff, world.reader_id))
    with pytest.raises(Forbidden) as refused:
        act(decide.correct, reader, waiting(app).id, {}, "why", SETTINGS)
    assert refused.value.code == "identity.forbidden"


def test_a_rejected_item_is_settled_by_a_corrected_copy_and_the_first_is_kept(
    app, world, handheld, manager, act
):
    bad = worlds.reading(world.points[0], "12O0")
    assert verdicts(handheld.push(bad)) == ["rejected"]
    item = waiting(app)
    with pytest.raises(Invalid) as still:
        act(decide.correct, manager, item.id, bad, "try", SETTINGS)
    assert still.value.code == "item.invalid"
    good = {**bad, "data": {**bad["data"], "registers": [{"kind": "total", "value": "1200"}]}}
    result = act(decide.correct, manager, item.id, good, "the letter O for a zero", SETTINGS)
    assert result.verdict.verdict == "applied"
    assert result.uuid != uuid.UUID(bad["id"])
    with app.app_context(), snapshot() as session:
        first = session.execute(
            select(CaptureEvent).where(CaptureEvent.uuid == uuid.UUID(bad["id"]))
        ).scalar_one()
        assert (first.verdict, first.decision) == ("rejected", "corrected")
        assert first.payload["data"]["registers"][0]["value"] == "12O0"
    assert handheld.push(bad)["results"][0]["verdict"] == "rejected"
    assert count(app, Bill) == 1


def test_the_second_content_of_an_id_can_be_taken_instead_of_lost(
    app, world, handheld, manager, act
):
    first = worlds.reading(world.points[0], 1200)
    second = worlds.reading(world.points[1], 1210) | {"id": first["id"]}
    handheld.push(first)
    assert verdicts(handheld.push(second)) == ["conflict"]
    result = act(decide.take, manager, waiting(app).id, "two meters, one id", SETTINGS)
    assert result.verdict.verdict == "applied"
    assert count(app, Bill) == 2


def test_a_fault_of_ours_can_be_tried_again_and_the_devices_retry_finds_it(
    app, world, handheld, manager, act, monkeypatch
):
    honest = types.ITEM_TYPES["meter_reading.v1"]

    def failing(session, sender, batch):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setitem(
        types.ITEM_TYPES, "meter_reading.v1", types.ItemType(honest.schema, failing)
    )
    reading = worlds.reading(world.points[0], 1200)
    handheld.push(reading)
    item = waiting(app)
    with pytest.raises(Conflict) as again:
        act(decide.take, manager, item.id, "now?", SETTINGS)
    assert again.value.code == "capture.still_held"
    monkeypatch.setitem(types.ITEM_TYPES, "meter_reading.v1", honest)
    act(decide.take, manager, item.id, "mended", SETTINGS)
    answer = handheld.push(reading)
    assert verdicts(answer) == ["applied"]
    assert count(app, Bill) == 1


def test_a_fault_is_refused_for_good_and_never_corrected(
    app, world, handheld, manager, act, monkeypatch
):
    """A corrected copy would stand beside the item that the handheld still sends."""
    honest = types.ITEM_TYPES["meter_reading.v1"]

    def failing(session, sender, batch):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setitem(
        types.ITEM_TYPES, "meter_reading.v1", types.ItemType(honest.schema, failing)
    )
    reading = worlds.reading(world.points[0], 1200)
    handheld.push(reading)
    item = waiting(app)
    with pytest.raises(Conflict) as refused:
        act(decide.correct, manager, item.id, reading, "so", SETTINGS)
    assert refused.value.code == "capture.not_stored"
    act(decide.discard, manager, item.id, "a test of the maker")
    monkeypatch.setitem(types.ITEM_TYPES, "meter_reading.v1", honest)
    (result,) = handheld.push(reading)["results"]
    assert (result["verdict"], result["code"]) == ("rejected", "capture.discarded")
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureEvent.decision)).scalar_one() == "discarded"
    assert count(app, Bill) == 0


def test_who_corrected_a_capture_does_not_release_what_is_held_of_it(
    app, world, handheld, manager, act
):
    bad = worlds.reading(world.points[0], "9O00")
    handheld.push(bad)
    good = {**bad, "data": {**bad["data"], "registers": [{"kind": "total", "value": "9000"}]}}
    act(decide.correct, manager, waiting(app).id, good, "the letter O for a zero", SETTINGS)
    item = waiting(app)
    assert item.reason == "reading.high"
    with pytest.raises(Forbidden) as own:
        act(settle.release_reading, manager, int(item.subject_id), "so it is", RULES)
    assert own.value.code == "reading.same_person"
    act(settle.release_reading, SYSTEM, int(item.subject_id), "a third person looked", RULES)
    assert count(app, Bill) == 1


def test_discarding_needs_a_reason(app, world, handheld, manager, act):
    handheld.push(worlds.reading(world.points[0], 1200) | {"type": "dance.v1"})
    item = waiting(app)
    with pytest.raises(Invalid):
        act(decide.discard, manager, item.id, " ")
    act(decide.discard, manager, item.id, "a joke of the rep")
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureEvent.decision)).scalar_one() == "discarded"


def test_an_accepted_position_moves_the_premise_and_the_handheld_hears_of_it(
    app, world, handheld, manager, act
):
    _, checkpoint = handheld.pull_all()
    point = world.points[0]
    proposal = {
        **worlds.reading(point, 1),
        "type": "premise_position.v1",
        "data": {
            "service_point": point.service_point_id,
            "position": {"lat": 31.25, "lon": 121.48, "accuracy_m": 4},
        },
    }
    handheld.push(proposal)
    act(decide.accept_position, manager, waiting(app).id, "seen on the plan")
    with app.app_context(), snapshot() as session:
        premise = session.execute(select(Premise).where(Premise.premise_no == "P0001")).scalar_one()
        assert (premise.lat_e7, premise.position_source) == (312500000, "field")
    documents = handheld.pull(checkpoint)["documents"]
    assert [d["position"]["lat"] for d in documents] == [31.25]


def test_a_visit_on_a_route_that_was_given_away_can_be_counted(app, world, handheld, manager, act):
    with app.app_context(), transaction() as session:
        session.get_one(Route, world.route_id).reader_id = None
    stop = {"kind": "service_point", "id": world.points[0].service_point_id}
    handheld.push(
        {
            **worlds.reading(world.points[0], 1),
            "type": "visit.v1",
            "data": {"stop": stop, "outcome": "served"},
        }
    )
    act(decide.accept_visit, manager, waiting(app).id, "he helped out")
    assert count(app, StopVisit, StopVisit.outcome == "served") == 1


def test_a_held_reading_is_corrected_by_a_new_row_that_points_to_it(
    app, world, handheld, manager, act
):
    handheld.push(worlds.reading(world.points[0], 12))
    with app.app_context(), snapshot() as session:
        held = session.execute(select(Reading).where(Reading.status == "held")).scalar_one()
    dials = [DialEntry("total", worlds.Decimal(1200))]
    judged = act(settle.correct_reading, manager, held.id, dials, "two digits were lost", RULES)
    assert judged.verdict == "applied"
    with app.app_context(), snapshot() as session:
        old = session.get_one(Reading, held.id)
        new = session.get_one(Reading, judged.reading_ids[0])
        assert (old.status, old.value) == ("superseded", worlds.Decimal(12))
        assert (new.supersedes_id, new.source, new.staff_id) == (
            held.id,
            "office",
            manager.staff_id,
        )
    assert count(app, ReviewItem, ReviewItem.status == "open") == 0
    assert count(app, Bill) == 1


def test_an_item_can_be_given_to_somebody_and_that_is_audited(app, world, handheld, manager, act):
    handheld.push(worlds.reading(world.points[0], 12))
    item = waiting(app)
    act(reassign, manager, item.id, manager.staff_id)
    assert waiting(app).owner_id == manager.staff_id
    assert count(app, AuditEvent, AuditEvent.action == "review.reassigned") == 1
    act(settle.discard_reading, manager, int(item.subject_id), "misread")
    with pytest.raises(DomainError):
        act(reassign, manager, item.id, None)
