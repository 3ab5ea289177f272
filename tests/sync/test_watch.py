"""Silent handhelds and missing items: shown, told to the manager once, closed when mended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from config.settings import Settings
from server import clock
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Device
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from server.sync import sequences
from server.sync.watch import watch_devices
from tests import world as worlds
from tests.sync.conftest import verdicts


@pytest.fixture
def manager(app, world):
    """The manager of the unit above the team, with a phone."""
    with app.app_context(), transaction() as session:
        staff = identity.add_staff(
            session,
            SYSTEM,
            username="manager",
            name="王主任",
            password_hash="-",
            roles=["manager"],
            org_unit_id=world.root_id,
        )
        staff.phone = "+8612000009000"


def watch(app, later):
    clock.set(worlds.NOW + later)
    with app.app_context(), transaction() as session:
        return watch_devices(session, Settings())


def items(app):
    with app.app_context(), snapshot() as session:
        return list(session.execute(select(ReviewItem).order_by(ReviewItem.id)).scalars())


def texts(app):
    with app.app_context(), snapshot() as session:
        return [m.text for m in session.execute(select(OutboxMessage)).scalars()]


def test_a_silent_handheld_is_shown_and_its_manager_told_once(app, world, handheld, manager):
    handheld.push(health={"unsent": 7, "oldest_unsent_at": clock.to_iso(worlds.NOW)})
    assert watch(app, timedelta(hours=23)) == 0
    assert watch(app, timedelta(hours=25)) == 1
    assert watch(app, timedelta(hours=26)) == 1
    item = items(app)[0]
    assert (item.reason, item.status, item.detail["unsent"]) == ("device.silent", "open", 7)
    assert item.org_unit_id == world.team_id
    assert texts(app) == ["【测试电力】手持机李抄表 · A已25小时未联系,上次未上传7条,请查看。"]


def test_a_handheld_that_is_heard_again_closes_its_item_and_may_fall_silent_anew(
    app, world, handheld, manager
):
    watch(app, timedelta(hours=25))
    handheld.push()
    watch(app, timedelta(hours=26))
    assert [(i.status, i.why) for i in items(app)] == [("closed", "heard again")]
    watch(app, timedelta(hours=51))
    assert [i.status for i in items(app)] == ["closed", "open"]
    assert len(texts(app)) == 2


def test_a_revoked_handheld_is_not_missed(app, world, handheld, manager):
    with app.app_context(), transaction() as session:
        identity.revoke_device(session, SYSTEM, world.device_id)
    assert watch(app, timedelta(hours=99)) == 0


def test_a_number_that_does_not_come_is_shown_and_closes_when_it_does(
    app, world, handheld, manager
):
    handheld.push(worlds.reading(world.points[0], 1200, 1))
    handheld.push(worlds.reading(world.points[1], 1200, 4))
    assert watch(app, timedelta(minutes=59)) == 0
    assert watch(app, timedelta(minutes=61)) == 1
    assert watch(app, timedelta(minutes=62)) == 1
    item = items(app)[-1]
    assert (item.reason, item.detail["gaps"]) == ("device.gap", [[2, 3]])
    assert sum("缺少编号2–3" in text for text in texts(app)) == 1
    assert verdicts(
        handheld.push(
            worlds.reading(world.points[2], 1200, 2),
            worlds.reading(world.points[2], 1200, 3),
        )
    )
    assert watch(app, timedelta(minutes=63)) == 0
    closed = [i for i in items(app) if i.reason == "device.gap"]
    assert [(i.status, i.why) for i in closed] == [("closed", "the missing items have come")]


def test_two_pushes_at_once_lose_no_number(app, world, handheld):
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    def note(number):
        with app.app_context(), transaction() as session:
            sequences.note_received(session, world.device_id, [number])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(1, 25)))
    with app.app_context(), transaction() as session:
        assert sequences.note_received(session, world.device_id, []) == [(1, 24)]


def test_nearest_gives_the_customer_at_the_place_first(app, world, handheld):
    at = {"lat": 31.2330 + 3 * 0.0001, "lon": 121.4730}
    answer = handheld.client.get(
        "/device/v1/nearest", query_string={**at, "limit": 2}, headers=handheld.headers
    )
    stops = answer.get_json()["stops"]
    assert [stop["point_no"] for stop in stops] == ["S0003", "S0002"]
    assert stops[0]["distance_m"] < 1 < stops[1]["distance_m"] < 15
    assert stops[0]["open"]
    handheld.push(worlds.reading(world.points[2], 1200, 1))
    again = handheld.client.get(
        "/device/v1/nearest", query_string=at, headers=handheld.headers
    ).get_json()["stops"]
    assert not again[0]["open"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "gps.invalid"),
        ({"lat": "x", "lon": 1}, "gps.invalid"),
        ({"lat": 91, "lon": 1}, "gps.out_of_range"),
        ({"lat": "nan", "lon": 1}, "gps.out_of_range"),
        ({"lat": 1, "lon": 1, "crs": "mars"}, "gps.unknown_datum"),
    ],
)
def test_nearest_to_no_place_is_told_so(handheld, query, code):
    answer = handheld.client.get("/device/v1/nearest", query_string=query, headers=handheld.headers)
    assert (answer.status_code, answer.get_json()["code"]) == (422, code)


def test_a_shut_out_handheld_gets_no_customers(app, world, handheld):
    with app.app_context(), transaction() as session:
        session.get_one(Device, world.device_id).status = "revoked"
    answer = handheld.client.get(
        "/device/v1/nearest", query_string={"lat": 31, "lon": 121}, headers=handheld.headers
    )
    assert answer.status_code == 401
