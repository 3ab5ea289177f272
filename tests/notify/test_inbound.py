"""Texts of phones in the tables, on both databases: joined, each once, shown when they are not whole."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from server import clock
from server.db import db, snapshot, transaction
from server.notify import inbound
from server.notify.inbound import InboundText
from server.notify.models import InboundMessage, InboundPart
from server.notify.rules import charsets

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still_clock() -> None:
    clock.set(NOW)


def text(
    gateway: int, body: str = "余额", phone: str = "8612000000001", **more: Any
) -> InboundText:
    """A text as it came a moment ago."""
    made = InboundText(
        gateway, phone, "95598", body.encode("utf-16-be"), clock.now(), charset="utf-16-be"
    )
    return replace(made, **more)


def parts(gateway: int, *bodies: str, reference: int = 7, **more: Any) -> list[InboundText]:
    """The parts of one text, in order."""
    return [
        text(gateway, body, reference=reference, total=len(bodies), part=n, **more)
        for n, body in enumerate(bodies, 1)
    ]


def store(*texts: InboundText) -> None:
    """Store as a gateway's runner does."""
    with transaction() as session:
        inbound.store(session, texts)


def later(seconds: float) -> None:
    """Let time pass."""
    clock.set(clock.now() + timedelta(seconds=seconds))


def messages() -> list[InboundMessage]:
    """All texts in order of arrival."""
    with snapshot() as session:
        return list(session.scalars(select(InboundMessage).order_by(InboundMessage.id)))


def shown() -> list[tuple[str, str]]:
    """(state, text) of all texts."""
    return [(one.state, one.text) for one in messages()]


def test_a_text_is_stored_with_its_sender_and_the_octets_it_came_in(gateway: int) -> None:
    store(text(gateway))
    (one,) = messages()
    assert (one.state, one.text, one.phone) == ("received", "余额", "+8612000000001")
    assert (one.destination, one.total, one.arrived, one.damaged) == ("95598", 1, 1, False)
    with snapshot() as session:
        part = session.scalars(select(InboundPart)).one()
    assert (part.body, part.charset) == ("余额".encode("utf-16-be"), "utf-16-be")


def test_what_a_carrier_delivers_again_is_shown_as_a_repeat_and_an_honest_one_later_is_not(
    gateway: int,
) -> None:
    store(text(gateway), text(gateway))
    later(100)
    store(text(gateway), text(gateway, phone="8612000000002"))
    assert [one.state for one in messages()] == ["received", "repeat", "repeat", "received"]
    assert {one.repeat_of_id for one in messages()} == {None, messages()[0].id}
    later(21)  # 121 seconds after the first: the repeats between do not count
    store(text(gateway))
    assert messages()[-1].state == "received"


def test_a_carrier_that_names_its_texts_is_believed(gateway: int) -> None:
    named = [text(gateway, carrier_id=name) for name in ("a", "b", "a", "x" * 500)]
    store(*named)
    store(named[0], text(gateway, carrier_id="c"), named[3])
    assert [state for state, _ in shown()] == ["received"] * 4


@pytest.mark.parametrize("at_once", [True, False])
def test_parts_join_in_any_order(gateway: int, at_once: bool) -> None:
    pieces = parts(gateway, "一😀"[:1], "二", "三")
    for n, order in enumerate(itertools.permutations(range(3))):
        ordered = [replace(pieces[at], reference=n) for at in order]
        for chunk in [ordered] if at_once else [[one] for one in ordered]:
            store(*chunk)
    assert shown() == [("received", "一二三")] * 6


def test_a_text_waits_for_its_parts_and_shows_the_gap(gateway: int) -> None:
    first, second = parts(gateway, "余", "额")
    store(second)
    assert shown() == [("partial", "\ufffd额")]
    store(second)
    assert shown()[1:] == [("repeat", "额")]
    store(first)
    assert shown()[0] == ("received", "余额")
    assert messages()[0].open_key is None


def test_a_part_that_comes_again_after_the_whole_is_a_repeat(gateway: int) -> None:
    first, second = parts(gateway, "余", "额")
    store(first, second)
    store(second)
    assert [state for state, _ in shown()] == ["received", "repeat"]


