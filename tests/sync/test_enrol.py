"""Enrolment: one code, one device, and the answers to every wrong code."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from server import clock
from server.db import snapshot, transaction
from server.identity import rules
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Device
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts


@pytest.fixture
def code(app, world):
    with app.app_context(), transaction() as session:
        return identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))[1]


def enrol(app, code, **about):
    device = {"install_id": "i-1", "imei": "490154203237518", **about}
    return app.test_client().post("/device/v1/enrol", json={"code": code, "device": device})


def test_a_code_lets_one_handheld_in(app, world, code):
    answer = enrol(app, f" {code[:4].lower()}-{code[4:]} ")
    assert answer.status_code == 201
    body = answer.get_json()
    assert body["settings"]["max_push_items"] == 500
    assert Handheld(app, body["token"]).pull()["documents"]
    with app.app_context(), snapshot() as session:
        device = session.get_one(Device, body["device_id"])
        assert (device.imei, device.staff_id) == ("490154203237518", world.reader_id)
        assert body["token"] not in repr(vars(device))


def test_a_code_works_once(app, world, code):
    enrol(app, code)
    answer = enrol(app, code, install_id="another")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "enrol.code_used")


def test_the_same_installation_may_ask_again_when_the_answer_was_lost(app, world, code):
    lost = enrol(app, code).get_json()
    again = enrol(app, f"{code[:4].lower()}-{code[4:]}").get_json()
    assert again["device_id"] == lost["device_id"]
    assert Handheld(app, again["token"]).pull()["documents"]


def test_an_enrolment_that_comes_late_locks_nobody_out(app, world, code):
    answered = enrol(app, code).get_json()
    assert Handheld(app, answered["token"]).pull()["documents"]
    late = enrol(app, code).get_json()
    assert late["token"] == answered["token"]
    assert Handheld(app, answered["token"]).pull()["documents"]


def test_a_token_cannot_be_made_without_the_key_of_the_installation():
    made = rules.enrolment_token("a key", "ABCD2345", "i-1")
    assert made == rules.enrolment_token("a key", "ABCD2345", "i-1")
    assert made.startswith("fbd_")
    assert len({made, rules.enrolment_token("other", "ABCD2345", "i-1")}) == 2
    assert len({made, rules.enrolment_token("a key", "ABCD2345", "i-2")}) == 2
    assert len({made, rules.enrolment_token("a key", "ABCD2346", "i-1")}) == 2


def test_an_expired_code_is_told_so(app, world, code):
    clock.set(worlds.NOW + timedelta(hours=1))
    assert enrol(app, code).get_json()["code"] == "enrol.code_expired"


def test_an_unknown_code_is_told_so(app, world):
    assert enrol(app, "2222-2222").get_json()["code"] == "enrol.code_unknown"


def test_a_device_must_say_which_installation_it_is(app, world, code):
    assert enrol(app, code, install_id=None).get_json()["code"] == "enrol.invalid"


def test_a_replaced_handheld_is_closed_and_the_new_one_reads_its_rounds(app, world, handheld):
    with app.app_context(), transaction() as session:
        _, code = identity.offer_enrolment(
            session, SYSTEM, world.reader_id, timedelta(hours=1), world.device_id
        )
    new = Handheld(app, enrol(app, code).get_json()["token"])
    assert handheld.ask_pull().get_json()["code"] == "device.revoked"
    assert any(d["collection"] == "read_order" for d in new.pull()["documents"])


def test_a_revoked_handheld_reads_nothing_and_still_hands_in(app, world, handheld):
    with app.app_context(), transaction() as session:
        identity.revoke_device(session, SYSTEM, world.device_id)
    answer = handheld.push(worlds.reading(world.points[0], 1200))
    assert (verdicts(answer), answer["commands"]) == (["held"], [{"do": "wipe"}])
    assert answer["results"][0]["code"] == "device.revoked"
    assert handheld.ask_pull().status_code == 401


def test_handhelds_that_join_at_the_same_moment_get_prefixes_of_their_own(app, world):
    with app.app_context(), transaction() as session:
        codes = [
            identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))[1]
            for _ in range(6)
        ]
    start = threading.Barrier(len(codes))

    def join(number):
        start.wait()
        return enrol(app, codes[number], install_id=f"i-{number}")

    with ThreadPoolExecutor(len(codes)) as pool:
        answers = list(pool.map(join, range(len(codes))))
    assert [answer.status_code for answer in answers] == [201] * len(codes)
    assert len({answer.get_json()["receipt_prefix"] for answer in answers}) == len(codes)
