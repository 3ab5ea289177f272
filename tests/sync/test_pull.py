"""Pulling: scopes, pages, checkpoints, and that no change is ever skipped."""

from __future__ import annotations

import random
import threading
import time
import zlib
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest

from server import clock, feed
from server.db import at_end, snapshot, transaction
from server.errors import Conflict
from server.identity.models import Device, Staff
from server.operator import Operator
from server.rounds.models import Route
from server.sync.collections import multiplier_text
from server.sync.pull import MOST_OCTETS, PACKED, Checkpoint, read_checkpoint
from tests import world as worlds


def of(documents, collection):
    return [d for d in documents if d["collection"] == collection]


def test_a_first_pull_brings_the_whole_round(app, world, handheld):
    documents, _ = handheld.pull_all()
    assert {d["collection"] for d in documents} == {
        "operator",
        "code_list",
        "rep",
        "route",
        "service_point",
        "read_order",
    }
    point = of(documents, "service_point")[0]
    assert point["meter"] == {
        "serial": "M00001",
        "multiplier": "1",
        "registers": [{"kind": "total", "integer_digits": 5, "decimals": 0}],
    }
    assert (point["account_no"], point["sequence"], point["position"]["crs"]) == (
        "A0001",
        1,
        "wgs84",
    )
    order = of(documents, "read_order")[0]
    assert order["registers"]["total"]["previous"] == "1000"
    assert of(documents, "route")[0]["period"] == "2026-11"


@pytest.mark.parametrize(
    ("kept", "text"), [(1_000_000, "1"), (40_000_000, "40"), (1_500_000, "1.5"), (1, "0.000001")]
)
def test_a_multiplier_is_told_without_needless_places(kept, text):
    assert multiplier_text(kept) == text


def test_nothing_new_is_an_empty_page_with_the_same_meaning(app, world, handheld):
    _, checkpoint = handheld.pull_all()
    page = handheld.pull(checkpoint)
    assert (page["documents"], page["more"]) == ([], False)
    assert handheld.pull(page["checkpoint"])["documents"] == []


def test_pages_add_up_to_the_whole(app, world, handheld):
    whole, _ = handheld.pull_all()
    paged, _ = handheld.pull_all(limit=2)
    assert [(d["collection"], d["id"]) for d in paged] == [
        (d["collection"], d["id"]) for d in whole
    ]


def test_only_what_changed_comes_again(app, world, handheld):
    _, checkpoint = handheld.pull_all()
    handheld.push(worlds.reading(world.points[1], 1200))
    documents = handheld.pull(checkpoint)["documents"]
    assert [(d["collection"], d["id"]) for d in documents] == [
        ("read_order", str(world.points[1].order_id))
    ]
    assert documents[0]["status"] == "done"


def test_the_answer_of_a_push_says_where_its_effects_are(app, world, handheld):
    answer = handheld.push(worlds.reading(world.points[0], 1200))
    seq = answer["results"][0]["seq"][f"route:{world.route_id}"]
    documents, _ = handheld.pull_all()
    order = next(d for d in of(documents, "read_order") if d["id"] == str(world.points[0].order_id))
    assert order["version"] == seq


def test_a_route_given_to_somebody_else_is_taken_away_at_the_next_pull(app, world, handheld):
    _, checkpoint = handheld.pull_all()
    with app.app_context(), transaction() as session:
        session.get_one(Route, world.route_id).reader_id = None
    documents = handheld.pull(checkpoint)["documents"]
    assert [(d["collection"], d["id"], d["_deleted"]) for d in documents] == [
        ("scope", f"route:{world.route_id}", True)
    ]


def test_a_checkpoint_of_another_epoch_asks_for_a_new_start(app, world, handheld):
    _, checkpoint = handheld.pull_all()
    with app.app_context(), transaction() as session:
        session.get_one(Operator, 1).epoch = "another"
    answer = handheld.ask_pull(checkpoint)
    assert (answer.status_code, answer.get_json()["code"]) == (412, "sync.resync_required")


def test_a_device_that_asks_is_told_how_many_documents_there_are(app, world, handheld):
    documents, checkpoint = handheld.pull_all()
    count = handheld.pull(checkpoint, count=1)["count"]
    assert sum(count.values()) == len(documents)
    assert count[f"route:{world.route_id}"] == 7
    assert "count" not in handheld.pull(checkpoint)


@pytest.mark.parametrize("checkpoint", ["x", "W10=", "bnVsbA==", "WyJhIiwgeyJvcmciOiAieCJ9XQ=="])
def test_a_checkpoint_that_cannot_be_read_asks_for_a_new_start(app, world, handheld, checkpoint):
    assert handheld.ask_pull(checkpoint).status_code == 412


