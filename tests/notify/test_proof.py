"""The whole way with real processes: queue, SMPP, a centre that is killed, reports, phones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask

from server.db import snapshot
from server.notify import queries
from server.notify.dispatch import Gateways
from tests.notify.conftest import CentreProcess, put_gateway, queue_bills, states
from tests.ports import own_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.never_again]


def test_every_text_is_delivered_although_the_centre_is_killed_in_between(
    outbox: Flask, tmp_path: Path
) -> None:
    centre = CentreProcess(tmp_path, own_port(), own_port())
    centre.start()
    put_gateway("carrier", centre.port, window=5, response_seconds=3.0)
    ids = queue_bills(200)
    gateways = Gateways(outbox, only_simulated=True)
    gateways.start()
    try:
        wait_until(lambda: _taken(centre) >= 40)
        centre.kill()
        assert "queued" in states().values(), "it was killed in the middle"
        centre.start()
        wait_until(lambda: [states()[number] for number in ids] == ["delivered"] * 200)
        gateways.stop()
        phones = json.loads(centre.get("phones.json"))
    finally:
        gateways.stop()
        centre.kill()
    assert len(phones) == 200
    assert {phone["phone"] for phone in phones} == {f"+86120000{n:05d}" for n in range(200)}
    assert all(phone["texts"][0]["text"].startswith("【东岭电力】户号100") for phone in phones)
    _only_what_was_in_flight_came_twice(phones)
    with snapshot() as session:
        assert queries.gateway_states(session)[0].state == "stopped"


def _only_what_was_in_flight_came_twice(phones: list[dict[str, list[object]]]) -> None:
    twice = [phone for phone in phones if len(phone["texts"]) > 1]
    assert all(len(phone["texts"]) == 2 for phone in twice)
    assert len(twice) <= 10, "the window and what waited behind it bound the doubles"


def _taken(centre: CentreProcess) -> int:
    return int(json.loads(centre.get("counts.json"))["segments"])
