"""What a gateway's thread leaves for the runner is gathered, but nobody is kept waiting for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from server.notify.dispatch.inbox import Inbox
from server.notify.gateways.port import Delivery
from server.notify.rules.inbound import InboundText

TEXT = InboundText(1, "8612000000001", "95598", b"CX", datetime(2026, 11, 1, tzinfo=UTC))
HOURS = 36_000.0
PATIENCE = 60.0


def test_a_lull_among_texts_of_people_ends_the_gathering() -> None:
    inbox = Inbox()
    inbox.delivered([Delivery(1, inbound=TEXT), Delivery(2, inbound=TEXT)])
    with ThreadPoolExecutor() as pool:
        collected = pool.submit(inbox.collect, HOURS, 200, HOURS)
        assert len(collected.result(PATIENCE).deliveries) == 2


def test_enough_answers_end_the_gathering() -> None:
    inbox = Inbox()
    with ThreadPoolExecutor() as pool:
        collected = pool.submit(inbox.collect, HOURS, 2, HOURS)
        inbox.answered([(1, 0, "a")])
        assert not collected.done()
        inbox.answered([(2, 0, "b")])
        assert len(collected.result(PATIENCE).batch.answers) == 2
