"""A table read by its ids while others write it: on PostgreSQL ids are not in the order of commits."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from sqlalchemy import text

from config.settings import Settings
from server import clock
from server.audit import AuditEvent
from server.capture.ingest import ingest
from server.capture.items import Item, Sender
from server.capture.parse import parse_item
from server.db import announce, settled_through, snapshot, take_ids, transaction
from server.metering.models import Reading, Skip
from tests import world as worlds
from tests.capture.test_export import lines
from tests.capture.test_readings_api import person
from tests.sync.conftest import Handheld

both_write = pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)


def through(model):
    with snapshot() as session:
        return settled_through(session, model)


@pytest.fixture
def context(app):
    with app.app_context():
        yield app


def test_what_is_committed_may_be_read(context):
    before = through(AuditEvent)
    worlds.build(context)
    with snapshot() as session:
        newest = max(row.id for row in session.query(AuditEvent))
    assert through(AuditEvent) == newest > before


@both_write
def test_nobody_reads_past_an_id_that_may_still_come(context):
    with ExitStack() as slow:
        first = slow.enter_context(transaction())
        ids = take_ids(first, {Reading: 1, Skip: 1})
        (lower,), (skip,) = ids[Reading], ids[Skip]
        with transaction() as second:
            (higher,) = take_ids(second, {Reading: 1})[Reading]
        assert lower < higher
        assert through(Reading) == lower - 1
        announce(first, AuditEvent)
        assert through(Reading) == lower - 1, "one table's numbers say nothing about another's"
    assert (through(Reading), through(Skip)) == (higher, skip)


@both_write
def test_an_id_of_a_transaction_that_failed_holds_nobody_up(context):
    with suppress(ZeroDivisionError), transaction() as session:
        (gone,) = take_ids(session, {Reading: 1})[Reading]
        assert through(Reading) == gone - 1
        raise ZeroDivisionError
    assert through(Reading) == gone


@both_write
def test_a_transaction_announces_once_and_again_after_a_savepoint_that_failed(context):
    def locks():
        with snapshot() as session:
            return session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))

    with transaction() as session:
        with suppress(ZeroDivisionError), session.begin_nested():
            take_ids(session, {Reading: 1})
            take_ids(session, {Reading: 1})
            assert locks() == 1
            raise ZeroDivisionError
        assert locks() == 0
        with session.begin_nested():
            (number,) = take_ids(session, {Reading: 1})[Reading]
        assert through(Reading) == number - 1
    assert through(Reading) == number


@both_write
def test_an_export_that_goes_on_after_its_last_line_skips_no_slow_push(context):
    world = worlds.build(context, points=3)
    token = person(context, world, "boss", ["admin"])
    slow, quick, later = (
        worlds.reading(point, 1200, n + 1) for n, point in enumerate(world.points)
    )
    handheld = Handheld(context, world.token)
    sender = Sender(world.device_id, world.reader_id, "A", False, clock.now(), None, Settings())
    parsed = parse_item(slow)
    assert isinstance(parsed, Item)
    with transaction() as session:
        ingest(session, sender, [parsed])
        handheld.push(quick)
        assert lines(context, token) == [], "the quick push has the higher id: it has to wait"
    seen = lines(context, token)
    assert [line["uuid"] for line in seen] == [slow["id"], quick["id"]]
    handheld.push(later)
    (line,) = lines(context, token, after=seen[-1]["id"])
    assert line["uuid"] == later["id"]