def test_a_reference_that_comes_round_again_begins_another_text(gateway: int) -> None:
    store(parts(gateway, "旧一", "旧二")[0])
    store(*parts(gateway, "新一", "新二"))
    assert shown() == [("incomplete", "旧一\ufffd"), ("received", "新一新二")]
    first, second = parts(gateway, "甲", "乙", reference=8)
    store(first, *parts(gateway, "丙", "丁", reference=8)[:1], replace(second, part=2))
    assert shown()[2:] == [("incomplete", "甲\ufffd"), ("received", "丙乙")]


@pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)
def test_parts_that_come_at_the_same_time_over_two_lines_join(outbox: Flask, gateway: int) -> None:
    first, second = parts(gateway, "余", "额")

    def store_second() -> None:
        with outbox.app_context():
            store(second)

    other = threading.Thread(target=store_second)
    with transaction() as session:
        inbound.store(session, [first])
        other.start()
        other.join(0.5)
        assert other.is_alive(), "it waits for the text that the first has begun"
    other.join(10)
    assert shown() == [("received", "余额")]


def test_parts_of_different_people_with_one_reference_stay_apart(gateway: int) -> None:
    mine, yours = parts(gateway, "余", "额"), parts(gateway, "帮", "助", phone="8612000000002")
    store(*itertools.chain.from_iterable(zip(mine, yours, strict=True)))
    assert shown() == [("received", "余额"), ("received", "帮助")]


def test_ids_follow_the_order_of_arrival(gateway: int) -> None:
    first, second = parts(gateway, "三", "四")
    store(text(gateway, "一"), first, text(gateway, "五"), second, text(gateway, "六"))
    assert [said for _, said in shown()] == ["一", "三四", "五", "六"]


def test_what_is_not_whole_in_time_is_shown_as_incomplete(gateway: int) -> None:
    store(parts(gateway, "余", "额")[0])
    later(14 * 60)
    store(parts(gateway, "帮", "助", reference=9)[0])
    later(2 * 60)
    with transaction() as session:
        assert inbound.close_incomplete(session, 15) == 1
    store(parts(gateway, "余", "额")[1])
    assert [state for state, _ in shown()] == ["incomplete", "partial", "partial"]


def test_old_texts_are_forgotten_and_what_became_of_them_is_kept(gateway: int) -> None:
    store(text(gateway))
    later(86400 * 31)
    store(text(gateway, "帮助"))
    for expected in (1, 0):
        with transaction() as session:
            assert inbound.forget(session, 30) == expected
    assert [(one.text, one.masked) for one in messages()] == [("", True), ("帮助", False)]
    with snapshot() as session:
        assert len(session.scalars(select(InboundPart.id)).all()) == 1


def test_nothing_that_a_carrier_may_hand_over_stops_the_queue(gateway: int) -> None:
    chance = random.Random(19)
    words = ["", "\0", "\ud800", "余额", "x" * 500, "+8612000000001", "é\n", "%s {x} ' \" \\"]

    def any_text() -> InboundText:
        return InboundText(
            gateway,
            chance.choice(words),
            chance.choice(words),
            chance.randbytes(chance.randrange(200)),
            clock.now() + timedelta(seconds=chance.randrange(-500, 500)),
            data_coding=chance.randrange(256),
            charset=chance.choice([None, None, *words, *charsets.KNOWN]),
            reference=chance.choice([-1, 0, 7, 2**40]),
            total=chance.choice([-1, 0, 1, 2, 3, 256]),
            part=chance.choice([-1, 0, 1, 2, 3, 256]),
            fill_bits=chance.randrange(7),
            carrier_id=chance.choice([None, None, *words, str(chance.random())]),
        )

    texts = [any_text() for _ in range(300)]
    store(*texts)
    store(*texts)
    assert {one.state for one in messages()} >= {"received", "repeat", "partial"}


def test_the_number_of_statements_does_not_grow_with_the_texts(outbox: Flask, gateway: int) -> None:
    def batch(size: int) -> Sequence[InboundText]:
        alone = [text(gateway, f"{size} {n}") for n in range(size)]
        named = [text(gateway, carrier_id=f"{size} {n}") for n in range(size)]
        joined = [one for n in range(size) for one in parts(gateway, f"{size}", "b", reference=n)]
        return alone + named + joined

    counted: list[int] = []
    statements = itertools.count()
    event.listen(db.engine, "before_cursor_execute", lambda *_: next(statements))
    for size in (2, 60):
        before = next(statements)
        store(*batch(size))
        counted.append(next(statements) - before)
    assert counted[0] == counted[1]
