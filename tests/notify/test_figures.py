"""What monitors and the console are told of the queue and of the binds, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from server import clock
from server.db import snapshot, transaction
from server.notify.dispatch.doings import Doings, say_state
from server.notify.dispatch.inbox import News
from server.notify.dispatch.results import Batch
from server.notify.dispatch.runner import Spec
from server.notify.models import Gateway, GatewayLease
from tests.notify.conftest import queue_bills
from tests.notify.test_dispatch import NOW, delivered, lease, record, send


def test_monitors_see_the_queue_and_every_bind(outbox: Flask, gateway: int) -> None:
    clock.set(NOW)
    lease(gateway, "me", 60)
    (message,), tokens = send(gateway)
    token = tokens[message, 1]
    answered: list[Any] = [(token, 0, "A1")]
    record(gateway, answers=answered)
    clock.set(NOW + timedelta(seconds=2))
    record(gateway, receipts=[delivered("A1"), delivered("nobody's")])
    spec = Spec(gateway, "carrier", lambda _: None)  # type: ignore[arg-type,return-value]
    doings = Doings({})
    refused = [(1, 0x58, ""), (2, 0x0B, "")]
    doings.note(News(Batch(answers=answered + refused, receipts=[delivered("A1")])), sent=3)
    with transaction() as session:
        doings.say(session, spec, 2, clock.now())
    queue_bills(3)
    clock.set(NOW + timedelta(seconds=32))
    said = outbox.test_client().get("/metrics").text
    assert 'fieldbell_outbox_queue{priority="50"} 2.0' in said, "the first key was used already"
    assert 'fieldbell_outbox_oldest_seconds{priority="50"} 30.0' in said
    assert "fieldbell_outbox_reports_parked 1.0" in said
    of_bind = 'gateway="carrier"'
    assert f'fieldbell_gateway_bind{{bind="1",figure="in_flight",{of_bind}}} 2.0' in said
    assert f'fieldbell_gateway_bind{{bind="1",figure="report_lag_seconds",{of_bind}}} 2.0' in said
    assert f'fieldbell_gateway_errors{{bind="1",class="throttle",{of_bind}}} 1.0' in said
    assert f'fieldbell_gateway_errors{{bind="1",class="permanent",{of_bind}}} 1.0' in said


def test_the_best_of_several_binds_speaks_for_the_gateway(outbox: Flask, gateway: int) -> None:
    clock.set(NOW)
    specs = [Spec(gateway, "c", lambda _: None, binds=2, bind=bind) for bind in (1, 2)]  # type: ignore[arg-type,return-value]
    with transaction() as session:
        for bind in (1, 2):
            row = {"gateway_id": gateway, "bind": bind, "owner": f"o{bind}"}
            session.add(GatewayLease(**row, expires_at=NOW + timedelta(seconds=9)))
        session.flush()
        say_state(session, specs[0], "bound", "", NOW)
        say_state(session, specs[1], "waiting", "cannot connect", NOW)
    with snapshot() as session:
        assert session.get_one(Gateway, gateway).state == "bound"
        states = session.scalars(select(GatewayLease.state).order_by(GatewayLease.bind)).all()
    assert states == ["bound", "waiting"]
