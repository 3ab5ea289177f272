"""How fast a bind sends: its share of the account's rate, and what throttling teaches it."""

from __future__ import annotations

from server.notify.gateways.smpp.pace import Pace


def run(pace: Pace, begin: float, seconds: float, capacity: float | None) -> tuple[int, int]:
    """Send as fast as the pace lets out to a carrier that takes `capacity` a second: taken, refused."""
    taken = refused = 0
    bucket, now = 1.0, begin
    while now < begin + seconds:
        now += 0.01
        if capacity is not None:
            bucket = min(bucket + capacity * 0.01, capacity * 0.1 + 1)
        go = pace.allowance(now, 20)
        pace.spend(go)
        for _ in range(go):
            if capacity is None or bucket >= 1:
                bucket -= 1
                taken += 1
                pace.accepted(now, 1)
            else:
                refused += 1
                pace.throttled(now)
    return taken, refused


def test_without_a_limit_everything_goes_at_once() -> None:
    assert Pace(None, 0.5, 30, 0.0).allowance(0.0, 1000) == 1000


def test_no_more_leaves_than_the_rate_in_segments() -> None:
    taken, _ = run(Pace(50.0, 0.5, 30, 0.0), 0.0, 10.0, None)
    assert 490 <= taken <= 505


def test_a_share_of_the_rate_is_taken_over_at_once() -> None:
    pace = Pace(100.0, 0.5, 30, 0.0)
    run(pace, 0.0, 2.0, None)
    pace.set_limit(20.0)
    assert 36 <= run(pace, 2.0, 2.0, None)[0] <= 45


def test_it_follows_what_a_throttling_carrier_takes_within_five_seconds() -> None:
    pace = Pace(None, 0.5, 30, 0.0)
    run(pace, 0.0, 5.0, 100)
    taken, refused = run(pace, 5.0, 20.0, 100)
    assert taken >= 20 * 100 * 0.75
    assert refused <= taken * 0.1


def test_it_finds_its_speed_again_when_the_carrier_takes_everything() -> None:
    pace = Pace(None, 0.5, 30, 0.0)
    run(pace, 0.0, 5.0, 100)
    run(pace, 5.0, 60.0, None)
    assert pace.rate is None
