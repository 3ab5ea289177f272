"""The live map's data: positions, progress and stops, within the viewer's scope."""

from __future__ import annotations

from datetime import timedelta

from server import clock
from server.billing.rules.classes import BillingRules
from server.capture import settle
from server.db import transaction
from server.identity import service as identity
from server.identity.models import Staff
from tests.console.conftest import Office
from tests.console.office import key, walk
from tests.world import NOW


def test_a_live_frame_tells_where_a_rep_is_and_how_far(office: Office) -> None:
    walk(office.app, office.world)
    key(office.app, office.clerk_id, office.world.points[0], 1200)
    frame = office.desk(office.manager_id).client.get("/live?after=0").get_json()
    (rep,) = frame["reps"]
    assert rep["name"] == "李抄表"
    assert abs(rep["lat"] - 31.2331) < 1e-6
    assert (rep["done"], rep["planned"]) == (1, 3)
    assert rep["on_shift"] is True
    assert clock.to_ms(clock.now()) - rep["fix"] == 5000
    assert frame["rev"] > 0


def test_a_live_frame_has_only_what_changed(office: Office) -> None:
    manager = office.desk(office.manager_id).client
    before = manager.get("/live").get_json()
    assert before["reps"] == []
    key(office.app, office.clerk_id, office.world.points[0], 1200)
    marks = {"after": before["rev"], "reading": before["reading"], "skip": before["skip"]}
    after = manager.get("/live", query_string=marks).get_json()
    assert after["stops"] == [[office.world.points[0].service_point_id, 1]]
    marks["reading"] = after["reading"]
    assert manager.get("/live", query_string=marks).get_json()["stops"] == []


def test_a_decision_about_a_held_reading_recolours_its_stop(office: Office) -> None:
    point = office.world.points[0]
    reading = key(office.app, office.clerk_id, point, 9000)
    desk = office.desk(office.manager_id)
    before = desk.client.get("/live").get_json()
    assert [point.service_point_id, 2] in before["stops"]
    marks = {name: before[name] for name in ("reading", "skip", "decision")}
    with office.app.app_context(), transaction() as session:
        actor = identity.actor_of(session, session.get_one(Staff, office.manager_id))
        settle.release_reading(session, actor, reading, "seen", BillingRules())
    after = desk.client.get("/live", query_string=marks).get_json()
    assert after["stops"] == [[point.service_point_id, 1]]


def test_the_map_draws_every_stop_with_its_state(office: Office) -> None:
    key(office.app, office.clerk_id, office.world.points[1], 9000)
    (route,) = office.desk(office.manager_id).client.get("/map/data").get_json()["routes"]
    assert [stop[3] for stop in route["stops"]] == [0, 2, 0]
    assert [stop[4] for stop in route["stops"]] == [1, 2, 3]


def test_the_list_says_the_same_as_the_map(office: Office) -> None:
    walk(office.app, office.world)
    page = office.desk(office.manager_id).see("/map")
    assert "李抄表" in page
    assert "5 s" in page
    assert "on shift" in page


def test_silence_is_told_at_the_top_of_every_page(office: Office) -> None:
    manager = office.desk(office.manager_id)
    assert "1 silent handheld" not in manager.see("/")
    clock.set(NOW + timedelta(hours=30))
    assert "1 silent handheld" in manager.see("/readings")
    assert "李抄表" in manager.see("/devices?state=silent")
    assert "The worker does not run" in manager.see("/")
