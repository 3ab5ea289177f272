"""What a wrong set-up stops is raised once for people, and closes itself when it was put right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from server import clock, review
from server.db import transaction
from server.identity.actor import Actor
from server.notify import service, trouble
from server.notify.models import FanOut, Gateway, GatewayLease, NoticeTemplate
from server.review import ReviewItem
from tests.notify.conftest import put_gateway


def _look() -> list[tuple[str, str]]:
    """Reason and state of every item after another look."""
    with transaction() as session:
        trouble.look(session, clock.now())
        rows = session.scalars(select(ReviewItem).order_by(ReviewItem.id))
        return [(row.reason, row.status) for row in rows]


def _lease(gateway_id: int, **values: Any) -> None:
    with transaction() as session:
        session.add(
            GatewayLease(
                gateway_id=gateway_id, owner="x", expires_at=clock.now() + timedelta(hours=1)
            )
        )
        session.flush()
        session.execute(update(GatewayLease).values(**values))


def _gateway(gateway_id: int, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(Gateway).where(Gateway.id == gateway_id).values(**values))


def test_a_carrier_that_does_not_let_us_in_is_one_item_until_it_does(outbox: Flask) -> None:
    gateway_id = put_gateway("carrier", 1)
    assert _look() == []
    _gateway(gateway_id, state="refused", detail="wrong password")
    for _ in range(3):
        assert _look() == [("gateway.refused", "open")]
    _gateway(gateway_id, state="connecting")
    assert _look() == [("gateway.refused", "open")], "between two tries nothing is mended"
    _lease(gateway_id, state="bound", figures={"errors": {"configuration": 2}})
    _gateway(gateway_id, state="bound")
    assert _look() == [("gateway.refused", "closed"), ("gateway.configuration", "open")]
    _gateway(gateway_id, enabled=False)
    assert [state for _, state in _look()] == ["closed", "closed"]
    _gateway(gateway_id, enabled=True, state="refused")
    assert sorted(_look()[2:]) == [("gateway.configuration", "open"), ("gateway.refused", "open")]


def test_what_a_person_has_put_aside_is_not_raised_again_for_a_day(outbox: Flask) -> None:
    gateway_id = put_gateway("carrier", 1)
    _gateway(gateway_id, state="refused")
    _look()
    with transaction() as session:
        (item,) = session.scalars(select(ReviewItem))
        review.close(session, Actor("staff", 5, "Li"), item.id, "closed", "The carrier knows.")
    assert _look() == [("gateway.refused", "closed")]
    later = clock.now() + timedelta(days=1, minutes=1)
    clock.set(later)
    try:
        assert _look() == [("gateway.refused", "closed"), ("gateway.refused", "open")]
    finally:
        clock.reset()


def test_a_wording_that_cannot_be_filled_and_a_stopped_sending_wait_for_people(
    outbox: Flask,
) -> None:
    with transaction() as session:
        broken = NoticeTemplate(event="bill.issued", language="en", version=1, body="{gone}")
        session.add(broken)
        outage = service.Announcement("o:1", "outage.fault", {"area": "A", "etr": "21:30"})
        number = service.announce(session, outage, [service.Recipient("+8612000000001")])
        session.get_one(FanOut, number).status = "stopped"
    for _ in range(2):
        assert _look() == [("template.broken", "open"), ("fan_out.stopped", "open")]
    with transaction() as session:
        service.put_template(session, "bill.issued", "en", "{no} {amt}")
        service.resume_fan_out(session, number)
    assert _look() == [("template.broken", "closed"), ("fan_out.stopped", "closed")]
