"""Claims and results, on both databases, without any gateway running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, event, select, update

from server import clock
from server.db import Session, by_index, db, snapshot, transaction
from server.notify import queries, service
from server.notify.dispatch import claims, results, timed
from server.notify.dispatch.claims import Claimed, Wanted
from server.notify.dispatch.results import Batch
from server.notify.models import DeliveryReport, OutboxMessage, OutboxSegment
from server.notify.rules import segments
from server.notify.rules.receipts import Receipt
from tests.notify.conftest import bill, put_gateway, queue_bills, states

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
OWNER = "owner-a"


@pytest.fixture(autouse=True)
def _still_clock() -> None:
    clock.set(NOW)


def lease(gateway: int, owner: str = OWNER, seconds: float = 60) -> bool:
    """Take the gateway's lease."""
    with transaction() as session:
        return claims.take_lease(session, gateway, [owner], clock.now(), seconds)


def claim(gateway: int, most: int = 100, owner: str = OWNER) -> list[Claimed]:
    """Take messages and keep them for later, as a runner does whose window is full."""
    with transaction() as session:
        picked = claims.pick(session, gateway, owner, most)
        claims.keep(session, owner, [one.id for one in picked], clock.now())
    return picked


def submit(gateway: int, messages: list[Claimed], owner: str = OWNER) -> dict[tuple[int, int], int]:
    """Mark messages submitted; the token of every (message, part)."""
    now = clock.now()
    with transaction() as session:
        moved = claims.mark_submitted(session, owner, [], [one.id for one in messages], now)
        wanted = [
            Wanted(one, segments.split(one.text).count, 1, 500)
            for one in messages
            if one.id in moved
        ]
        parts = claims.open_segments(session, gateway, wanted, now)
    return {(part.message_id, part.part): part.segment_id for part in parts}


def send(gateway: int, count: int = 1) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Queue, claim and submit some bills."""
    ids = queue_bills(count)
    return ids, submit(gateway, claim(gateway))


def record(gateway: int, **news: list[object]) -> None:
    """Store a batch."""
    with transaction() as session:
        results.record(session, gateway, Batch(**news), clock.now())  # type: ignore[arg-type]


def pass_time(seconds: float, resend_seconds: float = 30) -> None:
    """Let time go by and do what it brings about."""
    clock.set(clock.now() + timedelta(seconds=seconds))
    with snapshot() as session:
        due = timed.due(session, resend_seconds, clock.now())
    before_all = states()
    with transaction() as session:
        timed.step(session, resend_seconds, clock.now())
    assert due or states() == before_all, "a look tells whether there is anything to do"


def _answer(token: int, status: int, name: str) -> tuple[int, int, str]:
    """A carrier's answer."""
    return (token, status, name)


def delivered(name: str, state: str = "delivered", stamp: str = "2611220800") -> Receipt:
    """A report."""
    return Receipt(name, state, "000", stamp)


# --- claims ----------------------------------------------------------------------------------


def test_the_most_urgent_and_then_the_oldest_are_claimed_first(outbox: Flask, gateway: int) -> None:
    bills = queue_bills(3)
    with transaction() as session:
        notice = service.Notice("operator.text", "hello", "+8612000000009", "en", {"text": "hi"})
        urgent = service.enqueue(session, [notice])["hello"]
    assert [one.id for one in claim(gateway, 2)] == [urgent, bills[0]]
    assert [one.id for one in claim(gateway)] == bills[1:]
    assert claim(gateway) == []


def test_the_claim_uses_the_index_that_holds_only_what_is_queued(
    outbox: Flask, gateway: int
) -> None:
    queue_bills(300)
    done = [one.id for one in claim(gateway, 290)]
    with transaction() as session:
        claims.move(session, "failed", done, NOW)
    said = _plan(lambda session: claims.pick(session, gateway, OWNER, 5))
    assert "ix_outbox_message_queue" in said
    assert "TEMP B-TREE" not in said, "the order comes from the index"
    assert "Sort" not in said


def test_a_report_finds_its_segment_by_its_id_and_not_among_all_of_the_gateway(
    outbox: Flask, gateway: int
) -> None:
    batch = results.Batch(receipts=[delivered("1"), delivered("2")])
    said = _plan(
        lambda session: results.record(session, gateway, batch, NOW), "FROM outbox_segment"
    )
    assert "ix_outbox_segment_carrier_id" in said
    assert "carrier_id=?" in said or "carrier_id)::text = ANY" in said.partition("Filter")[0]


