"""A bind against a carrier that takes a hundred a second, by a clock of the test's own."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from device_sim.smsc import wire
from server.notify.gateways.port import Submission
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.protocol import Link
from tests.notify.test_protocol import bound

_TAKES = 100
_STEP = 0.01
_SECONDS = 40


def test_the_rate_follows_a_throttling_carrier_and_every_text_arrives_in_order() -> None:
    """Rules 13 and 14: the rate follows within five seconds, nothing fails, each phone's order stays.

    As the queue does, one text of a phone is under way at a time, and what was throttled goes first.
    """
    link = bound(SmppConfig("carrier", 2775, "fieldbell", "secret", source="95598", window=50))
    phones = 200
    waiting = {phone: deque(range(phone, 6000, phones)) for phone in range(phones)}
    under_way: dict[int, int] = {}
    arrived: dict[int, list[int]] = defaultdict(list)
    taken, throttled = Counter[int](), Counter[int]()
    bucket, now = 1.0, 0.0
    while now < _SECONDS:
        now += _STEP
        bucket = min(bucket + _TAKES * _STEP, 10.0)
        free = [phone for phone in waiting if waiting[phone] and phone not in under_way]
        fresh = free[: 50 - len(under_way)]
        under_way.update({phone: waiting[phone].popleft() for phone in fresh})
        link.submit([_text(under_way[phone], phone) for phone in fresh], now)
        link.tick(now)
        for frame in list(wire.frames(link.outgoing)):
            phone = int(wire.read_submit(frame.body).destination[-4:])
            good = bucket >= 1
            bucket -= good
            (taken if good else throttled)[int(now // 5)] += 1
            (token, status, _) = _answered(link, frame, now, 0 if good else 0x58)
            assert under_way.pop(phone) == token
            if status == 0:
                arrived[phone].append(token)
            else:
                waiting[phone].appendleft(token)
    later = range(1, _SECONDS // 5)
    assert all(taken[five] >= 5 * _TAKES * 0.7 for five in later), taken
    assert sum(throttled[five] for five in later) <= 0.1 * sum(taken[five] for five in later)
    assert all(tokens == sorted(tokens) for tokens in arrived.values())


def _text(token: int, phone: int) -> Submission:
    return Submission(token, token, f"+861200000{phone:04d}", "hi", "gsm7", b"hi")


def _answered(link: Link, frame: wire.Frame, now: float, status: int) -> tuple[int, int, str]:
    body = b"" if status else b"id\0"
    news = link.receive(wire.pdu(0x80000004, frame.sequence, body, status), now)
    return news.answered[0]
