"""The export of captures: complete, streamed, audited, and only for those who may."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from server.audit import AuditEvent
from server.capture.api import captures
from server.db import snapshot
from tests import world as worlds
from tests.capture.test_readings_api import person
from tests.sync.conftest import Handheld
from tests.sync.test_attachments import Uploader, picture, promise


@pytest.fixture
def world(app):
    return worlds.build(app, points=5)


@pytest.fixture
def pushed(app, world):
    items = [worlds.reading(p, 1200, n + 1) for n, p in enumerate(world.points)]
    items[2] = items[2] | {"type": "dance.v1"}
    Handheld(app, world.token).push(*items)
    return items


def lines(app, token, **query):
    answer = app.test_client().get(
        "/api/v1/captures/export",
        query_string=query,
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def admin(app, world):
    return person(app, world, "boss", ["admin"])


def test_every_capture_is_a_line_in_order_whatever_the_chunk(
    app, world, pushed, admin, monkeypatch
):
    monkeypatch.setattr(captures, "CHUNK", 2)
    found = lines(app, admin)
    assert sorted(line["uuid"] for line in found) == sorted(item["id"] for item in pushed)
    assert [line["id"] for line in found] == sorted(line["id"] for line in found)
    by_id = {line["uuid"]: line for line in found}
    assert by_id[pushed[0]["id"]]["payload"] == pushed[0]
    assert by_id[pushed[2]["id"]]["verdict"] == "rejected"
    assert lines(app, admin, after=found[-1]["id"]) == []


def test_a_line_says_which_photos_have_come(app, world, admin):
    photo, missing = picture("red"), picture("blue")
    uploader = Uploader(app, world.token)
    files = [promise(photo), promise(missing)]
    uploader.push(worlds.reading(world.points[0], 1200, attachments=files))
    uploader.send_file(photo)
    (line,) = lines(app, admin)
    assert line["attachments"] == [
        {"sha256": files[0]["sha256"], "status": "received", "code": None},
        {"sha256": files[1]["sha256"], "status": "expected", "code": None},
    ]


def test_it_can_be_narrowed_by_type_and_time(app, world, pushed, admin):
    assert len(lines(app, admin, type="dance.v1")) == 1
    assert lines(app, admin, received_from=worlds.NOW.replace(hour=11).isoformat()) == []


def test_another_content_of_an_id_comes_with_it(app, world, pushed, admin):
    other = {**pushed[0], "data": {**pushed[0]["data"], "note": "other"}}
    Handheld(app, world.token).push(other)
    line = next(line for line in lines(app, admin) if line["uuid"] == pushed[0]["id"])
    assert [variant["data"]["note"] for variant in line["variants"]] == ["other"]


def test_an_export_is_audited(app, world, pushed, admin):
    lines(app, admin, type="shift.v1")
    with app.app_context(), snapshot() as session:
        event = session.execute(
            select(AuditEvent).where(AuditEvent.action == "captures.exported")
        ).scalar_one()
        assert (event.actor_name, event.after) == ("boss", {"type": "shift.v1"})


def test_it_is_a_right_of_its_own(app, world, pushed):
    token = person(app, world, "manager", ["manager"])
    answer = app.test_client().get(
        "/api/v1/captures/export", headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.get_json()["code"]) == (403, "identity.forbidden")
    with app.app_context(), snapshot() as session:
        exports = select(func.count()).where(AuditEvent.action == "captures.exported")
        assert session.execute(exports).scalar_one() == 0
