"""What may become of a message between the queue and the socket, with gateways at work."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from server import clock
from server.db import snapshot, transaction
from server.identity.actor import SYSTEM
from server.notify import consent, service
from server.notify.models import Gateway, OutboxMessage, OutboxSegment
from server.notify.rules.categories import Policy
from tests.notify.conftest import bill, states
from tests.notify.test_gateways import running
from tests.waiting import wait_until

pytestmark = pytest.mark.sockets  # nothing leaves, but the gateways' threads run by the real clock

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_what_was_refused_meanwhile_is_not_sent_and_a_gateway_that_goes_is_replaced(
    outbox: Flask,
) -> None:
    def text(key: str, number: int, category: str = "promotion") -> service.Notice:
        phone = f"+86120000{number:05d}"
        return service.Notice("operator.text", key, phone, None, {"text": key}, category=category)

    with transaction() as session:
        for name, price in (("cheap", "0.03"), ("dear", "0.05")):
            service.put_gateway(session, name, "log", {}, simulated=True)
            service.put_price(session, SYSTEM, name, service.Price("", Decimal(price), LONG_AGO))
        service.put_policy(session, SYSTEM, "promotion", Policy())
        late = replace(text("late", 4), expires_at=LONG_AGO)
        notices = [bill(1), text("refused", 2), text("wanted", 3), late, text("quiet", 5, "order")]
        ids = service.enqueue(session, notices)
    with transaction() as session:
        consent.refuse(session, SYSTEM, "+8612000000002", ["promotion"], "text", "TD")
        around = [clock.now().date() + timedelta(days=days) for days in range(-1, 3)]
        service.put_holidays(session, SYSTEM, dict.fromkeys(around, "a holiday"))
        service.put_policy(session, SYSTEM, "order", Policy(quiet_holidays=True))
        service.put_gateway(session, "cheap", "log", {}, simulated=True, enabled=False)
    with running(outbox):
        wait_until(lambda: not {"queued", "claimed", "submitted"} & set(states().values()))
    found = states()
    assert {key: found[ids[key]] for key in ids} == {
        "bill:1": "accepted",
        "refused": "suppressed",
        "wanted": "accepted",
        "late": "expired",
        "quiet": "held",
    }
    with snapshot() as session:
        ways = session.execute(
            select(Gateway.name, OutboxSegment.price).join(
                OutboxSegment, OutboxSegment.gateway_id == Gateway.id
            )
        ).all()
        errors = dict(session.execute(select(OutboxMessage.key, OutboxMessage.error)).all())
    assert [tuple(way) for way in ways] == [("dear", Decimal("0.05"))] * 2
    assert (errors["refused"], errors["quiet"]) == ("notify.refused", "notify.quiet_hours")