def _plan(work: Callable[[Session], object], words: str = "") -> str:
    """How the database carries out the first statement of `work` with these words in it."""
    seen: list[tuple[str, Any]] = []
    listener = lambda _c, _cursor, statement, values, *_: seen.append((statement, values))  # noqa: E731
    with transaction() as session:
        by_index(session)
        connection = session.connection()
        event.listen(db.engine, "before_cursor_execute", listener)
        work(session)
        event.remove(db.engine, "before_cursor_execute", listener)
        statement, values = next(one for one in seen if words in one[0])
        if connection.dialect.name == "postgresql":
            return _rows(connection, f"EXPLAIN {statement}", values)
        return _rows(connection, f"EXPLAIN QUERY PLAN {statement}", tuple(values))


def _rows(connection: Connection, statement: str, values: Any) -> str:
    return "\n".join(str(row) for row in connection.exec_driver_sql(statement, values))


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)
def test_two_workers_never_claim_the_same_message(outbox: Flask, gateway: int) -> None:
    ids = queue_bills(10)
    with transaction() as first, transaction() as second:
        one = claims.pick(first, gateway, "a", 4)
        other = claims.pick(second, gateway, "b", 100)
    assert [claimed.id for claimed in one] == ids[:4]
    assert [claimed.id for claimed in other] == ids[4:]


def test_a_bind_has_one_owner_until_his_lease_ends(outbox: Flask, gateway: int) -> None:
    assert lease(gateway, "a")
    assert not lease(gateway, "b")
    assert lease(gateway, "a"), "renewed"
    clock.set(NOW + timedelta(seconds=61))
    assert lease(gateway, "b")
    assert not lease(gateway, "a")
    with transaction() as session:
        claims.drop_lease(session, gateway, "b", clock.now())
    assert lease(gateway, "a")


def test_what_a_dead_owner_claimed_returns_and_what_he_submitted_is_unknown(
    outbox: Flask, gateway: int
) -> None:
    lease(gateway)
    first, second = queue_bills(2)
    submit(gateway, claim(gateway, 1))
    claim(gateway, 1)
    pass_time(30)
    assert states() == {first: "submitted", second: "claimed"}, "he is alive"
    pass_time(31)
    assert states() == {first: "unknown", second: "queued"}


def test_nobody_submits_what_was_taken_from_him(outbox: Flask, gateway: int) -> None:
    lease(gateway)
    queue_bills(1)
    mine = claim(gateway)
    pass_time(61)
    claim(gateway, owner="owner-b")
    assert submit(gateway, mine) == {}


def test_held_messages_are_queued_when_their_time_has_come(outbox: Flask, gateway: int) -> None:
    (message,) = queue_bills(1, not_before=NOW + timedelta(minutes=10))
    pass_time(599)
    assert states() == {message: "held"}
    pass_time(1)
    assert states() == {message: "queued"}


# --- answers and reports ---------------------------------------------------------------------


