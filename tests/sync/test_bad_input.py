"""Whatever is sent gets a clear answer, its neighbours go through, and it can be found again."""

from __future__ import annotations

import gzip
import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from server.capture.models import CaptureEvent, CaptureReject, CaptureVariant
from server.db import snapshot
from server.review import ReviewItem
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts


def reasons(app: Flask) -> set[str]:
    """The reasons in the review queue."""
    with app.app_context(), snapshot() as session:
        return set(session.execute(select(ReviewItem.reason)).scalars())


def test_a_wrong_token_is_told_so(app, world):
    answer = Handheld(app, "fbd_wrong").send(worlds.push_body([]))
    assert (answer.status_code, answer.get_json()["code"]) == (401, "auth.token_unknown")


def test_no_token_is_told_so(app, world):
    answer = app.test_client().get("/device/v1/pull")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "auth.token_missing")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"type": "dance.v9"}, "item.unknown_type", "type"),
        ({"captured_at": "yesterday"}, "item.invalid", "captured_at"),
        ({"captured_at": "2026-11-01T09:00:00"}, "item.invalid", "captured_at"),
        ({"gps": {"lat": 91, "lon": 121}}, "gps.out_of_range", "gps.lat"),
        ({"gps": {"lat": 31, "lon": 181}}, "gps.out_of_range", "gps.lon"),
        ({"gps": {"lat": 31, "lon": 121, "crs": "mars"}}, "gps.unknown_datum", "gps.crs"),
        ({"gps": {"lat": "31", "lon": 121}}, "gps.invalid", "gps"),
        ({"seq": "one"}, "item.invalid", "seq"),
        ({"data": {"note": "a\x00b"}}, "item.nul", "data.note"),
        (
            {"data": {"registers": [{"kind": "total", "value": "12a45"}]}},
            "item.invalid",
            "data.registers[0].value",
        ),
        (
            {"data": {"registers": [{"kind": "total", "value": "-5"}]}},
            "item.invalid",
            "data.registers[0].value",
        ),
        ({"data": {"registers": []}}, "item.invalid", "data.registers"),
        ({"data": {"service_point": "first"}}, "item.invalid", "data.service_point"),
    ],
)
def test_a_malformed_item_is_rejected_kept_and_its_neighbours_go_through(
    app, world, handheld, change, code, field
):
    good, bad, other = (
        worlds.reading(world.points[0], 1200, 1),
        worlds.reading(world.points[1], 1200, **{"seq": 2, **change}),
        worlds.reading(world.points[2], 1200, 3),
    )
    answer = handheld.push(good, bad, other)
    assert verdicts(answer) == ["applied", "rejected", "applied"]
    assert (answer["results"][1]["code"], answer["results"][1]["field"]) == (code, field)
    with app.app_context(), snapshot() as session:
        kept = session.execute(
            select(CaptureEvent).where(CaptureEvent.uuid == uuid.UUID(bad["id"]))
        ).scalar_one()
        assert kept.payload["type"] == bad["type"]
    assert code in reasons(app)


def test_an_item_without_an_id_is_kept_for_the_office(app, world, handheld):
    good = worlds.reading(world.points[0], 1200)
    nameless = worlds.reading(world.points[1], 1200) | {"id": "seven"}
    answer = handheld.push(good, nameless, "not an item")
    assert verdicts(answer) == ["applied"]
    assert [e["code"] for e in answer["unidentified"]] == ["item.no_id", "item.not_an_object"]
    with app.app_context(), snapshot() as session:
        assert len(session.execute(select(CaptureReject)).all()) == 2


def test_malformed_json_is_refused_and_kept(app, world, handheld):
    answer = handheld.send_bytes(b'{"items": [')
    assert (answer.status_code, answer.get_json()["code"]) == (400, "sync.bad_json")
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureReject.body)).scalar_one() == '{"items": ['
    assert "sync.bad_json" in reasons(app)


def test_an_envelope_of_another_shape_is_refused_and_kept(app, world, handheld):
    answer = handheld.send({"items": {"a": 1}})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "sync.bad_envelope")
    assert "sync.bad_envelope" in reasons(app)


