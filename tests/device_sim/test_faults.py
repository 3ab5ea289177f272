"""The bad link, and devices that live with it."""

from __future__ import annotations

import threading

import pytest

from device_sim import protocol
from device_sim.faults import FaultProxy
from device_sim.protocol import Client
from tests.waiting import wait_until

pytestmark = pytest.mark.sockets


@pytest.fixture
def bad_link(server):
    def make(**options):
        proxy = FaultProxy("127.0.0.1", server.port, only="/push", **options)
        opened.append(proxy)
        return proxy.__enter__()

    opened: list[FaultProxy] = []
    yield make
    for proxy in opened:
        proxy.__exit__(None, None, None)


def test_a_request_lost_before_it_is_sent_never_reaches_the_server(server, bad_link, make_syncer):
    proxy = bad_link(script=["reset_before_send"])
    syncer = make_syncer(url=proxy.url)
    syncer.handheld.start_shift()
    assert isinstance(syncer.sync().error, protocol.OfflineError)
    assert server.pushes == []
    assert syncer.sync().sent == 1


def test_a_request_cut_in_the_middle_never_reaches_the_server(server, bad_link, make_syncer):
    syncer = make_syncer(url=bad_link(script=["mid_body"]).url)
    syncer.handheld.start_shift()
    assert isinstance(syncer.sync().error, protocol.OfflineError)
    assert server.pushes == []
    assert syncer.sync().sent == 1


def test_an_answer_lost_after_the_commit_is_asked_for_again_and_has_one_effect(
    server, bad_link, make_syncer
):
    syncer = make_syncer(url=bad_link(script=["after_commit", "after_commit"]).url)
    item = syncer.handheld.start_shift()
    assert syncer.sync().error
    assert list(server.items) == [item]
    assert syncer.handheld.store.unsent()[0] == 1
    assert syncer.sync().error
    assert syncer.sync().error is None
    assert server.posted[item] == 3
    assert len(server.items) == 1
    assert syncer.handheld.store.unsent()[0] == 0


def test_a_server_that_is_busy_says_when_to_come_back(server, bad_link, make_syncer):
    syncer = make_syncer(url=bad_link(script=["unavailable"]).url)
    syncer.handheld.start_shift()
    error = syncer.sync().error
    assert isinstance(error, protocol.BusyError)
    assert error.retry_after == 1
    assert server.pushes == []


def test_a_slow_answer_is_still_an_answer(bad_link, make_syncer):
    proxy = bad_link(script=["delay"], delay_s=0.05)
    syncer = make_syncer(url=proxy.url)
    syncer.handheld.start_shift()
    assert syncer.sync().sent == 1
    assert proxy.applied.count("delay") == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("too_many", protocol.BusyError),
        ("server_error", protocol.ServerFaultError),
        ("portal", protocol.OfflineError),
    ],
)
def test_what_answers_in_the_servers_place_takes_nothing_from_the_outbox(
    server, bad_link, make_syncer, fault, error
):
    syncer = make_syncer(url=bad_link(script=[fault]).url)
    syncer.handheld.start_shift()
    assert isinstance(syncer.sync().error, error)
    assert server.pushes == []
    assert syncer.sync().sent == 1


def test_half_an_answer_is_none(server, bad_link, make_syncer):
    syncer = make_syncer(url=bad_link(script=["cut_answer"]).url)
    item = syncer.handheld.start_shift()
    assert syncer.sync().error
    assert list(server.items) == [item]
    assert syncer.handheld.store.unsent()[0] == 1
    assert syncer.sync().sent == 1


def test_a_request_that_comes_twice_at_once_is_answered_once(server, bad_link, make_syncer):
    syncer = make_syncer(url=bad_link(script=["twice"]).url)
    item = syncer.handheld.start_shift()
    assert syncer.sync().error is None
    assert server.posted[item] == 2


def test_a_request_may_arrive_after_its_repetition(server, bad_link, make_syncer):
    syncer = make_syncer(url=bad_link(script=["late"], late_s=0.3).url)
    item = syncer.handheld.start_shift()
    assert syncer.sync().error
    assert syncer.sync().error is None
    wait_until(lambda: server.posted[item] == 2)
    assert len(server.items) == 1


def test_faults_stay_on_the_paths_they_are_meant_for(bad_link, make_syncer):
    proxy = bad_link(rates={"reset_before_send": 1.0})
    syncer = make_syncer(url=proxy.url)
    assert syncer.sync().error is None
    syncer.handheld.start_shift()
    assert syncer.sync().error


def test_the_same_seed_draws_the_same_faults(server):
    def drawn(seed):
        rates = {"reset_before_send": 0.4, "after_commit": 0.3}
        with FaultProxy("127.0.0.1", server.port, rates=rates, seed=seed) as proxy:
            return [proxy._draw() for _ in range(60)]

    assert drawn("a") == drawn("a")
    assert drawn("a") != drawn("b")
    assert set(drawn("a")) == {"reset_before_send", "after_commit", "pass"}


def test_a_fault_nobody_knows_is_refused(server):
    with pytest.raises(ValueError, match="earthquake"):
        FaultProxy("127.0.0.1", server.port, script=["earthquake"])


def test_a_bad_day_ends_with_everything_sent_exactly_once(server, bad_link, make_syncer):
    rates = {"reset_before_send": 0.2, "mid_body": 0.2, "after_commit": 0.3, "unavailable": 0.1}
    proxy = bad_link(rates=rates, seed="bad day")
    syncer = make_syncer(url=proxy.url)
    handheld = syncer.handheld
    for _ in range(15):
        handheld.start_shift()
        handheld.end_shift()
        syncer.sync()
    for _ in range(100):
        if not handheld.store.unsent()[0]:
            break
        syncer.sync()
    assert set(server.items) == {item.id for item in handheld.store.items()}
    assert len(server.items) == 30
    assert handheld.store.verdicts() == {"applied": 30}
    assert max(server.posted.values()) > 1


def test_the_proxy_ends_with_its_block(server):
    before = threading.active_count()
    with FaultProxy("127.0.0.1", server.port) as proxy:
        client = Client(proxy.url, timeout=2)
    with pytest.raises(protocol.OfflineError):
        client.pull(None)
    assert threading.active_count() <= before + 1
