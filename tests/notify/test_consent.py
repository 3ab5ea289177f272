"""What a phone has refused, when it is left in peace, how often it is written to; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from server import clock
from server.audit import AuditEvent
from server.db import db, snapshot, transaction
from server.errors import Invalid
from server.identity.actor import SYSTEM
from server.notify import consent, service
from server.notify.models import OutboxMessage
from server.notify.rules.categories import DEFAULT_POLICIES, Policy
from tests.notify.conftest import bill

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # noon in Shanghai
NIGHT = datetime(2026, 11, 22, 15, tzinfo=UTC)  # 23:00
PHONE = "+8612000000001"


@pytest.fixture
def noon(outbox: Flask) -> Iterator[Flask]:
    """The outbox at noon in Shanghai."""
    clock.set(NOON)
    yield outbox
    clock.reset()


@dataclass(frozen=True)
class Claimed:
    """A message as a gateway holds it before it sends."""

    id: int
    phone: str
    category: str
    expires_at: datetime | None = None


def _text(key: str, category: str = "promotion", phone: str = PHONE) -> service.Notice:
    return service.Notice("operator.text", key, phone, None, {"text": key}, category=category)


def _queue(*notices: service.Notice) -> list[tuple[str, str | None]]:
    with transaction() as session:
        ids = service.enqueue(session, notices)
        rows = session.execute(
            select(OutboxMessage.id, OutboxMessage.status, OutboxMessage.error).where(
                OutboxMessage.id.in_(ids.values())
            )
        )
        found = {row.id: (row.status, row.error) for row in rows}
    return [found[ids[notice.key]] for notice in notices]


def _refuse(*categories: str) -> None:
    with transaction() as session:
        consent.refuse(session, SYSTEM, PHONE, categories, "text", "TD")


def _rule(category: str, policy: Policy) -> None:
    with transaction() as session:
        service.put_policy(session, SYSTEM, category, policy)


def test_a_refused_category_is_suppressed_and_the_others_are_not(noon: Flask) -> None:
    _refuse("promotion")
    other = _text("c", phone="+8612000000002")
    assert _queue(_text("a"), _text("b", "outage"), other, bill(1, PHONE)) == [
        ("suppressed", "notify.refused"),
        ("queued", None),
        ("queued", None),
        ("queued", None),
    ]


def test_a_refusal_is_kept_once_with_its_way_and_taken_back_again(noon: Flask) -> None:
    with transaction() as session:
        assert consent.refuse(session, SYSTEM, PHONE, ["promotion", "bill"], "text", "TD") == [
            "bill",
            "promotion",
        ]
        assert consent.refuse(session, SYSTEM, PHONE, ["promotion"], "console") == []
        rows = consent.refusals(session, PHONE)
        assert [(row.category, row.source, row.note) for row in rows] == [
            ("bill", "text", "TD"),
            ("promotion", "text", "TD"),
        ]
        assert consent.allow(session, SYSTEM, PHONE, ["promotion", "outage"], "text") == [
            "promotion"
        ]
    assert _queue(_text("a")) == [("queued", None)]
    with snapshot() as session:
        acts = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert acts == ["notify.refused", "notify.refused", "notify.allowed"]


def test_what_must_reach_everybody_cannot_be_refused(noon: Flask) -> None:
    for category in ("reply", "safety", "staff", "nothing"):
        with pytest.raises(Invalid) as refused, transaction() as session:
            consent.refuse(session, SYSTEM, PHONE, ["promotion", category], "console")
        assert refused.value.code == "notify.not_refusable"
        assert refused.value.details == {"categories": [category]}


def test_a_promotion_at_night_is_held_until_the_morning_and_an_outage_goes(noon: Flask) -> None:
    clock.set(NIGHT)
    assert _queue(_text("a"), _text("b", "outage")) == [
        ("held", "notify.quiet_hours"),
        ("queued", None),
    ]
    with snapshot() as session:
        until = session.scalars(
            select(OutboxMessage.not_before).where(OutboxMessage.key == "a")
        ).one()
    eight = datetime(2026, 11, 23, 0, tzinfo=UTC)
    assert until is not None
    assert eight <= until < eight + timedelta(minutes=30)


def test_the_recipient_s_own_night_counts(noon: Flask) -> None:
    assert _queue(_text("a", phone="+12125550123")) == [("held", "notify.quiet_hours")]


def test_a_promotion_planned_into_the_night_or_a_holiday_waits_longer(noon: Flask) -> None:
    _rule("promotion", replace(DEFAULT_POLICIES["promotion"], quiet_holidays=True))
    with transaction() as session:
        service.put_holidays(session, SYSTEM, {date(2026, 11, 23): "a holiday"})
    planned = replace(_text("a"), not_before=NIGHT)
    assert _queue(planned) == [("held", "notify.quiet_hours")]
    with snapshot() as session:
        until = session.scalars(select(OutboxMessage.not_before)).one()
    assert until is not None
    assert f"{until:%m-%d %H}" == "11-24 00"


def test_a_phone_gets_no_more_of_a_category_than_the_cap_in_its_period(noon: Flask) -> None:
    assert _queue(_text("a"), _text("b"), _text("c"), _text("d", phone="+8612000000002")) == [
        ("queued", None),
        ("queued", None),
        ("suppressed", "notify.capped"),
        ("queued", None),
    ]
    assert _queue(_text("a")) == [("queued", None)], "the same message is not another one"
    clock.set(NOON + timedelta(hours=23))
    assert _queue(_text("e")) == [("suppressed", "notify.capped")]
    clock.set(NOON + timedelta(hours=24, seconds=1))
    assert _queue(_text("f")) == [("queued", None)]


def test_a_refusal_after_the_queueing_holds_at_the_sending(noon: Flask) -> None:
    messages = [
        Claimed(1, PHONE, "promotion"),
        Claimed(2, PHONE, "outage"),
        Claimed(3, "+8612000000002", "promotion"),
        Claimed(4, PHONE, "bill", expires_at=NOON),
    ]
    _refuse("promotion")
    with snapshot() as session:
        assert consent.recheck(session, messages, NOON) == {
            1: consent.Verdict("suppressed", "notify.refused"),
            4: consent.Verdict("expired", "notify.expired"),
        }
        later = consent.recheck(session, messages[2:3], NIGHT)[3]
    assert (later.status, later.error) == ("held", "notify.quiet_hours")
    assert later.not_before is not None


def test_a_batch_is_looked_at_again_with_one_statement(noon: Flask) -> None:
    messages = [Claimed(n, f"+86120000{n:05d}", "bill") for n in range(500)]
    with snapshot() as session:
        consent.recheck(session, messages, NOON)
        seen: list[int] = []
        listener = lambda *_: seen.append(1)  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        assert consent.recheck(session, messages, NOON) == {}
        event.remove(db.engine, "before_cursor_execute", listener)
    assert len(seen) == 1


def test_the_cap_counts_what_was_sent_when_it_is_looked_at_again(noon: Flask) -> None:
    _queue(_text("a"), _text("b"))
    with transaction() as session:
        session.execute(update(OutboxMessage).values(status="submitted"))
        third = Claimed(99, PHONE, "promotion")
        verdict = consent.recheck(session, [third], NOON)[99]
    assert verdict == consent.Verdict("suppressed", "notify.capped")


def test_a_policy_that_cannot_be_kept_is_refused(noon: Flask) -> None:
    for category, policy in (
        ("promotion", Policy(quiet_from=time(21))),
        ("reply", Policy(quiet_from=time(21), quiet_to=time(8))),
        ("promotion", Policy(spread_minutes=-1)),
        ("promotion", Policy(cap_count=-1)),
        ("promotion", Policy(cap_hours=0)),
        ("promotion", Policy(budget_day=Decimal(-1))),
    ):
        with pytest.raises(Invalid) as refused:
            _rule(category, policy)
        assert refused.value.code == "notify.bad_policy"


def test_a_preview_says_what_would_become_of_messages_and_stores_nothing(noon: Flask) -> None:
    _refuse("promotion")
    with transaction() as session:
        service.put_gateway(session, "carrier", "log", {}, simulated=True)
        price = service.Price("+86", Decimal("0.05"), NOON)
        service.put_price(session, SYSTEM, "carrier", price)
    notices = [_text("a"), _text("b", phone="+8612000000002"), _text("c", phone="nobody")]
    with snapshot() as session:
        found = service.preview(session, notices)
    assert found.states == {"suppressed": 1, "queued": 1, "failed": 1}
    assert found.errors == {"notify.refused": 1, "notify.bad_phone": 1}
    assert (found.messages, found.segments, found.cost) == (3, 1, Decimal("0.05"))
    with snapshot() as session:
        assert session.scalars(select(OutboxMessage)).all() == []


def test_versions_of_a_template_are_kept_and_queued_texts_stay(noon: Flask) -> None:
    with transaction() as session:
        assert service.put_template(session, "bill.issued", "en", "{no} {amt} one") == 1
        assert service.put_template(session, "bill.issued", "en", "{no} {amt} one") == 1
        service.enqueue(session, [replace(bill(1), language="en")])
        assert service.put_template(session, "bill.issued", "en", "{no} {amt} two") == 2
        service.enqueue(session, [replace(bill(2), language="en")])
        assert service.put_template(session, "bill.issued", "en", None) == 3
        service.enqueue(session, [replace(bill(3), language="en")])
        versions = service.template_versions(session, "bill.issued", "en")
        texts = session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id)).all()
    assert [row.body for row in versions] == [None, "{no} {amt} two", "{no} {amt} one"]
    assert [text.rpartition(" ")[2] for text in texts[:2]] == ["one", "two"]
    assert texts[2].startswith("[东岭电力] Account 10000003")


def test_a_template_is_shown_filled_with_its_segments_and_what_they_cost(noon: Flask) -> None:
    with transaction() as session:
        for name, amount in (("one", "0.05"), ("two", "0.03")):
            service.put_gateway(session, name, "log", {}, simulated=True)
            price = service.Price("", Decimal(amount), NOON)
            service.put_price(session, SYSTEM, name, price)
        body = "[{co}] {no}: {amt}" + "." * 160
        found = service.preview_template(session, "bill.issued", "zh_Hans", body)
        broken = service.preview_template(session, "bill.issued", "zh_Hans", "{no} {x}")
    assert found.text.startswith("[东岭电力] 10023456: 1234.56.")
    assert (found.encoding, found.segments) == ("ucs2", 3)
    assert found.cost == (Decimal("0.09"), Decimal("0.15"))
    assert [one.code for one in broken.findings if one.severity == "error"] == [
        "template.unknown_variable",
        "template.missing_variable",
    ]


def test_of_two_prices_of_one_prefix_the_later_ends_the_earlier(noon: Flask) -> None:
    change = NOON + timedelta(days=30)
    with transaction() as session:
        service.put_gateway(session, "carrier", "log", {}, simulated=True)
        for since, amount in ((NOON, "0.05"), (change, "0.06")):
            price = service.Price("+86", Decimal(amount), since)
            number = service.put_price(session, SYSTEM, "carrier", price)
        assert [row.valid_to for row in service.prices(session, "carrier")] == [None, change]
        service.drop_price(session, SYSTEM, number)
        assert [row.price for row in service.prices(session, "carrier")] == [Decimal("0.05")]
    with pytest.raises(Invalid) as refused, transaction() as session:
        service.put_price(session, SYSTEM, "carrier", service.Price("86", Decimal(1), NOON))
    assert refused.value.code == "notify.bad_price"
