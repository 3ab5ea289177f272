"""Token buckets."""

from __future__ import annotations

import pytest

from server.errors import Unauthorized
from server.throttle import Limit, Throttle, TooMany

LIMIT = Limit("test", burst=3, per_minute=60)


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def throttle(seconds):
    return Throttle(seconds)


def test_a_burst_goes_through_and_the_next_call_waits(throttle, seconds):
    for _ in range(3):
        throttle.check(LIMIT, "a")
    with pytest.raises(TooMany) as caught:
        throttle.check(LIMIT, "a")
    assert (caught.value.status, caught.value.code) == (429, "throttle.too_many")
    assert caught.value.details == {"retry_after_s": 1}
    seconds.now += 1
    throttle.check(LIMIT, "a")
    with pytest.raises(TooMany):
        throttle.check(LIMIT, "a")


def test_the_bucket_never_holds_more_than_a_burst(throttle, seconds):
    throttle.check(LIMIT, "a")
    seconds.now += 3600
    for _ in range(3):
        throttle.check(LIMIT, "a")
    with pytest.raises(TooMany):
        throttle.check(LIMIT, "a")


def test_keys_and_limits_do_not_share_a_bucket(throttle):
    other = Limit("other", burst=1, per_minute=1)
    for _ in range(3):
        throttle.check(LIMIT, "a")
    throttle.check(LIMIT, "b")
    throttle.check(other, "a")


def test_only_failed_proofs_count_against_a_guesser(throttle):
    for _ in range(10):
        with throttle.guarding(LIMIT, "ip"):
            pass
    for _ in range(3):
        with pytest.raises(Unauthorized), throttle.guarding(LIMIT, "ip"):
            raise Unauthorized("enrol.code_unknown", "no")
    with pytest.raises(TooMany), throttle.guarding(LIMIT, "ip"):
        pytest.fail("the proof was tried all the same")


def test_many_keys_do_not_fill_the_memory(throttle, seconds):
    for n in range(25_000):
        seconds.now += 0.001
        throttle.check(LIMIT, str(n))
    assert len(throttle._buckets) <= 10_000