def test_a_text_is_accepted_and_then_delivered(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    assert states() == {message: "accepted"}
    record(gateway, receipts=[delivered("A1")])
    assert states() == {message: "delivered"}


def test_a_report_before_the_response_is_parked_and_found(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, receipts=[delivered("A1")])
    assert states() == {message: "submitted"}
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    assert states() == {message: "delivered"}


@pytest.mark.parametrize("known", [True, False], ids=["whole messages are known", "looked up"])
def test_answer_and_report_in_one_batch_are_matched(
    outbox: Flask, gateway: int, known: bool
) -> None:
    ids, tokens = send(gateway, 3)
    alone = {tokens[message, 1]: message for message in ids} if known else {}
    batch = Batch(
        answers=[_answer(tokens[m, 1], 0, f"A{n}") for n, m in enumerate(ids, start=1)],
        receipts=[
            *(delivered("A1", "enroute"), delivered("A1"), delivered("A1")),
            *(delivered("A2", "undeliverable"), delivered("A2")),
        ],
    )
    with transaction() as session:
        results.record(session, gateway, batch, NOW, alone=alone)
    assert [states()[message] for message in ids] == ["delivered", "failed", "accepted"]
    s, r = OutboxSegment, DeliveryReport
    with snapshot() as session:
        rows = session.execute(
            select(s.status, s.carrier_id, s.answered_at, s.reported_at).order_by(s.message_id)
        ).all()
        given = session.execute(select(r.carrier_id, r.segment_id).order_by(r.id)).all()
    assert [tuple(row) for row in rows] == [
        ("delivered", "A1", NOW, NOW),
        ("failed", "A2", NOW, NOW),
        ("accepted", "A3", NOW, None),
    ]
    first, second = (tokens[message, 1] for message in ids[:2])
    assert [tuple(row) for row in given] == [*[("A1", first)] * 2, *[("A2", second)] * 2]


def test_reports_are_idempotent_and_never_take_anything_back(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    for _ in range(3):
        record(gateway, receipts=[delivered("A1"), delivered("A1")])
    record(gateway, receipts=[delivered("A1", "undeliverable"), delivered("A1", "enroute")])
    record(gateway, answers=[_answer(tokens[message, 1], 0x0B, "")], lost=[tokens[message, 1]])
    assert states() == {message: "delivered"}
    with snapshot() as session:
        kept = session.scalars(select(DeliveryReport.state).order_by(DeliveryReport.id)).all()
    assert kept == ["delivered", "undeliverable", "enroute"]


def test_news_on_the_way_changes_nothing(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    record(gateway, receipts=[delivered("A1", "enroute"), delivered("A1", "accepted")])
    assert states() == {message: "accepted"}


def test_a_report_for_nothing_of_ours_is_kept(outbox: Flask, gateway: int) -> None:
    record(gateway, receipts=[delivered("stranger"), delivered("")])
    with snapshot() as session:
        rows = session.scalars(select(DeliveryReport).order_by(DeliveryReport.id)).all()
        assert [(row.carrier_id, row.segment_id) for row in rows] == [
            ("stranger", None),
            (None, None),
        ]


def test_ids_are_matched_within_one_carrier(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    number = put_gateway("other", 2)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    record(number, receipts=[delivered("A1")])
    assert states() == {message: "accepted"}


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("undeliverable", "failed"), ("rejected", "failed"), ("expired", "expired")],
)
def test_a_bad_report_ends_the_message(
    outbox: Flask, gateway: int, state: str, outcome: str
) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    record(gateway, receipts=[delivered("A1", state)])
    assert states() == {message: outcome}
    with snapshot() as session:
        assert queries.trace(session, message)["message"]["error"] == f"report.{state}"


def test_throttling_returns_the_message_to_the_head_and_is_no_attempt(
    outbox: Flask, gateway: int
) -> None:
    (first, second), tokens = send(gateway, 2)
    record(
        gateway, answers=[_answer(tokens[first, 1], 0x58, ""), _answer(tokens[second, 1], 0, "B")]
    )
    assert states() == {first: "queued", second: "accepted"}
    with snapshot() as session:
        assert queries.trace(session, first)["message"]["attempts"] == 0
    again = claim(gateway)
    assert submit(gateway, again) == {(first, 1): tokens[first, 1]}, "in its own segment row"


def test_a_refusal_for_a_while_is_tried_again_later_and_not_for_ever(
    outbox: Flask, gateway: int
) -> None:
    (message,), tokens = send(gateway)
    for _ in range(5):
        record(gateway, answers=[_answer(tokens[message, 1], 0x08, "")])
        assert states() == {message: "held"}
        pass_time(3600)
        assert states() == {message: "queued"}
        assert submit(gateway, claim(gateway)) == tokens
    record(gateway, answers=[_answer(tokens[message, 1], 0x08, "")])
    assert states() == {message: "failed"}


@pytest.mark.parametrize("status", [0x0B, 0x33, 0x61, 0x15])
def test_a_refusal_for_good_fails_with_its_code(outbox: Flask, gateway: int, status: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], status, "")])
    with snapshot() as session:
        found = queries.trace(session, message)["message"]
    assert (found["status"], found["error"]) == ("failed", f"smpp.0x{status:02x}")


def test_a_bind_in_trouble_does_not_fail_the_message(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[_answer(tokens[message, 1], 0x04, "")])
    assert states() == {message: "held"}


# --- certainty -------------------------------------------------------------------------------


def test_what_was_never_written_goes_back_at_once(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, returned=[tokens[message, 1]])
    assert states() == {message: "queued"}


