"""A device and a stand-in server: enrol, push, pull, and everything that can go wrong between them."""

from __future__ import annotations

import random

import pytest

from device_sim import protocol
from device_sim.check import Held, check_device, compare
from device_sim.protocol import Client, parse_answer
from device_sim.syncer import Backoff, Outcome
from device_sim.walk import Place
from device_sim.witness import digest, read_witness
from tests.device_sim.stub_server import CODE, TOKEN, round_of

JSON = {"Content-Type": "application/json"}
HERE = Place(31.2, 121.4)


def test_each_bad_status_is_a_named_error_that_says_whether_to_retry():
    expected = {
        401: (protocol.UnauthorizedError, False),
        412: (protocol.ResyncRequiredError, True),
        413: (protocol.TooLargeError, True),
        426: (protocol.UpgradeRequiredError, False),
        429: (protocol.BusyError, True),
        500: (protocol.ServerFaultError, True),
        503: (protocol.BusyError, True),
        422: (protocol.RefusedError, False),
    }
    for status, (kind, retry) in expected.items():
        with pytest.raises(protocol.SyncError) as caught:
            parse_answer(status, JSON, b'{"code": "a.b", "message": "m", "details": {"limit": 5}}')
        assert type(caught.value) is kind
        assert caught.value.retry is retry
        assert (caught.value.code, caught.value.details) == ("a.b", {"limit": 5})


@pytest.mark.parametrize("status", [200, 302, 401, 404, 511])
def test_a_captive_portals_html_counts_as_offline_or_as_a_passing_fault(status):
    with pytest.raises(protocol.SyncError) as caught:
        parse_answer(status, {"Content-Type": "text/html"}, b"<html>Sign in</html>")
    assert caught.value.retry
    assert not isinstance(caught.value, protocol.UnauthorizedError)


def test_an_answer_that_says_json_and_is_not_counts_as_offline():
    with pytest.raises(protocol.OfflineError):
        parse_answer(200, JSON, b'{"cut of')


def test_the_server_may_say_when_to_come_back():
    with pytest.raises(protocol.BusyError) as caught:
        parse_answer(503, {"retry-after": "7", **JSON}, b"{}")
    assert caught.value.retry_after == 7


def test_waits_grow_to_a_limit_are_jittered_and_never_shorter_than_asked():
    backoff = Backoff(random.Random(1), first=1, most=8)
    waits = [backoff.next() for _ in range(8)]
    assert all(
        0.5 * top <= wait <= top for wait, top in zip(waits, [1, 2, 4, 8, 8, 8, 8, 8], strict=True)
    )
    assert len(set(waits)) == len(waits)
    assert backoff.next(retry_after=30) > 30
    backoff.reset()
    assert backoff.next() <= 1


@pytest.mark.sockets
def test_a_device_enrols_pulls_in_pages_and_knows_its_round(server, make_syncer):
    server.page = 7
    syncer = make_syncer()
    outcome = syncer.sync()
    assert outcome.error is None
    assert outcome.pulled == 26
    assert len(syncer.handheld.open_stops()) == 12
    assert syncer.handheld.status()["enrolled"]


@pytest.mark.sockets
def test_a_code_is_used_once_and_a_device_with_a_token_keeps_it(server, make_syncer, make_handheld):
    syncer = make_syncer()
    syncer.enrol(CODE)
    syncer.enrol("WXYZ-2222")
    assert syncer.sync().error is None
    stranger = make_handheld("h2")
    with pytest.raises(protocol.RefusedError) as caught:
        make_syncer(stranger)
    assert caught.value.code == "enrolment.used"
    assert not stranger.enrolled


@pytest.mark.sockets
def test_everything_captured_arrives_in_batches_in_order_with_the_track(server, make_syncer):
    syncer = make_syncer()
    syncer.sync()
    handheld = syncer.handheld
    handheld.start_shift()
    for stop in handheld.open_stops():
        handheld.clock.true.sleep(30)
        handheld.stand(stop.place)
        handheld.clock.true.sleep(5)
        handheld.skip(stop, "locked")
    outcome = syncer.sync()
    assert outcome.verdicts == {"applied": 13}
    assert [len(push["items"]) for push in server.pushes] == [5, 5, 3]
    assert [item["seq"] for item in server.items.values()] == list(range(1, 14))
    assert len(server.points) == outcome.points == 24
    assert handheld.status()["unsent"] == handheld.status()["track_unsent"] == 0
    assert check_device(handheld.folder).ok


@pytest.mark.sockets
def test_a_push_tells_the_devices_health_and_clocks(server, make_syncer):
    syncer = make_syncer()
    handheld = syncer.handheld
    for _ in range(4):
        handheld.start_shift()
        handheld.clock.true.sleep(60)
        handheld.end_shift()
    syncer.sync()
    push, last = server.pushes
    assert len(push["items"]) == 5
    assert push["health"]["unsent"] == 3
    assert push["health"]["oldest_unsent_at"] == last["items"][0]["captured_at"]
    assert (last["health"]["unsent"], last["health"]["oldest_unsent_at"]) == (0, None)
    assert 15 <= push["health"]["battery"] <= 100
    assert {"batch", "epoch", "sent_at", "boot", "uptime_ms", "protocol"} <= set(push)


@pytest.mark.sockets
def test_an_unknown_token_stops_nothing_but_the_sending(server, make_syncer):
    syncer = make_syncer()
    syncer.sync()
    syncer.client.token = "forgotten"
    first = syncer.handheld.start_shift()
    outcome = syncer.sync()
    assert isinstance(outcome.error, protocol.UnauthorizedError)
    assert syncer.handheld.status()["token_refused"]
    syncer.handheld.skip(syncer.handheld.open_stops()[0], "dog")
    assert syncer.handheld.store.unsent()[0] == 2
    server.codes.add("NEWC2DE3")
    syncer.enrol("newc-2de3")
    assert syncer.sync().sent == 2
    assert first in server.items