def test_a_body_of_ten_megabytes_is_too_large_and_says_the_limit(app, world, handheld):
    answer = handheld.send_bytes(b" " * (10 * 1024 * 1024))
    assert (answer.status_code, answer.get_json()["code"]) == (413, "sync.body_too_large")
    assert answer.get_json()["details"]["max_bytes"] == 8 * 1024 * 1024
    assert "sync.body_too_large" in reasons(app)


def test_a_gzip_bomb_is_stopped_at_the_limit(app, world, handheld):
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    assert len(bomb) < 100_000
    answer = handheld.send_bytes(bomb, gzipped=True)
    assert (answer.status_code, answer.get_json()["code"]) == (413, "sync.body_too_large")


def test_broken_gzip_is_told_so(app, world, handheld):
    assert handheld.send_bytes(b"no gzip", gzipped=True).get_json()["code"] == "sync.bad_gzip"
    half = gzip.compress(b'{"items": []}' * 100)[:-12]
    assert handheld.send_bytes(half, gzipped=True).get_json()["code"] == "sync.bad_gzip"


def test_too_many_items_are_refused_with_the_limit(app, world, handheld):
    answer = handheld.send(worlds.push_body([{}] * 501))
    assert (answer.status_code, answer.get_json()["code"]) == (413, "sync.too_many_items")
    assert answer.get_json()["details"] == {"max_items": 500}


def test_the_same_id_with_other_content_is_a_conflict_and_both_are_kept(app, world, handheld):
    first = worlds.reading(world.points[0], 1200)
    other = {**first, "data": {**first["data"], "note": "another"}}
    assert verdicts(handheld.push(first)) == ["applied"]
    answer = handheld.push(other)
    assert verdicts(answer) == ["conflict"]
    assert answer["results"][0]["code"] == "item.same_id_other_content"
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureVariant.payload)).scalar_one()["data"]["note"] == (
            "another"
        )
    assert "item.same_id_other_content" in reasons(app)
    assert verdicts(handheld.push(first)) == ["applied"]


def test_a_clock_in_1970_is_no_reason_to_refuse_but_is_held(app, world, handheld):
    item = worlds.reading(world.points[0], 1200, at=worlds.NOW.replace(year=1970))
    answer = handheld.push(item)
    assert verdicts(answer) == ["held"]


def test_a_reading_from_the_future_is_held(app, world, handheld):
    item = worlds.reading(world.points[0], 1200, at=worlds.NOW + timedelta(hours=1))
    answer = handheld.push(item)
    assert (verdicts(answer), answer["results"][0]["code"]) == (["held"], "reading.future")


@pytest.mark.parametrize(
    "data",
    [
        {"meter_serial": "NOBODY"},
        {"service_point": 999_999, "read_order": None},
        {"read_order": 999_999, "service_point": 999_999},
        {"service_point": 2**62, "read_order": 2**62},
    ],
)
def test_a_reading_of_an_unknown_meter_or_point_is_held_for_the_office(app, world, handheld, data):
    answer = handheld.push(worlds.reading(world.points[0], 1200, data=data))
    assert verdicts(answer) == ["held"]
    assert answer["results"][0]["code"] in reasons(app)


def test_an_unknown_field_is_kept_in_the_payload(app, world, handheld):
    item = worlds.reading(world.points[0], 1200) | {"weather": "rain"}
    assert verdicts(handheld.push(item)) == ["applied"]
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureEvent.payload)).scalar_one()["weather"] == "rain"


def test_a_track_in_an_unknown_datum_stops_no_item(app, world, handheld):
    item = worlds.reading(world.points[0], 1200)
    answer = handheld.push(item, track={"crs": "mars", "points": [[1, 2, 3]]})
    assert verdicts(answer) == ["applied"]
    assert answer["track"] == {"accepted": 0, "duplicate": 0, "flagged": 1}
    assert "track.crs_unknown" in reasons(app)
    with app.app_context(), snapshot() as session:
        assert session.execute(select(CaptureReject.body)).scalar_one() == (
            '{"crs":"mars","points":[[1,2,3]]}'
        )
