"""A worker killed again and again under load: what must arrive arrives, what must not double does not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select

from device_sim.smsc.centre import Behaviour, Centre
from device_sim.smsc.phones import Phones
from server.db import snapshot, transaction
from server.notify import service
from server.notify.models import OutboxMessage
from tests.notify.conftest import ROOT, bill, put_gateway, wait_until

pytestmark = pytest.mark.e2e

KILLS = 3
WINDOW = 5
TEXTS = 250


def test_a_worker_killed_under_load_loses_no_bill_and_doubles_no_text(
    outbox: Flask, engine_url: str
) -> None:
    chance = random.Random(7)
    centre = Centre(Phones(), Behaviour(delay=(0.0, 0.5)), "127.0.0.1", 0)
    centre.start()
    put_gateway("carrier", centre.port, window=WINDOW, response_seconds=1.0)
    bills = {f"bill:{number}" for number in range(TEXTS)}
    with transaction() as session:
        service.enqueue(session, [bill(number) for number in range(TEXTS)])
        service.enqueue(session, [_once(number) for number in range(TEXTS)])
    command = [sys.executable, "-m", "tests.notify.worker_process", engine_url]
    for _ in range(KILLS):
        before = centre.phones.counts()["segments"]
        worker = subprocess.Popen(command, cwd=ROOT)
        wait_until(lambda seen=before: centre.phones.counts()["segments"] > seen)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.3))
        worker.kill()
        worker.wait()
    worker = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until(
            lambda: {state for key, state in _states().items() if key in bills} == {"delivered"}, 60
        )
        wait_until(lambda: set(_states().values()) <= {"delivered", "unknown"}, 60)
    finally:
        worker.kill()
        worker.wait()
        centre.stop()
    left = Counter(_states().values())
    assert left["unknown"] <= KILLS * WINDOW * 2, "bounded by the room of the gateway at each kill"
    shown = Counter(text["text"] for phone in centre.phones.document() for text in phone["texts"])
    assert not [text for text, times in shown.items() if text.startswith("once") and times > 1]
    assert max(shown.values()) <= 2, "a bill is sent once more, not for ever"


def _once(number: int) -> service.Notice:
    """A text of the class that is never sent twice."""
    phone = f"+86120000{5000 + number:05d}"
    return service.Notice(
        "operator.text", f"once:{number}", phone, None, {"text": f"once {number}"}
    )


def _states() -> dict[str, str]:
    with snapshot() as session:
        rows = session.execute(select(OutboxMessage.key, OutboxMessage.status))
        return {row.key: row.status for row in rows}
