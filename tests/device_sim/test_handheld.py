"""The device's memory: what was saved stays, and the witness knew it first."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from device_sim.check import Held, compare
from device_sim.clock import DeviceClock, VirtualClock, WallClock
from device_sim.protocol import Result
from device_sim.walk import Place
from device_sim.witness import Witness, Witnessed, digest, read_witness
from tests.device_sim.conftest import MORNING
from tests.device_sim.stub_server import order, round_of


def with_round(handheld, stops=3):
    handheld.store.apply_page(round_of(stops), "e1:1")
    return handheld


def verdicts(*item_ids, verdict="applied"):
    return [Result(item_id, verdict) for item_id in item_ids]


def test_a_store_survives_being_closed_and_opened_again(make_handheld):
    first = with_round(make_handheld())
    first.place = Place(31.2, 121.4)
    first.store.put(token="t", epoch="e1")
    item = first.read(first.open_stops()[0], [{"kind": "total", "value": "1200"}])
    first.close()
    again = make_handheld()
    assert [kept.id for kept in again.store.waiting(10)] == [item]
    assert (again.store.get("token"), again.store.get("checkpoint")) == ("t", "e1:1")
    assert again.place == Place(31.2, 121.4)
    assert again.boots == 2
    assert again.store.track_waiting() == 1
    assert len(again.open_stops()) == 2


def test_the_store_waits_for_the_disk_on_every_commit(make_handheld):
    handheld = make_handheld()
    assert handheld.store._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert handheld.store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_items_are_numbered_without_gaps_and_never_deleted(make_handheld):
    handheld = make_handheld()
    first = handheld.start_shift()
    second = handheld.end_shift()
    assert handheld.store.answered(verdicts(first)) == 1
    third = handheld.start_shift()
    assert [(i.seq, i.id) for i in handheld.store.items()] == [(1, first), (2, second), (3, third)]
    assert handheld.store.unsent()[0] == 2


def test_only_an_answer_with_an_items_own_id_takes_it_from_the_queue(make_handheld):
    handheld = make_handheld()
    item = handheld.start_shift()
    assert handheld.store.answered(verdicts("another")) == 0
    assert handheld.store.answered(verdicts(item, verdict="held")) == 1
    assert handheld.store.answered(verdicts(item)) == 0
    assert handheld.store.items()[0].verdict == "held"


def test_the_witness_is_written_before_the_outbox(make_handheld, monkeypatch):
    handheld = make_handheld()

    def power_cut(*args, **kwargs):
        raise sqlite3.OperationalError("power cut")

    monkeypatch.setattr(handheld.store, "add", power_cut)
    with pytest.raises(sqlite3.OperationalError):
        handheld.start_shift()
    witnessed = read_witness(handheld.folder / "witness.jsonl")
    assert [(w.type, w.saved) for w in witnessed] == [("shift.v1", False)]
    assert handheld.store.items() == []


def test_the_witness_is_on_disk_before_the_outbox_is_touched(make_handheld, monkeypatch):
    handheld = make_handheld()
    steps = []
    monkeypatch.setattr("device_sim.witness.os.fsync", lambda fd: steps.append("witness"))
    add = handheld.store.add

    def noted(*args, **facts):
        steps.append("outbox")
        add(*args, **facts)

    monkeypatch.setattr(handheld.store, "add", noted)
    handheld.start_shift()
    assert steps == ["witness", "outbox"]


def test_a_torn_line_of_the_witness_costs_only_itself(tmp_path):
    path = tmp_path / "witness.jsonl"
    path.write_bytes(
        b'{"begin": "a", "type": "t", "digest": "d"}\n{"saved": "a"}\n{"begin": "b", "ty'
    )
    witness = Witness(path)
    witness.begin({"id": "c", "seq": 3, "type": "t", "captured_at": "x", "data": {}})
    witness.close()
    assert [(w.id, w.saved) for w in read_witness(path)] == [("a", True), ("c", False)]


def test_a_shift_is_one_id_from_start_to_end_even_over_a_restart(make_handheld):
    first = make_handheld()
    first.start_shift()
    assert first.start_shift() is None
    first.close()
    again = make_handheld()
    assert again.start_shift() is None
    again.end_shift()
    assert again.end_shift() is None
    data = [item.body["data"] for item in again.store.items()]
    assert [d["state"] for d in data] == ["started", "ended"]
    assert data[0]["shift"] == data[1]["shift"]


def test_an_item_carries_what_the_wire_asks_for(make_handheld):
    handheld = with_round(make_handheld())
    stop = handheld.open_stops()[0]
    handheld.stand(stop.place)
    handheld.read(stop, [{"kind": "total", "value": "1200"}])
    body = handheld.store.items()[0].body
    assert body["type"] == "meter_reading.v1"
    assert body["base"] == "1"
    assert body["gps"]["crs"] == "wgs84"
    assert body["data"] == {
        "read_order": 201,
        "service_point": 101,
        "meter_serial": "M1",
        "reason": "01",
        "registers": [{"kind": "total", "value": "1200"}],
        "trouble": None,
        "note": None,
    }


def test_a_device_without_a_position_says_so(make_handheld):
    handheld = make_handheld()
    handheld.start_shift()
    assert handheld.store.items()[0].body["gps"] == {"absent": "no_fix"}


def test_stops_come_in_walking_order_and_unsent_ones_are_done(make_handheld):
    handheld = make_handheld()
    handheld.store.apply_page(reversed(round_of(4)), "e1:1")
    stops = handheld.open_stops()
    assert [stop.point["sequence"] for stop in stops] == [1, 2, 3, 4]
    handheld.skip(stops[1], "dog")
    assert [stop.point["sequence"] for stop in handheld.open_stops()] == [1, 3, 4]


def test_a_pull_never_brings_back_an_order_that_is_read_but_unsent(make_handheld):
    handheld = with_round(make_handheld(), stops=1)
    item = handheld.skip(handheld.open_stops()[0], "dog")
    handheld.store.apply_page([order(1, version=5)], "e1:2")
    assert handheld.open_stops() == []
    assert [kept.id for kept in handheld.store.waiting(10)] == [item]


def test_an_order_the_office_opens_again_is_read_again_but_not_for_ever(make_handheld):
    handheld = with_round(make_handheld(), stops=1)
    for version in range(2, 9):
        for stop in handheld.open_stops():
            handheld.store.answered(verdicts(handheld.skip(stop, "locked")))
        assert handheld.open_stops() == []
        handheld.store.apply_page([order(1, version=version)], f"e1:{version}")
    assert len(handheld.store.items()) == 3


def test_a_page_replaces_and_deletes_documents(make_handheld):
    handheld = with_round(make_handheld(), stops=2)
    removed = {"collection": "read_order", "id": "202", "scope": "route:7", "_deleted": True}
    handheld.store.apply_page([order(1, version=2, status="done"), removed], "e1:9")
    assert handheld.open_stops() == []
    assert handheld.store.document("read_order", 202) is None


def test_a_point_that_moved_to_another_route_outlives_its_removal_from_the_first(make_handheld):
    handheld = with_round(make_handheld(), stops=1)
    moved = order(1, scope="route:8")
    removed = {"collection": "read_order", "id": "201", "scope": "route:7", "_deleted": True}
    handheld.store.apply_page([moved, removed], "e1:9")
    assert handheld.store.document("read_order", 201) == moved


def test_a_lost_scope_takes_its_documents_along_and_no_others(make_handheld):
    handheld = with_round(make_handheld())
    lost = {"collection": "scope", "id": "route:7", "version": 0, "_deleted": True}
    handheld.store.apply_page([order(9, scope="route:8"), lost], "e1:9")
    assert handheld.open_stops() == []
    assert [o["id"] for o in handheld.store.documents("read_order")] == ["209"]
    assert handheld.store.document("operator", "operator")


def test_after_a_full_pull_documents_that_did_not_come_again_are_gone(make_handheld):
    handheld = with_round(make_handheld(), stops=2)
    handheld.store.start_over()
    assert handheld.store.get("checkpoint") is None
    handheld.store.apply_page(round_of(1), "e2:1")
    handheld.store.end_of_full_pull()
    assert [stop.point["sequence"] for stop in handheld.open_stops()] == [1]


def test_a_wrong_clock_is_wrong_by_its_offset_and_drift_but_fixes_tell_the_truth(make_handheld):
    true = VirtualClock(MORNING)
    handheld = make_handheld(clock=true, offset_s=-3600, drift_ppm=1000)
    true.sleep(1000)
    assert handheld.clock.now() == MORNING + timedelta(seconds=1000 - 3600 + 1)
    assert handheld.clock.uptime_ms() == 1_000_000
    assert handheld.stand(Place(31.2, 121.4)).at == MORNING + timedelta(seconds=1000)


def test_a_device_shows_times_in_the_operators_zone(make_handheld):
    handheld = with_round(make_handheld())
    handheld.learn_zone()
    handheld.start_shift()
    assert handheld.store.items()[0].captured_at == "2026-11-21T08:30:00.000+08:00"


def test_a_virtual_day_passes_at_once_and_then_the_clock_is_real():
    class Present(WallClock):
        def now(self):
            return datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

    clock = VirtualClock(MORNING, Present())
    lived = [clock.live]
    clock.sleep(10 * 3600)
    lived.append(clock.live)
    assert lived == [False, True]
    assert clock.now() == Present().now()
    assert DeviceClock(clock).now() == Present().now()


def entry(item_id, saved=True, content=None):
    return Witnessed(item_id, "t", digest(content), saved)


def test_the_check_finds_what_is_missing_doubled_changed_or_from_nowhere():
    witnessed = [
        entry("a"),
        entry("b"),
        entry("c"),
        entry("d", content={"v": 1}),
        entry("e", False),
    ]
    held = [Held("a"), Held("b"), Held("b"), Held("d", digest({"v": 2})), Held("z")]
    report = compare(witnessed, held)
    assert not report.ok
    assert report.missing == ["c"]
    assert report.twice == ["b"]
    assert report.different == ["d"]
    assert report.unknown == ["z"]


def test_the_check_lets_a_capture_cut_short_be_held_once_or_not_at_all():
    assert compare([entry("a"), entry("e", False)], [Held("a", digest(None))]).ok
    assert compare([entry("a"), entry("e", False)], [Held("a"), Held("e")]).ok
    assert compare([entry("e", False)], [Held("e"), Held("e")]).twice == ["e"]


def test_content_is_compared_by_meaning_not_by_spelling():
    assert digest({"a": 1, "b": "中"}) == digest(json.loads('{"b": "中", "a": 1}'))
