"""One notice to very many phones, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import func, literal, select

from server.accounts.models import Contact, Customer
from server.db import BigId, Session, insert_rows, snapshot, transaction
from server.errors import Conflict
from server.identity.actor import SYSTEM
from server.notify import service
from server.notify.models import FanOut, FanOutRecipient, OutboxMessage
from server.notify.rules.categories import Policy

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OUTAGE = {"area": "东岭街道", "etr": "21:30"}


def _recipients(count: int) -> list[service.Recipient]:
    return [
        service.Recipient(f"+86120{number:08d}", "en" if number % 2 else "zh_Hans", number)
        for number in range(count)
    ]


def _announce(key: str, count: int) -> int:
    announcement = service.Announcement(key, "outage.fault", OUTAGE)
    with transaction() as session:
        return service.announce(session, announcement, _recipients(count))


def _slices(most: int, times: int = 100) -> int:
    made = 0
    for _ in range(times):
        with transaction() as session:
            count = service.next_slice(session, most)
        if count is None:
            break
        made += count
    return made


@contextmanager
def _power_cut() -> Iterator[Session]:
    """A transaction that comes to its end and is never committed."""
    with suppress(InterruptedError), transaction() as session:
        yield session
        raise InterruptedError


def _rows() -> list[OutboxMessage]:
    with snapshot() as session:
        return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))


def test_a_killed_fan_out_goes_on_where_it_was_and_tells_each_phone_once(outbox: Flask) -> None:
    number = _announce("outage:7", 25)
    assert _announce("outage:7", 25) == number, "the same announcement is the same fan-out"
    assert _slices(10, times=1) == 10
    with _power_cut() as session:
        service.next_slice(session, 10)
    assert _slices(10) == 15
    rows = _rows()
    assert len({row.phone for row in rows}) == len(rows) == 25
    assert {row.text for row in rows} == {
        "【东岭电力】东岭街道故障停电,抢修中,预计21:30复电。",
        "[东岭电力] Power failure in 东岭街道. We are repairing it; expected back by 21:30.",
    }
    with snapshot() as session:
        fan_out = session.get_one(FanOut, number)
        left = session.scalar(select(func.count()).select_from(FanOutRecipient))
    assert (fan_out.status, fan_out.total, fan_out.made, left) == ("done", 25, 25, 0)


def test_an_announcement_falls_with_the_transaction_it_was_made_in(outbox: Flask) -> None:
    announcement = service.Announcement("outage:8", "outage.fault", OUTAGE)
    with _power_cut() as session:
        service.announce(session, announcement, _recipients(3))
    assert _slices(10) == 0


def test_recipients_come_from_a_query_one_of_each_phone(outbox: Flask) -> None:
    phones = ["+8612000000001", "+8612000000002", "+8612000000001", None]
    with transaction() as session:
        customers = [Customer(customer_no=f"{n}", name="x") for n in range(len(phones))]
        session.add_all(customers)
        session.flush()
        rows = [
            {
                "customer_id": customer.id,
                "name": "x",
                "kind": "holder",
                "phone": phone,
                "language": "en",
                "consent": {},
                "verified": True,
                "is_default": True,
                "created_at": customer.created_at,
            }
            for customer, phone in zip(customers, phones, strict=True)
        ]
        insert_rows(session, Contact, rows)
        query = select(
            Contact.phone,
            Contact.language,
            Contact.id.label("contact_id"),
            literal(None, BigId).label("account_id"),
        )
        announcement = service.Announcement("outage:9", "outage.fault", OUTAGE)
        service.announce(session, announcement, query)
    assert _slices(10) == 2
    assert [row.phone for row in _rows()] == phones[:2]


def test_a_key_that_says_something_else_now_is_refused(outbox: Flask) -> None:
    _announce("outage:7", 2)
    other = service.Announcement("outage:7", "outage.fault", {**OUTAGE, "etr": "23:00"})
    with pytest.raises(Conflict) as refused, transaction() as session:
        service.announce(session, other, _recipients(2))
    assert refused.value.code == "notify.key_reused"


def test_a_withdrawn_fan_out_takes_its_waiting_messages_with_it(outbox: Flask) -> None:
    number = _announce("outage:7", 10)
    other = _announce("outage:71", 1)
    _slices(4, times=1)
    with transaction() as session:
        assert service.cancel_fan_out(session, number) == 4
    assert _slices(4) == 1, "the other one is not touched"
    assert [row.status for row in _rows()] == ["cancelled"] * 4 + ["queued"]
    assert other != number


def test_a_promotion_stops_at_its_budget_and_says_so(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "carrier", "log", {}, simulated=True)
        price = service.Price("", Decimal("0.05"), LONG_AGO)
        service.put_price(session, SYSTEM, "carrier", price)
        policy = Policy(time(3), time(3), budget_month=Decimal("1.02"))
        service.put_policy(session, SYSTEM, "promotion", policy)
        text = service.Announcement(
            "sale", "operator.text", {"text": "Half price"}, category="promotion"
        )
        number = service.announce(session, text, _recipients(50))
    assert _slices(10) == 20
    with snapshot() as session:
        fan_out = session.get_one(FanOut, number)
        queued = session.scalar(select(func.count()).select_from(OutboxMessage))
    assert (fan_out.status, fan_out.error, queued) == ("stopped", "notify.over_budget", 20)


def test_a_text_of_a_person_has_words_for_each_language_and_a_budget_of_its_own(
    outbox: Flask,
) -> None:
    with transaction() as session:
        service.put_gateway(session, "carrier", "log", {}, simulated=True)
        price = service.Price("", Decimal("0.05"), LONG_AGO)
        service.put_price(session, SYSTEM, "carrier", price)
        text = service.Announcement(
            "by:1:x",
            "operator.text",
            {"text": "停水"},
            other={"en": {"text": "No water"}},
            budget=Decimal("1.02"),
        )
        number = service.announce(session, text, _recipients(50))
    assert _slices(10) == 20
    assert {(row.language, row.text) for row in _rows()} == {
        ("zh_Hans", "停水"),
        ("en", "No water"),
    }
    with snapshot() as session:
        fan_out = session.get_one(FanOut, number)
    assert (fan_out.status, fan_out.error) == ("stopped", "message.over_budget")
    assert (fan_out.made, fan_out.cost) == (20, Decimal("1.00"))
