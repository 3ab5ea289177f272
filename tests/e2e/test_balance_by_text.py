"""The way there and back through real processes: a phone asks by SMS and is answered."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from server.db import snapshot, transaction
from server.notify.models import InboundMessage
from server.notify.queries import gateway_states
from server.notify.service import put_gateway
from tests import world as worlds
from tests.e2e.processes import Stage, get_json
from tests.ports import own_port
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_a_customer_texts_for_his_balance_and_is_answered(
    app: Flask, world: worlds.World, stage: Stage
) -> None:
    smpp, http = own_port(), own_port()
    centre = ("smsc", "--port", str(smpp), "--http", str(http))
    stage.start("smsc", [sys.executable, "-m", "device_sim", *centre])
    config = {
        "host": "127.0.0.1",
        "port": smpp,
        "system_id": "fieldbell",
        "password": "fieldbell",
        "source": "95598",
    }
    with app.app_context(), transaction() as session:
        put_gateway(session, "sim", "smpp", config, simulated=True)
    stage.start_worker()
    asking, talking, stranger = world.points[0].phone, world.points[1].phone, "+8612000009999"
    base = f"http://127.0.0.1:{http}"
    wait_until(lambda: _bound(app))

    _send(base, asking, "余额")
    _send(base, stranger, "余额 A0001")
    # In parts that come in the wrong order, and each of them twice.
    _send(base, talking, "查余额" + " " * 140 + "a0002", order="reversed", twice=True)

    wait_until(lambda: len(_shown(base, asking)) == 1 and len(_shown(base, talking)) == 1)
    assert _shown(base, asking) == ["【测试电力】户号A0001余额0.00元。"]
    assert _shown(base, talking) == ["【测试电力】户号A0002余额0.00元。"]
    assert _shown(base, stranger) == []
    with app.app_context(), snapshot() as session:
        rows = session.execute(select(InboundMessage.phone, InboundMessage.state)).all()
    assert ("refused", stranger) in {(state, phone) for phone, state in rows}
    assert [state for phone, state in rows if phone == talking].count("handled") == 1


def _bound(app: Flask) -> bool:
    with app.app_context(), snapshot() as session:
        return [one.state for one in gateway_states(session)] == ["bound"]


def _send(base: str, phone: str, text: str, **how: Any) -> None:
    """Have a simulated phone write a text."""
    request = urllib.request.Request(
        f"{base}/phones/{phone.lstrip('+')}/send",
        json.dumps({"text": text, **how}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def _shown(base: str, phone: str) -> list[str]:
    """What a phone shows of what it was sent."""
    for one in get_json(f"{base}/phones.json"):
        if one["phone"].lstrip("+") == phone.lstrip("+"):
            return [text["text"] for text in one["texts"]]
    return []
