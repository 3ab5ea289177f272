"""What messages cost, what was spent, who is stopped, and what is forgotten; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from server import clock
from server.db import Session, insert_rows, snapshot, transaction
from server.identity.actor import SYSTEM
from server.notify import queries, retention, routes, service, spending, statistics
from server.notify.dispatch.doings import say_state
from server.notify.dispatch.specify import specify
from server.notify.models import (
    Gateway,
    GatewayLease,
    OutboxMessage,
    OutboxSegment,
    OutboxTransition,
)
from tests.notify.conftest import bill

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # noon in Shanghai
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def noon(outbox: Flask) -> Iterator[Flask]:
    """The outbox at noon, with a cheap and a dear gateway that are both at work."""
    clock.set(NOON)
    with transaction() as session:
        for name, price in (("cheap", "0.03"), ("dear", "0.05")):
            service.put_gateway(session, name, "log", {}, simulated=True)
            service.put_price(session, SYSTEM, name, service.Price("", Decimal(price), LONG_AGO))
        _come(session)
    yield outbox
    clock.reset()


def _come(session: Session) -> None:
    """Somebody runs both gateways from now on."""
    for gateway in session.scalars(select(Gateway)):
        gateway.state, gateway.state_at = "bound", clock.now()
        until = clock.now() + timedelta(hours=1)
        session.add(GatewayLease(gateway_id=gateway.id, owner=gateway.name, expires_at=until))


def _gateways() -> dict[str, int]:
    with snapshot() as session:
        return {row.name: row.id for row in session.execute(select(Gateway.name, Gateway.id))}


def _queue(count: int) -> list[int]:
    notices = [bill(number, f"+861381234{number:04d}") for number in range(count)]
    with transaction() as session:
        return list(service.enqueue(session, notices).values())


def _sent(ids: list[int], states: list[str], at: datetime = NOON) -> None:
    """Segments of these messages at the cheap gateway; `states` may name an error behind a blank."""
    rows = []
    for message, state in zip(ids, states, strict=True):
        status, _, error = state.partition(" ")
        rows.append(
            {
                "created_at": at,
                "message_id": message,
                "part": 1,
                "copy": 0,
                "gateway_id": _gateways()["cheap"],
                "status": status,
                "units": 1,
                "price": Decimal("0.03"),
                "submitted_at": at,
                "error": error or None,
            }
        )
    with transaction() as session:
        insert_rows(session, OutboxSegment, rows)


def _where() -> dict[str, int]:
    with snapshot() as session:
        rows = session.execute(
            select(Gateway.name, OutboxMessage.id)
            .select_from(OutboxMessage)
            .outerjoin(Gateway, Gateway.id == OutboxMessage.gateway_id)
        ).all()
    found: dict[str, int] = {}
    for name, _ in rows:
        found[name or "-"] = found.get(name or "-", 0) + 1
    return found


def test_a_segment_costs_only_when_the_carrier_took_it(noon: Flask) -> None:
    ids = _queue(6)
    states = ["accepted", "delivered", "failed report.undeliverable", "failed smpp.0x0000000b"]
    _sent(ids, [*states, "refused smpp.0x00000058", "unknown"])
    with snapshot() as session:
        (row,) = statistics.count_day(session, date(2026, 11, 22), ZONE)
    assert (row.messages, row.segments, row.accepted, row.delivered, row.failed) == (6, 6, 3, 1, 2)
    assert (row.event, row.carrier, row.cost) == ("bill.issued", "China Mobile", Decimal("0.09"))


def test_a_day_is_the_operator_s_and_is_counted_anew(noon: Flask) -> None:
    ids = _queue(3)
    _sent(ids[:1], ["delivered"], NOON - timedelta(hours=12, minutes=1))
    _sent(ids[1:2], ["delivered"], NOON - timedelta(hours=12))
    _sent(ids[2:], ["accepted"], NOON + timedelta(hours=12) - timedelta(microseconds=1))
    for _ in range(2):
        for back in range(2):
            day = date(2026, 11, 22) - timedelta(days=back)
            with transaction() as session:
                statistics.store_day(session, day, statistics.count_day(session, day, ZONE))
    with snapshot() as session:
        shown = queries.statistics(session, date(2026, 11, 1), date(2026, 11, 30), ("day",))
        (total,) = queries.statistics(session, date(2026, 11, 1), date(2026, 11, 30), ())
    assert [(row.names["day"].day, row.messages) for row in shown] == [(21, 1), (22, 2)]
    assert (total.accepted, total.delivered, total.cost) == (3, 2, Decimal("0.09"))


def test_a_gateway_that_spent_its_budget_loses_what_waits_until_the_day_is_over(
    noon: Flask,
) -> None:
    ids = _queue(10)
    assert _where() == {"cheap": 10}
    terms = service.Terms(daily_budget=Decimal("0.06"))
    with transaction() as session:
        service.put_terms(session, SYSTEM, "cheap", terms)
        assert spending.stop_spenders(session, NOON) == []
    _sent(ids[:2], ["delivered", "accepted"])
    with transaction() as session:
        assert spending.stop_spenders(session, NOON) == ["cheap"]
        assert not routes.load(session).open(_gateways()["cheap"])
        assert routes.reroute(session, NOON) == 10
        until = session.scalars(select(Gateway.over_until).where(Gateway.name == "cheap")).one()
        steps = session.scalars(select(OutboxTransition.reason)).all()
    assert _where() == {"dear": 10}
    assert until == datetime(2026, 11, 22, 16, tzinfo=UTC), "midnight in Shanghai"
    assert set(steps) == {"route.changed"}
    clock.set(until)
    with transaction() as session:
        assert spending.stop_spenders(session, until) == []
        assert routes.load(session).open(_gateways()["cheap"])


def test_what_waits_for_a_gateway_that_is_away_goes_to_the_next_and_stays_if_there_is_none(
    noon: Flask,
) -> None:
    _queue(5)
    with transaction() as session:
        cheap = session.scalars(select(Gateway).where(Gateway.name == "cheap")).one()
        cheap.state, cheap.state_at = "waiting", NOON - timedelta(seconds=30)
    with transaction() as session:
        assert routes.reroute(session, NOON) == 0, "it may be back within its patience"
    clock.set(NOON + timedelta(seconds=31))
    with transaction() as session:
        assert routes.reroute(session, clock.now(), at_once=3) == 3
        assert routes.reroute(session, clock.now(), at_once=3) == 2
        dear = session.scalars(select(Gateway).where(Gateway.name == "dear")).one()
        dear.state, dear.state_at = "waiting", NOON - timedelta(hours=1)
    with transaction() as session:
        assert routes.reroute(session, clock.now()) == 0
    assert _where() == {"dear": 5}


def test_a_gateway_that_tries_to_connect_again_and_again_loses_what_waits_for_it(
    noon: Flask,
) -> None:
    _queue(5)
    with transaction() as session:
        cheap = session.scalars(select(Gateway).where(Gateway.name == "cheap")).one()
        (spec,) = specify(cheap)
    for seconds, state in ((0, "waiting"), (25, "connecting"), (26, "waiting"), (61, "connecting")):
        clock.set(NOON + timedelta(seconds=seconds))
        with transaction() as session:
            say_state(session, spec, state, f"try at {seconds}", clock.now())
            assert routes.reroute(session, clock.now()) == (5 if seconds > 60 else 0)
    with transaction() as session:
        say_state(session, spec, "bound", "", clock.now())
        cheap = session.scalars(select(Gateway).where(Gateway.name == "cheap")).one()
        assert cheap.state_at == clock.now()
    assert _where() == {"dear": 5}


def test_a_message_without_a_way_waits_for_one_that_serves_it(noon: Flask) -> None:
    with transaction() as session:
        for name in ("cheap", "dear"):
            service.put_terms(session, SYSTEM, name, service.Terms(categories=["outage"]))
    _queue(3)
    assert _where() == {"-": 3}
    with transaction() as session:
        assert routes.reroute(session, NOON) == 0
        service.put_terms(session, SYSTEM, "dear", service.Terms(categories=["outage", "bill"]))
        assert routes.reroute(session, NOON) == 3
    assert _where() == {"dear": 3}


def test_old_messages_lose_number_and_text_and_nothing_else(noon: Flask) -> None:
    clock.set(NOON - timedelta(days=500))
    old = _queue(3)
    clock.set(NOON)
    with transaction() as session:
        (young,) = service.enqueue(session, [bill(9)]).values()
        before = NOON - timedelta(days=400)
        assert [retention.forget_slice(session, before, most=2) for _ in range(3)] == [2, 1, 0]
    with snapshot() as session:
        rows = {row.id: row for row in session.scalars(select(OutboxMessage))}
    assert {(rows[i].phone, rows[i].text, rows[i].status) for i in old} == {("", "", "expired")}
    assert {(rows[i].event, rows[i].segments) for i in old} == {("bill.issued", 1)}
    assert rows[young].phone
    assert rows[young].text


def test_budgets_and_queues_are_looked_after_when_something_waits_in_vain(noon: Flask) -> None:
    _queue(2)
    with snapshot() as session:
        assert not routes.is_due(session)
    with transaction() as session:
        service.put_gateway(session, "cheap", "log", {}, simulated=True, enabled=False)
        assert not routes.is_due(session), "it was just looked at"
    with transaction() as session:
        assert routes.reroute(session, NOON) == 2
        terms = service.Terms(daily_budget=Decimal("0.01"))
        service.put_terms(session, SYSTEM, "dear", terms)
        assert routes.is_due(session), "there is a budget now"
        routes.look_after(session, NOON)
        assert not routes.is_due(session)
    assert _where() == {"dear": 2}