@pytest.mark.sockets
def test_a_captive_portal_takes_nothing_from_the_queue(server, make_syncer):
    syncer = make_syncer()
    syncer.handheld.start_shift()
    page = (200, {"Content-Type": "text/html"}, b"<html>Welcome to our Wi-Fi</html>")
    server.answer_next = [page, page]
    assert isinstance(syncer.sync().error, protocol.OfflineError)
    assert syncer.handheld.store.unsent()[0] == 1
    assert syncer.sync().sent == 1


@pytest.mark.sockets
def test_a_batch_that_is_too_large_is_sent_in_smaller_ones(server, make_syncer):
    syncer = make_syncer()
    for _ in range(2):
        syncer.handheld.start_shift()
        syncer.handheld.end_shift()
    too_large = (413, JSON, b'{"code": "sync.too_large", "message": "m"}')
    server.answer_next = [too_large, too_large]
    assert syncer.sync().sent == 4
    assert len(server.pushes[0]["items"]) == 1


@pytest.mark.sockets
def test_an_item_the_server_fails_on_is_set_aside_and_the_others_get_through(server, make_syncer):
    syncer = make_syncer()
    handheld = syncer.handheld
    items = [handheld.start_shift() if n % 2 else handheld.end_shift() for n in range(1, 10)]
    server.poison = {items[4]}
    for _ in range(12):
        syncer.sync()
    assert set(server.items) == set(items) - {items[4]}
    assert (handheld.store.unsent()[0], handheld.store.parked()) == (1, 1)
    server.poison.clear()
    handheld.store.unpark()
    syncer.sync()
    assert set(server.items) == set(items)


@pytest.mark.sockets
def test_an_item_without_a_verdict_stays_unsent_and_holds_up_no_other(server, make_syncer):
    syncer = make_syncer()
    handheld = syncer.handheld
    items = [handheld.start_shift() if n % 2 else handheld.end_shift() for n in range(1, 10)]
    server.faulty = {items[0], items[3]}
    for expected in (0, 0, 2):
        outcome = syncer.sync()
        assert outcome.error.code == "push.faults"
        assert handheld.store.parked() == expected
    assert set(server.items) == set(items) - server.faulty
    assert syncer.sync().error is None
    assert handheld.store.unsent()[0] == 2
    server.faulty = set()
    handheld.store.unpark()
    syncer.sync()
    assert set(server.items) == set(items)


@pytest.mark.sockets
def test_a_server_restored_from_a_backup_is_offered_what_it_forgot(server, make_syncer):
    syncer = make_syncer()
    syncer.sync()
    handheld = syncer.handheld
    handheld.place = handheld.open_stops()[0].place
    items = [handheld.start_shift(), handheld.end_shift(), handheld.start_shift()]
    syncer.sync()
    del server.items[items[1]], server.items[items[2]]
    walked = set(server.points)
    server.points.clear()
    server.epoch = "e2"
    server.documents = round_of(stops=2)
    last = handheld.end_shift()
    server.items_before = dict(server.items)
    push = server.push
    server.push = lambda body: _told_through(push(body), 1)
    assert syncer.sync().error is None
    assert set(server.items) == {*items, last}
    assert walked < server.points
    assert [stop.point["sequence"] for stop in handheld.open_stops()] == [1, 2]
    assert handheld.store.get("epoch") == "e2"


def _told_through(answer, received_through):
    status, body = answer
    return status, {**body, "received_through": received_through}


@pytest.mark.sockets
def test_a_checkpoint_the_server_does_not_know_starts_the_pull_over(server, make_syncer):
    syncer = make_syncer()
    syncer.sync()
    syncer.handheld.store.put(checkpoint="other:5")
    server.documents = round_of(stops=1)
    outcome = Outcome()
    syncer.pull(outcome)
    assert outcome.pulled == 4
    assert len(syncer.handheld.open_stops()) == 1


@pytest.mark.sockets
def test_a_revoked_device_loses_its_lists_and_none_of_its_captures(server, make_syncer):
    syncer = make_syncer()
    syncer.sync()
    item = syncer.handheld.start_shift()
    server.commands = [{"do": "wipe"}]
    server.documents = []
    syncer.sync()
    assert syncer.handheld.open_stops() == []
    assert syncer.handheld.status()["wiped"]
    assert [kept.id for kept in syncer.handheld.store.items()] == [item]


@pytest.mark.sockets
def test_a_device_without_a_server_is_offline_and_keeps_everything(
    make_handheld, make_syncer, server
):
    syncer = make_syncer()
    syncer.client = Client("http://127.0.0.1:9", TOKEN, timeout=1)
    syncer.handheld.start_shift()
    outcome = syncer.sync()
    assert isinstance(outcome.error, protocol.OfflineError)
    assert outcome.error.retry
    assert syncer.handheld.store.unsent()[0] == 1


def test_an_address_that_is_not_http_is_refused_at_once():
    with pytest.raises(ValueError, match="not an http address"):
        Client("ftp://somewhere")


@pytest.mark.sockets
def test_what_the_witness_saw_is_what_the_server_holds(server, make_syncer):
    syncer = make_syncer()
    for _ in range(3):
        syncer.handheld.start_shift()
        syncer.handheld.end_shift()
    syncer.sync()
    witnessed = read_witness(syncer.handheld.folder / "witness.jsonl")
    held = [Held(i, digest(item["data"])) for i, item in server.items.items()]
    assert compare(witnessed, held).ok
    assert not compare(witnessed, held[1:]).ok
