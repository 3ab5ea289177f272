"""The product's main job through real processes: a reading becomes a text on a phone."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from server.billing.models import Bill, Journal
from server.capture.models import CaptureEvent
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.metering.models import Reading
from server.notify.service import put_gateway
from tests import world as worlds
from tests.e2e.processes import Stage, get_json
from tests.ports import own_port
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def code(app: Flask, world: worlds.World) -> str:
    """An enrolment code for one more handheld of the reader."""
    with app.app_context(), transaction() as session:
        return identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))[1]


def counts(app: Flask) -> list[int]:
    """[readings of devices, events of readings, bills, bill journals]."""
    statements = (
        select(func.count()).select_from(Reading).where(Reading.source == "device"),
        select(func.count())
        .select_from(CaptureEvent)
        .where(CaptureEvent.type == "meter_reading.v1"),
        select(func.count()).select_from(Bill),
        select(func.count()).select_from(Journal).where(Journal.kind == "bill"),
    )
    with app.app_context(), snapshot() as session:
        return [session.execute(statement).scalar_one() for statement in statements]


def test_one_reading_is_billed_posted_and_delivered_as_a_text(
    app: Flask, world: worlds.World, stage: Stage, code: str
) -> None:
    smpp, http = own_port(), own_port()
    stage.start(
        "smsc",
        [sys.executable, "-m", "device_sim", "smsc", "--port", str(smpp), "--http", str(http)],
    )
    with app.app_context(), transaction() as session:
        config = {"host": "127.0.0.1", "port": smpp, "system_id": "fieldbell"}
        put_gateway(
            session,
            "sim",
            "smpp",
            {**config, "password": "fieldbell", "source": "95598"},
            simulated=True,
        )
    stage.start_web()
    stage.start_worker()

    point = world.points[0]
    stage.handheld("enrol", "--code", code)
    stage.handheld("pull")
    stage.handheld("shift", "start")
    stage.handheld("read", "--meter", point.serial, "--value", "1200")
    stage.handheld("sync")

    assert counts(app) == [1, 1, 1, 1]
    status = wait_until(
        lambda: (s := stage.status())["messages"].get("delivered") == 1 and s, every=0.3
    )
    assert status["ledger"]["differences"] == 0
    assert status["worker"]["alive"]
    phones = {phone["phone"]: phone for phone in get_json(f"http://127.0.0.1:{http}/phones.json")}
    texts = (
        phones[point.phone.lstrip("+")]["texts"]
        if point.phone not in phones
        else phones[point.phone]["texts"]
    )
    assert len(texts) == 1
    assert "107.60" in texts[0]["text"]
    assert stage.flask("reconcile")
    live = stage.running["worker"]
    live.send_signal(signal.SIGTERM)
    assert live.wait(60) == 0


def test_a_server_killed_between_commit_and_answer_has_one_effect_after_the_retry(
    app: Flask, world: worlds.World, stage: Stage, code: str
) -> None:
    stage.start_web()
    point = world.points[0]
    stage.handheld("enrol", "--code", code)
    stage.handheld("pull")
    stage.handheld("shift", "start")
    stage.handheld("push")
    stage.running["web"].send_signal(signal.SIGTERM)
    stage.running["web"].wait(60)

    stage.handheld("read", "--meter", point.serial, "--value", "1200")
    doomed = stage.start(
        "doomed", [sys.executable, "-m", "tests.e2e.killing_server", str(stage.web_port)]
    )
    stage.wait_ready()
    push = subprocess.run(
        [
            sys.executable,
            "-m",
            "device_sim",
            "handheld",
            "--json",
            "--state",
            str(stage.folder / "handheld"),
            "--server",
            stage.base_url,
            "push",
        ],
        env=stage.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert doomed.wait(60) == -signal.SIGKILL
    assert push.returncode != 0, push.stdout
    assert counts(app) == [1, 1, 1, 1], "the transaction was committed before the kill"

    stage.start_web()
    stage.handheld("push")
    assert counts(app) == [1, 1, 1, 1]
    assert stage.handheld("status")["status"]["unsent"] == 0
    assert stage.flask("reconcile")