@pytest.mark.parametrize("sequence", [-1, 2**63])
def test_a_checkpoint_that_no_scope_can_have_asks_for_a_new_start(app, world, handheld, sequence):
    with app.app_context(), snapshot() as session:
        epoch = session.get_one(Operator, 1).epoch
    forged = Checkpoint(epoch, {"org": sequence}).encode()
    assert handheld.ask_pull(forged).status_code == 412


def test_an_old_protocol_is_told_to_update_but_may_push(app, world, handheld):
    answer = handheld.ask_pull(protocol=0)
    assert (answer.status_code, answer.get_json()["code"]) == (426, "sync.protocol_too_old")
    assert handheld.push(worlds.reading(world.points[0], 1200), protocol=0)["results"]


def test_a_pull_is_noticed_as_contact(app, world, handheld):
    clock.set(worlds.NOW + timedelta(minutes=5))
    handheld.pull()
    with app.app_context(), snapshot() as session:
        device = session.get_one(Device, world.device_id)
        assert device.last_contact_at == worlds.NOW + timedelta(minutes=5)


def test_a_sequence_taken_first_is_seen_first_or_together(app, world):
    """T1 takes its sequence and lingers before its commit: T2 must wait, a reader skips nothing."""
    scope, seen, seq = "test", [], 0
    t1_holds, t1_may_end, t2_done = (threading.Event() for _ in range(3))

    def linger(_session):
        t1_holds.set()
        t1_may_end.wait(10)

    def first():
        with app.app_context(), transaction() as session:
            feed.touch(session, scope, "code_list", "ten")
            at_end(session, "linger", linger)

    def second():
        t1_holds.wait(60)
        with app.app_context(), transaction() as session:
            feed.touch(session, scope, "code_list", "eleven")
        t2_done.set()

    def read():
        nonlocal seq
        with app.app_context(), snapshot() as session:
            for change in feed.changes_after(session, scope, seq, 10):
                seen.append(change.document_id)
                seq = change.seq

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    t1_holds.wait(60)
    assert not t2_done.wait(0.3), "T2 must not commit a later sequence before T1"
    read()
    assert seen == []
    t1_may_end.set()
    for thread in threads:
        thread.join(60)
    read()
    assert seen == ["ten", "eleven"]


def test_no_change_is_skipped_while_many_write_and_some_roll_back(app, world):
    """Several writers at once, some of which fail, and a reader that never looks back."""
    writers, rounds = 4, 12
    committed: set[str] = set()
    seen: list[str] = []
    lock = threading.Lock()

    def write(writer):
        chance = random.Random(writer)
        for n in range(rounds):
            name = f"{writer}-{n}"
            try:
                with app.app_context(), transaction() as session:
                    session.get_one(Staff, world.reader_id)
                    feed.touch(session, "test", "code_list", name)
                    time.sleep(chance.random() * 0.004)
                    at_end(session, "linger", lambda _: time.sleep(chance.random() * 0.004))
                    if chance.random() < 0.2:
                        raise RuntimeError("this one fails")
            except RuntimeError:
                continue
            with lock:
                committed.add(name)

    def read(seq):
        with app.app_context(), snapshot() as session:
            changes = feed.changes_after(session, "test", seq, 7)
        seen.extend(change.document_id for change in changes)
        return changes[-1].seq if changes else seq

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    seq = 0
    while any(thread.is_alive() for thread in threads):
        seq = read(seq)
    while (after := read(seq)) != seq:
        seq = after
    assert set(seen) >= committed
    assert len(seen) == len(set(seen))
    assert set(seen) == committed


def test_the_checkpoint_of_many_routes_fits_into_an_address():
    far = Checkpoint("e" * 16, {f"route:{n}": n * 7919 for n in range(1, 401)})
    written = far.encode()
    assert len(written) < 4000
    assert read_checkpoint(written, far.epoch) == far
    near = Checkpoint("e" * 16, {"org": 3, "route:1": 58})
    assert read_checkpoint(near.encode(), near.epoch) == near


@pytest.mark.parametrize(
    "packed",
    [b"no zlib at all", zlib.compress(b"{" * 2 * MOST_OCTETS), zlib.compress(b"[1, 2]" * 99)[:-9]],
)
def test_what_was_not_packed_by_us_starts_the_device_again(packed):
    with pytest.raises(Conflict) as caught:
        read_checkpoint(PACKED + urlsafe_b64encode(packed).decode(), "e" * 16)
    assert caught.value.code == "sync.resync_required"
