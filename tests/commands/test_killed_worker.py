"""Workers killed while they carry out texts: each text has one effect and one answer."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from sqlalchemy import func, select

from server import clock
from server.accounts.models import Contact
from server.commands.models import CommandRun
from server.db import snapshot, transaction
from server.notify import inbound
from server.notify.models import InboundMessage, OutboxMessage, PhoneRefusal
from tests.commands.conftest import Office
from tests.notify.conftest import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.never_again]

TEXTS = 450
KILLS = 2
WORDS = ("TD", "TD 停电", "退订")


def states() -> Counter[str]:
    """How many texts are in each state."""
    with snapshot() as session:
        rows = session.execute(
            select(InboundMessage.state, func.count()).group_by(InboundMessage.state)
        )
        return Counter({state: count for state, count in rows})


def test_workers_killed_between_text_and_effect_do_everything_once(
    office: Office, engine_url: str
) -> None:
    clock.reset()
    chance = random.Random(5)
    phones = [f"86120001{n:05d}" for n in range(TEXTS // len(WORDS))]
    with transaction() as session:
        customer_id = session.scalars(select(Contact.customer_id).limit(1)).one()
        for phone in phones:
            session.add(Contact(customer_id=customer_id, name="x", phone=f"+{phone}"))
        texts = [office.said(phone, word) for word in WORDS for phone in phones]
        inbound.store(session, texts)
    command = [sys.executable, "-m", "tests.commands.commands_process", engine_url]
    for _ in range(KILLS):
        before = states()["handled"]
        workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
        wait_until(lambda seen=before: states()["handled"] > seen, 180)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.1))
        for worker in workers:
            worker.kill()
            worker.wait()
    while office.work():
        pass
    assert states() == Counter(handled=TEXTS)
    with snapshot() as session:
        assert session.scalar(select(func.count()).select_from(CommandRun)) == TEXTS
        refusals = session.execute(
            select(PhoneRefusal.category, func.count()).group_by(PhoneRefusal.category)
        )
        assert {category: count for category, count in refusals} == {
            "promotion": len(phones),
            "outage": len(phones),
        }
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == TEXTS
