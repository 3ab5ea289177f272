"""The rules of sending, each in plain words, on both databases, without any gateway running."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select, update

from server import clock
from server.db import snapshot, transaction
from server.notify import service, setup
from server.notify.dispatch import claims, results
from server.notify.dispatch.choosing import choose
from server.notify.dispatch.claims import Claimed
from server.notify.dispatch.results import Batch
from server.notify.models import (
    Gateway,
    GatewayLease,
    OutboxMessage,
    OutboxSegment,
    OutboxTransition,
)
from server.notify.rules import states as rules
from tests.notify.conftest import bill, put_gateway, queue_bills, states
from tests.notify.test_dispatch import NOW, claim, delivered, lease, pass_time, record, send, submit


@pytest.fixture(autouse=True)
def _still_clock() -> None:
    clock.set(NOW)


def steps(message: int) -> list[tuple[str, str, str]]:
    """What is written down about a message off the straight road."""
    t = OutboxTransition
    with snapshot() as session:
        rows = session.execute(
            select(t.source, t.target, t.reason).where(t.message_id == message).order_by(t.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


# --- the queue -------------------------------------------------------------------------------


def test_every_transition_is_one_of_the_table_and_back_only_when_the_carrier_cannot_hold_it() -> (
    None
):
    assert set(rules.sources("queued")) == {"held", "claimed", "submitted", "unknown"}
    assert not any(rules.allowed(old, new) for old in rules.FINAL for new in rules.STATES)
    assert rules.sources("cancelled") == ("queued", "held")


def test_a_gateway_takes_only_what_is_its_own(outbox: Flask, gateway: int) -> None:
    ids = queue_bills(3)
    other = put_gateway("other", 2)
    with transaction() as session:
        session.execute(
            update(OutboxMessage).where(OutboxMessage.id == ids[1]).values(gateway_id=other)
        )
    assert [one.id for one in claim(gateway)] == [ids[0], ids[2]]
    assert [one.id for one in claim(other)] == [ids[1]]


def test_another_bind_of_the_account_leaves_a_phone_alone_that_has_a_text_under_way(
    outbox: Flask, gateway: int
) -> None:
    phones = ["+8612000000001", "+8612000000001", "+8612000000002"]
    with transaction() as session:
        ids = list(
            service.enqueue(
                session, [bill(number, phone) for number, phone in enumerate(phones)]
            ).values()
        )
    claim(gateway, 1, "bind-1")
    with transaction() as session:
        mine = claims.pick(session, gateway, "bind-2", 10, beside_others=True)
    assert [one.id for one in mine] == [ids[2]]
    with transaction() as session:
        own = claims.pick(session, gateway, "bind-1", 10, beside_others=True)
    assert [one.id for one in own] == ids[1:]


def test_equals_for_one_phone_go_one_after_the_other_and_others_pass_them() -> None:
    waiting = [
        Claimed(50, number, f"+861200000000{phone}", "hi", 1, "bill", None, True)
        for number, phone in enumerate((1, 1, 2, 1, 3))
    ]
    choice = choose(waiting, {"+8612000000003"}, 10, 8, whole=False)
    assert [one.message.id for one in choice.go] == [0, 2]
    assert [one.id for one in choice.wait] == [1, 3, 4]


def test_all_segments_of_a_message_go_together_or_not_at_all() -> None:
    waiting = [
        Claimed(50, 1, "+8612000000001", "hi", 1, "bill", None, True),
        Claimed(50, 2, "+8612000000002", "长" * 200, 3, "bill", None, True),
        Claimed(50, 3, "+8612000000003", "hi", 1, "bill", None, True),
    ]
    assert [one.message.id for one in choose(waiting, set(), 3, 8, whole=False).go] == [1]
    assert [one.message.id for one in choose(waiting[1:], set(), 1, 8, whole=False).go] == [2]
    assert [one.parts for one in choose(waiting, set(), 9, 8, whole=True).go] == [1, 1, 1]


# --- certainty -------------------------------------------------------------------------------


def test_a_crash_or_a_cut_line_allows_another_resend_and_a_silence_only_one(
    outbox: Flask, gateway: int
) -> None:
    lease(gateway, seconds=99_999)
    (message,), tokens = send(gateway)
    record(gateway, cut=list(tokens.values()))
    for _ in range(2):
        pass_time(3600)
        assert states() == {message: "queued"}
        tokens = submit(gateway, claim(gateway))
        record(gateway, lost=list(tokens.values()))
    pass_time(7200)
    assert states() == {message: "unknown"}, "two resends: one for the silence, one for the cut"
    assert [reason for *_, reason in steps(message)] == [
        "line_cut",
        "sent_again",
        "no_answer",
        "sent_again",
        "no_answer",
    ]


def test_no_number_of_crashes_makes_a_text_go_out_for_ever(outbox: Flask, gateway: int) -> None:
    lease(gateway, seconds=999_999)
    (message,), tokens = send(gateway)
    resends = 0
    for _ in range(9):
        record(gateway, cut=list(tokens.values()))
        pass_time(3600)
        if states() == {message: "queued"}:
            resends += 1
            tokens = submit(gateway, claim(gateway))
    assert resends == 6
    assert states() == {message: "unknown"}


# --- errors ----------------------------------------------------------------------------------


def test_a_message_refused_again_and_again_looks_for_another_way(
    outbox: Flask, gateway: int
) -> None:
    (message,), tokens = send(gateway)
    other = put_gateway("other", 2)
    lease(other, "somebody", 999)
    with transaction() as session:
        session.execute(update(Gateway).values(state="bound", state_at=NOW))
        setup.changed(session)
    record(gateway, answers=[(tokens[message, 1], 0x08, "")])
    pass_time(60)
    submit(gateway, claim(gateway))
    record(gateway, answers=[(tokens[message, 1], 0x08, "")])
    with snapshot() as session:
        assert session.scalars(select(OutboxMessage.gateway_id)).one() == other
    assert steps(message)[0] == ("submitted", "held", "back_off")


def test_throttling_is_written_down(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    record(gateway, answers=[(tokens[message, 1], 0x58, "")])
    assert steps(message) == [("submitted", "queued", "throttled")]


# --- money and parts -------------------------------------------------------------------------


def test_a_segment_keeps_the_price_of_its_submission(outbox: Flask, gateway: int) -> None:
    _, tokens = send(gateway)
    with snapshot() as session:
        row = session.get_one(OutboxSegment, next(iter(tokens.values())))
        assert (row.price, row.units) == (Decimal("0.05"), 1)


def test_parts_answered_by_two_gateways_add_up(outbox: Flask, gateway: int) -> None:
    (message,), tokens = send(gateway)
    other = put_gateway("other", 2)
    segment = tokens[message, 1]
    with transaction() as session:
        session.execute(update(OutboxMessage).values(segments=2))
        session.add(
            OutboxSegment(
                message_id=message, part=2, gateway_id=other, status="submitted", submitted_at=NOW
            )
        )
        session.flush()
        second = session.scalars(select(OutboxSegment.id).where(OutboxSegment.part == 2)).one()
    record(gateway, answers=[(segment, 0, "A")])
    assert states() == {message: "submitted"}
    record(other, answers=[(second, 0, "B")])
    assert states() == {message: "accepted"}


def test_an_id_used_again_by_a_carrier_means_the_open_segment(outbox: Flask, gateway: int) -> None:
    (first, second), tokens = send(gateway, 2)
    record(gateway, answers=[(tokens[first, 1], 0, "7")])
    record(gateway, receipts=[delivered("7", stamp="1")])
    record(gateway, answers=[(tokens[second, 1], 0, "7")])
    record(gateway, receipts=[delivered("7", stamp="2")])
    assert states() == {first: "delivered", second: "delivered"}


def test_reports_find_their_text_whichever_way_the_carrier_writes_ids(
    outbox: Flask, gateway: int
) -> None:
    ids, tokens = send(gateway, 3)
    pairs = [("as_is", "00Ab", "00Ab"), ("hex_to_dec", "171", "AB"), ("dec_to_hex", "0ab", "171")]
    for message, (mode, answered, reported) in zip(ids, pairs, strict=True):
        with transaction() as session:
            batch = Batch(answers=[(tokens[message, 1], 0, answered)])
            results.record(session, gateway, batch, clock.now(), id_mode=mode)
            batch = Batch(receipts=[delivered(reported, stamp=mode)])
            results.record(session, gateway, batch, clock.now(), id_mode=mode)
    assert set(states().values()) == {"delivered"}


# --- leases ----------------------------------------------------------------------------------


def test_each_bind_has_an_owner_and_the_rate_is_shared_by_those_at_work(
    outbox: Flask, gateway: int
) -> None:
    now = clock.now()
    with transaction() as session:
        assert claims.take_lease(session, gateway, ["a"], now, 12, bind=1)
        assert not claims.take_lease(session, gateway, ["b"], now, 12, bind=1)
        assert claims.take_lease(session, gateway, ["b"], now, 12, bind=2)
        assert claims.live_binds(session, gateway, 3, now) == 2
        assert claims.live_binds(session, gateway, 3, now + timedelta(seconds=13)) == 0
        assert session.scalars(select(GatewayLease.owner).order_by(GatewayLease.bind)).all() == [
            "a",
            "b",
        ]
        assert session.get_one(Gateway, gateway).state == "stopped"
