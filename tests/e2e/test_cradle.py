"""A handheld without a radio: meter, receiver and cradle at ptys, real processes on both sides."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from device_sim.check import Held, compare
from device_sim.serial.ends import Cable
from device_sim.serial.frames import Decoder, Frame, Kind
from device_sim.serial.sim_meter import MeterManners, SimMeter
from device_sim.serial.sim_talkers import SimGps, SimScanner
from device_sim.walk import Place
from device_sim.witness import digest, read_witness
from server.capture.models import CaptureEvent
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.metering.models import Reading
from tests import world as worlds
from tests.e2e.processes import Stage
from tests.waiting import wait_until

# The server behind the cradle is tried on both databases in tests/sync/test_cradle.py.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True),
]


@pytest.fixture
def code(app: Flask, world: worlds.World) -> str:
    """An enrolment code for one more handheld of the reader."""
    with app.app_context(), transaction() as session:
        return identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))[1]


@pytest.fixture
def cable(tmp_path: Path):
    """A cable between a handheld and the office's cradle."""
    with Cable(tmp_path / "tty-handheld", tmp_path / "tty-cradle") as made:
        yield made


class Handheld:
    """One simulated handheld, a process for each step, that knows no server but the cradle."""

    def __init__(self, stage: Stage, name: str, cradle: Path) -> None:
        self.stage = stage
        self.folder = stage.folder / name
        self.cradle = cradle

    def command(self, *words: str) -> list[str]:
        """The command line of one step."""
        start = [sys.executable, "-m", "device_sim", "handheld", "--json"]
        return [*start, "--state", str(self.folder), "--cradle", str(self.cradle), *words]

    def __call__(self, *words: str) -> dict:
        answer: dict = json.loads(self.stage.run(*self.command(*words)))
        assert answer.get("error") is None
        return answer


def start_cradle(stage: Stage, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start `flask sync cradle` and wait until it has its port."""
    log = stage.folder / "cradle.log"
    already = log.read_text().count("the cradle is ready") if log.exists() else 0
    command = [sys.executable, "-m", "flask", "sync", "cradle"]
    process = stage.start("cradle", [*command, "--port", str(tmp_path / "tty-cradle")])
    wait_until(lambda: log.read_text().count("the cradle is ready") > already)
    return process


def taken_in(app: Flask) -> tuple[list[Held], list[Reading]]:
    """Every captured event, and the readings of devices."""
    with app.app_context(), snapshot() as session:
        events = session.scalars(select(CaptureEvent)).all()
        readings = session.scalars(select(Reading).where(Reading.source == "device")).all()
        return [Held(str(e.uuid), digest(e.payload["data"])) for e in events], list(readings)


def test_a_meter_is_read_through_the_probe_and_handed_in_through_the_cradle(
    app: Flask, world: worlds.World, stage: Stage, code: str, cable: Cable, tmp_path: Path
) -> None:
    cradle = start_cradle(stage, tmp_path)
    handheld = Handheld(stage, "handheld", tmp_path / "tty-handheld")
    point, second = world.points[:2]
    handheld("enrol", "--code", code)
    assert handheld("pull")["status"]["open_orders"] == 3
    manners = MeterManners("ESy", echo=True)
    here = Place(worlds.LAT_E7 / 1e7 + 0.0001, worlds.LON_E7 / 1e7)
    with (
        SimMeter(point.serial, {"1.8.0": "001200.75*kWh"}, manners) as meter,
        SimGps(here, 0.2) as gps,
        SimScanner([second.serial], 0.2) as scanner,
    ):
        probed = handheld("read", "--probe", meter.port, "--gps", gps.port)
        scanned = handheld("read", "--scanner", scanner.port, "--value", "1210")
        assert meter.wrong_speeds == []
    answer = handheld("sync")
    assert answer["verdicts"] == {"applied": 3}
    assert answer["status"]["unsent"] == answer["status"]["track_unsent"] == 0

    held, readings = taken_in(app)
    values = {reading.service_point_id: reading.value for reading in readings}
    assert values == {point.service_point_id: 1200, second.service_point_id: 1210}
    assert {probed["items"][0], scanned["items"][0]} <= {one.id for one in held}
    assert compare(read_witness(handheld.folder / "witness.jsonl"), held).ok
    with app.app_context(), snapshot() as session:
        wanted = CaptureEvent.uuid == uuid.UUID(probed["items"][0])
        event = session.scalars(select(CaptureEvent).where(wanted)).one()
        assert event.lat_e7 is not None
        assert abs(event.lat_e7 - round(here.lat * 1e7)) < 100
    cradle.send_signal(signal.SIGTERM)
    assert cradle.wait(60) == 0
    assert handheld.stage.folder.joinpath("cradle.log").read_text().count("fbd_") == 0


def test_a_cable_cut_between_commit_and_answer_has_one_effect_after_the_resend(
    app: Flask, world: worlds.World, stage: Stage, code: str, cable: Cable, tmp_path: Path
) -> None:
    start_cradle(stage, tmp_path)
    handheld = Handheld(stage, "handheld", tmp_path / "tty-handheld")
    handheld("enrol", "--code", code)
    handheld("pull")
    handheld("read", "--meter", world.points[0].serial, "--value", "1200")
    seen = Decoder()

    def cut(data: bytes) -> bytes:
        """Let the welcome through and pull the cable as the answer to the push begins."""
        frames = [one for one in seen.feed(data) if isinstance(one, Frame)]
        if not any(one.kind == Kind.ANSWER for one in frames) and not seen.partial:
            return data
        cable.unplug("a")
        return b""

    cable.spoil["b"] = cut
    command = handheld.command("push", "--timeout", "2")
    first = subprocess.run(
        command,
        env=stage.environment,
        cwd=stage.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert first.returncode == 1, first.stdout + first.stderr
    assert json.loads(first.stdout)["error"]["code"] == "link.failed"
    held, readings = taken_in(app)
    assert (len(held), len(readings)) == (2, 1), "it was committed before the cut"
    assert handheld("status")["status"]["unsent"] == 2

    cable.spoil.clear()
    cable.plug_in()
    assert handheld("push")["verdicts"] == {"applied": 2}
    held, readings = taken_in(app)
    assert (len(held), len(readings)) == (2, 1)
    assert compare(read_witness(handheld.folder / "witness.jsonl"), held).ok


def test_a_server_killed_while_a_handheld_waits_is_waited_for(
    app: Flask, world: worlds.World, stage: Stage, code: str, cable: Cable, tmp_path: Path
) -> None:
    cradle = start_cradle(stage, tmp_path)
    handheld = Handheld(stage, "handheld", tmp_path / "tty-handheld")
    handheld("enrol", "--code", code)
    handheld("pull")
    handheld("read", "--meter", world.points[0].serial, "--value", "1200")
    cradle.kill()
    cradle.wait(60)
    waiting = subprocess.Popen(
        handheld.command("sync", "--retry-for", "120"),
        env=stage.environment,
        cwd=stage.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    start_cradle(stage, tmp_path)
    told, _ = waiting.communicate(timeout=180)
    assert json.loads(told)["verdicts"] == {"applied": 2}, told
    held, readings = taken_in(app)
    assert (len(held), len(readings)) == (2, 1)