def test_an_unknown_bill_is_sent_once_more_and_flagged(outbox: Flask, gateway: int) -> None:
    lease(gateway, seconds=9999)
    (message,), tokens = send(gateway)
    record(gateway, lost=[tokens[message, 1]])
    pass_time(29)
    assert states() == {message: "unknown"}
    pass_time(1)
    assert states() == {message: "queued"}
    second = submit(gateway, claim(gateway))
    assert second[message, 1] != tokens[message, 1], "a late answer still finds the first"
    record(gateway, lost=[second[message, 1]])
    pass_time(9000)
    assert states() == {message: "unknown"}, "once more, not for ever"
    with snapshot() as session:
        assert queries.trace(session, message)["message"]["possible_duplicate"]
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    assert states() == {message: "accepted"}


def test_a_late_answer_before_the_resend_is_matched(outbox: Flask, gateway: int) -> None:
    lease(gateway, seconds=9999)
    (message,), tokens = send(gateway)
    record(gateway, lost=[tokens[message, 1]])
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    pass_time(31)
    assert states() == {message: "accepted"}


def test_a_late_answer_while_the_resend_waits_makes_the_resend_needless(
    outbox: Flask, gateway: int
) -> None:
    lease(gateway, seconds=9999)
    (message,), tokens = send(gateway)
    record(gateway, lost=[tokens[message, 1]])
    pass_time(31)
    record(gateway, answers=[_answer(tokens[message, 1], 0, "A1")])
    assert submit(gateway, claim(gateway)) == {}
    with transaction() as session:
        results.settle(session, [message], clock.now())
    assert states() == {message: "accepted"}


def test_an_unknown_text_of_the_other_class_waits_or_expires(outbox: Flask, gateway: int) -> None:
    lease(gateway, seconds=9999)
    with transaction() as session:
        notice = service.Notice(
            "operator.text",
            "once",
            "+8612000000009",
            "en",
            {"text": "hi"},
            expires_at=NOW + timedelta(hours=1),
        )
        message = service.enqueue(session, [notice])["once"]
    tokens = submit(gateway, claim(gateway))
    record(gateway, lost=list(tokens.values()))
    pass_time(3000)
    assert states() == {message: "unknown"}
    pass_time(700)
    assert states() == {message: "expired"}


# --- several parts ---------------------------------------------------------------------------


def _long(gateway: int) -> tuple[int, dict[tuple[int, int], int]]:
    lease(gateway, seconds=9999)
    notice = bill(1)
    data = {**notice.data, "no": "户号" * 70}
    with transaction() as session:
        message = service.enqueue(
            session,
            [service.Notice("bill.issued", "long", notice.phone, "zh_Hans", data)],
        )["long"]
    return message, submit(gateway, claim(gateway))


def test_a_long_text_is_accepted_and_delivered_when_all_its_parts_are(
    outbox: Flask, gateway: int
) -> None:
    message, tokens = _long(gateway)
    assert sorted(tokens) == [(message, 1), (message, 2), (message, 3)]
    record(gateway, answers=[_answer(tokens[message, n], 0, f"P{n}") for n in (1, 2)])
    assert states() == {message: "submitted"}
    record(gateway, answers=[_answer(tokens[message, 3], 0, "P3")])
    assert states() == {message: "accepted"}
    record(gateway, receipts=[delivered("P3"), delivered("P1")])
    assert states() == {message: "accepted"}
    record(gateway, receipts=[delivered("P2")])
    assert states() == {message: "delivered"}


def test_a_retry_sends_only_the_parts_that_are_missing(outbox: Flask, gateway: int) -> None:
    message, tokens = _long(gateway)
    record(
        gateway,
        answers=[_answer(tokens[message, 1], 0, "P1"), _answer(tokens[message, 2], 0x58, "")],
        lost=[tokens[message, 3]],
    )
    assert states() == {message: "unknown"}
    pass_time(31)
    again = submit(gateway, claim(gateway))
    assert sorted(again) == [(message, 2), (message, 3)]
    assert again[message, 2] == tokens[message, 2]
    with snapshot() as session:
        copies = session.execute(
            select(OutboxSegment.part, OutboxSegment.copy).order_by(
                OutboxSegment.part, OutboxSegment.copy
            )
        ).all()
    assert [tuple(row) for row in copies] == [(1, 0), (2, 0), (3, 0), (3, 1)]


def test_the_database_knows_the_states(outbox: Flask, gateway: int) -> None:
    queue_bills(1)
    with pytest.raises(Exception, match="ck_outbox_message_status"), transaction() as session:
        session.execute(update(OutboxMessage).values(status="vanished"))
