"""Queueing notices, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from server import clock
from server.db import db, snapshot, transaction
from server.errors import Conflict, Invalid, NotFound
from server.notify import queries, service
from server.notify.models import OutboxMessage
from tests.notify.conftest import bill, only, queue_bills, states


def test_a_notice_becomes_one_queued_row_with_its_text(outbox: Flask) -> None:
    with transaction() as session:
        ids = service.enqueue(session, [bill(1, account_id=7, contact_id=8)])
    with snapshot() as session:
        row = only(session)
        session.expunge(row)
    assert ids == {"bill:1": row.id}
    assert row.text == (
        "【东岭电力】户号10000001,10月用电256度,电费137.73元,余额-137.73元,请于12月20日前交费。"
    )
    assert (row.status, row.segments, row.category, row.language) == (
        "queued",
        1,
        "bill",
        "zh_Hans",
    )
    assert (row.delivery, row.account_id, row.contact_id) == ("at_least_once", 7, 8)


def test_the_same_key_is_the_same_message_whenever_it_comes(outbox: Flask) -> None:
    with transaction() as session:
        first = service.enqueue(session, [bill(1), bill(1), bill(2)])
        again = service.enqueue(session, [bill(2), bill(3)])
    with transaction() as session:
        later = service.enqueue(session, [bill(1), bill(3)])
    assert again["bill:2"] == first["bill:2"]
    assert later == {"bill:1": first["bill:1"], "bill:3": again["bill:3"]}
    with snapshot() as session:
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 3


def test_a_key_used_for_something_else_is_refused_to_those_who_ask(outbox: Flask) -> None:
    with transaction() as session:
        service.enqueue(session, [bill(1)], strict=True)
        service.enqueue(session, [bill(1)], strict=True)
    other = replace(bill(1), phone="+8612000009999")
    with pytest.raises(Conflict) as refused, transaction() as session:
        service.enqueue(session, [other], strict=True)
    assert refused.value.code == "notify.key_reused"
    with transaction() as session:
        assert service.enqueue(session, [other]), "without asking, the first stands"


def test_the_number_of_statements_does_not_grow_with_the_notices(outbox: Flask) -> None:
    def statements(count: int, start: int) -> int:
        seen = []
        with transaction() as session:
            listener = lambda *_: seen.append(1)  # noqa: E731
            event.listen(db.engine, "before_cursor_execute", listener)
            service.enqueue(session, [bill(start + number) for number in range(count)])
            event.remove(db.engine, "before_cursor_execute", listener)
        return len(seen)

    statements(1, 50)  # wordings, terms and rules are kept for some seconds
    assert statements(2, 0) == statements(900, 100) <= 5


def test_a_number_no_gateway_can_take_fails_alone(outbox: Flask) -> None:
    with transaction() as session:
        ids = service.enqueue(session, [bill(1, "12345"), bill(2)])
    assert states() == {ids["bill:1"]: "failed", ids["bill:2"]: "queued"}


def test_missing_data_is_the_caller_s_mistake_and_queues_nothing(outbox: Flask) -> None:
    with pytest.raises(Invalid) as refused, transaction() as session:
        service.enqueue(session, [bill(1), replace(bill(2), data={"no": "1"})])
    assert refused.value.code == "notify.missing_data"
    assert states() == {}


def test_an_unknown_event_is_refused(outbox: Flask) -> None:
    with pytest.raises(Invalid) as refused, transaction() as session:
        service.enqueue(session, [replace(bill(1), event="bill.guessed")])
    assert refused.value.code == "notify.unknown_event"


def test_a_notice_for_later_is_held(outbox: Flask) -> None:
    later = clock.now() + timedelta(hours=1)
    (message,) = queue_bills(1, not_before=later)
    assert states() == {message: "held"}


def test_the_operator_s_own_wording_is_used(outbox: Flask) -> None:
    with transaction() as session:
        service.put_template(session, "bill.issued", "zh_Hans", "{co}:{no} {amt}")
        service.put_template(session, "bill.issued", "zh_Hans", "{co}:{no} 应交{amt}")
        service.enqueue(session, [bill(1), replace(bill(2), language="en")])
    with snapshot() as session:
        texts = session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id)).all()
    assert texts[0] == "东岭电力:10000001 应交137.73"
    assert texts[1].startswith("[东岭电力] Account 10000002")


def test_a_bad_template_is_refused_when_it_is_saved(outbox: Flask) -> None:
    with pytest.raises(Invalid) as refused, transaction() as session:
        service.put_template(session, "bill.issued", "en", "{nobody}")
    assert refused.value.code == "notify.bad_template"


def test_a_waiting_message_can_be_withdrawn_and_a_sent_one_not(outbox: Flask) -> None:
    first, second = queue_bills(2)
    with transaction() as session:
        session.execute(
            update(OutboxMessage).where(OutboxMessage.id == second).values(status="submitted")
        )
        service.cancel(session, first)
    with pytest.raises(Conflict) as late, transaction() as session:
        service.cancel(session, second)
    assert late.value.code == "notify.too_late"
    with pytest.raises(NotFound), transaction() as session:
        service.cancel(session, 999_999)
    assert states() == {first: "cancelled", second: "submitted"}


def test_the_list_pages_by_the_last_id(outbox: Flask) -> None:
    ids = queue_bills(5)
    with snapshot() as session:
        first = queries.messages(session, limit=2)
        second = queries.messages(session, limit=2, after=first.after)
        third = queries.messages(session, limit=2, after=second.after)
    seen = [row.id for page in (first, second, third) for row in page.rows]
    assert seen == ids[::-1]
    assert third.after is None


def test_the_list_is_narrowed_by_state_phone_and_account(outbox: Flask) -> None:
    with transaction() as session:
        service.enqueue(session, [bill(1, account_id=5), bill(2, account_id=6), bill(3, "12345")])
    with snapshot() as session:
        assert [row.phone for row in queries.messages(session, status="failed").rows] == ["12345"]
        assert len(queries.messages(session, status="queued").rows) == 2
        assert queries.messages(session, status="' OR 1=1").rows == []
        assert len(queries.messages(session, phone="+8612000000002").rows) == 1
        (row,) = queries.messages(session, account_id=5).rows
        assert row.phone == "+8612000000001"


def test_counts_are_by_state_and_gateway(outbox: Flask, gateway: int) -> None:
    first, _, _ = queue_bills(3)
    with transaction() as session:
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == first)
            .values(status="delivered", gateway_id=gateway)
        )
    with snapshot() as session:
        assert queries.counts(session) == {
            "all": {"queued": 2, "delivered": 1},
            "carrier": {"queued": 2, "delivered": 1},
        }


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"host": "x"}, "port is missing"),
        ({"windw": 3}, "windw is not a setting"),
        ({"window": "3"}, "window must be of type int"),
        ({"window": 0}, "window must be 1 to 1000"),
        ({"port": True}, "port must be of type int"),
        ({"port": 70000}, "port must be 1 to 65535"),
        ({"report_ids": "octal"}, "report_ids"),
        ({"statuses": {"0x0b": "annoying"}}, "statuses"),
        ({"statuses": ["0x0b"]}, "statuses"),
        ({"enquire_seconds": -1}, "enquire_seconds must not be negative"),
    ],
)
def test_a_wrong_gateway_is_refused_with_its_problems(
    outbox: Flask, config: dict[str, object], problem: str
) -> None:
    whole = {"host": "h", "port": 1, "system_id": "a", "password": "b", **config}
    if config == {"host": "x"}:
        whole = config
    with pytest.raises(Invalid) as refused, transaction() as session:
        service.put_gateway(session, "carrier", "smpp", whole)
    assert problem in "; ".join(refused.value.details["problems"])


def test_changing_a_gateway_keeps_its_row(outbox: Flask, gateway: int) -> None:
    with transaction() as session:
        service.put_gateway(session, "carrier", "log", {}, enabled=False)
    with snapshot() as session:
        (row,) = queries.gateway_states(session)
    assert (row.name, row.kind, row.enabled, row.alive, row.state) == (
        "carrier",
        "log",
        False,
        False,
        "stopped",
    )
