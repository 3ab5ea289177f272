"""Commands that let handhelds and programs in: codes, shutting out, personal tokens, gateways."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import select

from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.models import ApiToken, Device, Enrolment
from server.notify.models import Gateway
from tests import world as worlds


@pytest.fixture
def run(app: Flask):
    worlds.build(app)

    def invoke(*arguments: str, code: int = 0) -> str:
        ran = app.test_cli_runner().invoke(args=arguments)
        assert ran.exit_code == code, ran.output
        return ran.output

    return invoke


def test_a_code_lets_a_handheld_in_for_its_rep(app: Flask, run) -> None:
    made = json.loads(
        run("device", "code", "--rep", "reader", "--rep", "reader", "--hours", "2", "--json")
    )
    assert [each["username"] for each in made] == ["reader", "reader"]
    assert made[0]["code"] != made[1]["code"]
    with app.app_context(), transaction() as session:
        joined = identity.enrol(session, made[0]["code"], {"install_id": "new"})
        assert joined.device.status == "active"


def test_a_code_may_replace_a_handheld(app: Flask, run) -> None:
    with app.app_context(), snapshot() as session:
        old_id = session.scalar(select(Device.id))
    run("device", "code", "--rep", "reader", "--replaces", str(old_id))
    with app.app_context(), snapshot() as session:
        newest = session.scalars(select(Enrolment).order_by(Enrolment.id.desc())).first()
        assert newest is not None
        assert newest.replaces_device_id == old_id
    two = run(
        "device", "code", "--rep", "reader", "--rep", "reader", "--replaces", str(old_id), code=1
    )
    assert "enrol.replaces_one" in two


def test_a_code_for_nobody_is_refused_in_words(run) -> None:
    assert "[staff.unknown]" in run("device", "code", "--rep", "nobody", code=1)


def test_a_revoked_handheld_is_shut_out(app: Flask, run) -> None:
    with app.app_context(), snapshot() as session:
        device_id = session.scalar(select(Device.id))
    assert "is revoked" in run("device", "revoke", str(device_id))
    with app.app_context(), snapshot() as session:
        assert session.scalar(select(Device.status)) == "revoked"
    assert "[device.unknown]" in run("device", "revoke", "999", code=1)


def test_a_token_acts_for_its_person_until_it_is_revoked(app: Flask, run) -> None:
    secret = run("token", "create", "--user", "admin", "--name", "export").strip()
    client = app.test_client()
    head = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/captures/export", headers=head).status_code == 200
    with app.app_context(), snapshot() as session:
        token_id = session.scalars(select(ApiToken.id)).one()
    run("token", "revoke", "--user", "admin", str(token_id))
    assert client.get("/api/v1/captures/export", headers=head).status_code == 401


def test_a_gateway_is_set_up_and_changed_by_its_name(app: Flask, run) -> None:
    keys = {"host": "127.0.0.1", "port": 2775, "system_id": "me", "password": "secret"}
    run("notify", "gateway", "carrier", "--config", json.dumps(keys), "--simulated")
    run("notify", "gateway", "carrier", "--config", json.dumps({**keys, "port": 2776}))
    with app.app_context(), snapshot() as session:
        gateway = session.scalars(select(Gateway)).one()
        assert (gateway.config["port"], gateway.simulated, gateway.enabled) == (2776, False, True)
    assert "is wrong" in run("notify", "gateway", "carrier", "--config", '{"prot": 1}', code=1)
    run("notify", "gateway", "carrier", "--config", "[]", code=2)
