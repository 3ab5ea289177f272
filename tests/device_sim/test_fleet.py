"""Many handhelds living their day, and what they leave when they stop."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from device_sim.check import check_device
from device_sim.clock import VirtualClock
from device_sim.fleet import Fleet, Member, Options, folder_name, load_plan
from device_sim.radio import Radio
from device_sim.rep import Habits, Rep
from device_sim.round import Round
from device_sim.walk import Place, distance_m
from device_sim.witness import read_witness
from tests.device_sim.conftest import MORNING
from tests.device_sim.stub_server import StubServer, round_of
from tests.waiting import PATIENCE, wait_until


def test_a_plan_names_the_server_the_dials_and_who_walks(tmp_path):
    (tmp_path / "dials.csv").write_text("meter_serial,kind,value,per_day,as_of\n")
    plan = tmp_path / "fleet.json"
    handhelds = [{"name": "王 1", "code": "ABCD-2345"}, {"name": "b"}]
    plan.write_text(
        json.dumps({"server": "http://s", "dials": "dials.csv", "handhelds": handhelds})
    )
    loaded = load_plan(plan)
    assert loaded.server == "http://s"
    assert loaded.dials == tmp_path / "dials.csv"
    assert loaded.handhelds == [Member("王 1", "ABCD-2345"), Member("b", None)]


@pytest.mark.parametrize("names", [["a", "a"], ["a/b", "a b"]])
def test_two_handhelds_of_a_plan_never_share_a_folder(tmp_path, names):
    plan = tmp_path / "fleet.json"
    plan.write_text(json.dumps({"handhelds": [{"name": name} for name in names]}))
    with pytest.raises(ValueError, match="share a name"):
        load_plan(plan)


def test_a_name_never_leaves_its_folder():
    assert folder_name("../../etc/passwd") == "etc_passwd"
    assert folder_name("抄表员 1") == "抄表员_1"
    assert folder_name("...") == "handheld"


def test_signal_is_there_for_about_its_part_of_the_time():
    radio = Radio(random.Random(1), 0.7, cycle_s=60)
    heard = [radio.has_signal(float(second)) for second in range(60 * 200)]
    assert 0.65 < sum(heard) / len(heard) < 0.75
    assert all(Radio(random.Random(1), 1.0, 60).has_signal(float(s)) for s in range(300))
    assert not any(Radio(random.Random(1), 0.0, 60).has_signal(float(s)) for s in range(300))


def walk_a_round(make_handheld, folder, stops, pace=None):
    clock = VirtualClock(MORNING)
    handheld = make_handheld(folder, clock)
    handheld.store.apply_page(round_of(stops), "e1:1")
    walk = Round(handheld, Rep("seed"), random.Random("walk"), clock.sleep, pace)
    for stop in handheld.open_stops():
        walk.visit(stop)
    handheld.flush_track()
    return handheld, clock


def test_a_real_round_takes_the_time_of_a_walk_and_leaves_an_even_track(make_handheld):
    handheld, clock = walk_a_round(make_handheld, "h1", stops=10)
    minutes = (clock.now() - MORNING) / timedelta(minutes=1)
    assert 8 < minutes < 25
    assert handheld.open_stops() == []
    track = handheld.store.track(5000)
    gaps = [(b[0] - a[0]) / 1000 for a, b in pairwise(track)]
    assert max(gaps) < 25
    speeds = [point[4] / 100 for point in track if point[5] >= 0]
    assert 1.0 < sum(speeds) / len(speeds) < 1.4


def test_every_reading_is_captured_near_its_meter(make_handheld):
    handheld, _ = walk_a_round(make_handheld, "h1", stops=10)
    points = {int(point["id"]): point["position"] for point in handheld.route_points()}
    for item in handheld.store.items():
        at = points[item.body["data"]["service_point"]]
        gps = item.body["gps"]
        meter = Place(at["lat"], at["lon"])
        assert distance_m(meter, Place(gps["lat"], gps["lon"])) < 40


def test_the_same_seed_walks_the_same_day(make_handheld):
    def told(handheld):
        rows = [(i.captured_at, i.body["gps"], i.body["data"]) for i in handheld.store.items()]
        return rows, handheld.store.track(5000)

    first, _ = walk_a_round(make_handheld, "h1", stops=8)
    second, _ = walk_a_round(make_handheld, "h2", stops=8)
    assert told(first) == told(second)


def test_no_demo_pace_makes_a_rep_fly(make_handheld):
    handheld, _ = walk_a_round(make_handheld, "h1", stops=10, pace=1)
    assert max(point[4] for point in handheld.store.track(5000)) < 25 * 100


def members(count):
    codes = ["AAAA2222", "BBBB3333", "CCCC4444"]
    return [Member(f"rep {n + 1}", codes[n]) for n in range(count)]


@pytest.fixture
def fleet_server():
    with StubServer(round_of(stops=6, apart=0.000004)) as stub:
        stub.codes = {"AAAA2222", "BBBB3333", "CCCC4444"}
        yield stub


@pytest.fixture
def options(tmp_path, fleet_server):
    return Options(
        server=fleet_server.url,
        state=tmp_path / "fleet",
        pace=0.02,
        sync_every=0.05,
        timeout=20.0,
        habits=Habits(skip=0.2),
    )


def folders(options):
    return sorted(options.state.iterdir())


@contextmanager
def running(fleet):
    """A fleet that walks for as long as the block lasts; no member may have failed."""
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(fleet.run)
        try:
            yield
        finally:
            fleet.stop.set()
        assert ran.result(PATIENCE)


def captured(options):
    """How many items the only member has captured."""
    return sum(len(read_witness(file)) for file in options.state.glob("*/witness.jsonl"))


@pytest.mark.sockets
def test_a_fleet_reads_everything_sends_everything_and_ends(fleet_server, options):
    fleet = Fleet(members(3), replace(options, until_done=True, signal=0.5))
    assert fleet.run(duration=PATIENCE)
    kinds = [item["type"] for item in fleet_server.items.values()]
    assert kinds.count("shift.v1") == 6
    assert kinds.count("meter_reading.v1") + kinds.count("meter_skip.v1") == 18
    assert kinds.count("meter_skip.v1") >= 1
    assert len(fleet_server.points) > 20
    assert [check_device(folder).ok for folder in folders(options)] == [True] * 3


@pytest.mark.sockets
def test_a_fleet_that_was_stopped_goes_on_where_it_was(fleet_server, options):
    fleet_server.answer_next = [(503, {"Retry-After": "0"}, b"")] * 2
    with running(Fleet(members(2), replace(options, pace=0.8))):
        wait_until(lambda: len(fleet_server.items) >= 5)
    before = len(fleet_server.items)
    assert Fleet(members(2), replace(options, until_done=True)).run(duration=PATIENCE)
    assert fleet_server.codes == {"CCCC4444"}
    orders = [i["data"] for i in fleet_server.items.values() if i["type"] != "shift.v1"]
    assert 4 < before < len(fleet_server.items)
    assert len(orders) == 12
    assert [check_device(folder).ok for folder in folders(options)] == [True] * 2


@pytest.mark.sockets
def test_a_fleet_whose_server_fails_keeps_its_captures_for_the_next_start(fleet_server, options):
    fleet_server.failing = True
    with running(Fleet(members(1), options)):
        wait_until(lambda: captured(options) >= 7)
    report = check_device(folders(options)[0])
    assert len(report.missing) == report.witnessed == 8
    fleet_server.failing = False
    assert Fleet(members(1), replace(options, until_done=True)).run(duration=PATIENCE)
    assert check_device(folders(options)[0]).ok


@pytest.mark.sockets
def test_a_fleet_waits_for_a_server_that_is_not_up_yet(options, fleet_server):
    down = (502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")
    fleet_server.answer_next = [down, down]
    fleet = Fleet(members(1), replace(options, until_done=True))
    assert fleet.run(duration=PATIENCE)
    assert len(fleet_server.items) == 8


@pytest.mark.sockets
def test_a_rep_with_nothing_to_read_walks_on_and_takes_new_orders(fleet_server, options):
    orders = [d for d in fleet_server.documents if d["collection"] == "read_order"]
    fleet_server.documents = [d for d in fleet_server.documents if d not in orders]
    with running(Fleet(members(1), options)):
        wait_until(lambda: len(fleet_server.points) > 1)
        fleet_server.documents.extend(orders)
        wait_until(lambda: len(fleet_server.items) >= 7)
    kinds = [item["type"] for item in fleet_server.items.values()]
    assert len(kinds) == 2 + 6


@pytest.mark.sockets
def test_a_day_without_signal_is_sent_later_with_its_own_times(fleet_server, options):
    morning = datetime.now(UTC) - timedelta(hours=9)
    real = replace(options, pace=None, live_from=morning, until_done=True)
    assert Fleet(members(1), real).run(duration=PATIENCE)
    readings = [i for i in fleet_server.items.values() if i["type"] != "shift.v1"]
    times = [datetime.fromisoformat(item["captured_at"]) for item in readings]
    assert len(times) == 6
    assert times == sorted(times)
    assert times[0] - morning < timedelta(minutes=10)
    assert times[-1] - times[0] > timedelta(minutes=2)
    sent = datetime.fromisoformat(fleet_server.pushes[0]["sent_at"])
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=5)
