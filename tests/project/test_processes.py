"""The programs of the demo start together, show their lines and stop together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.processes import Group, end_leftovers
from tests.waiting import wait_until

PATIENT = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def _wait_for(file: Path, text: str) -> None:
    wait_until(lambda: file.exists() and text in file.read_text())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def group(tmp_path: Path):
    made = Group(os.environ, tmp_path / "processes.json")
    yield made
    made.stop()


def test_every_line_goes_to_the_log_and_only_chosen_ones_to_the_terminal(
    group: Group, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = [sys.executable, "-c", "print('dull'); print('worth knowing')"]
    group.start(
        "web", program, tmp_path / "web.log", lambda line: line if "worth" in line else None
    )
    _wait_for(tmp_path / "web.log", "worth knowing")
    group.stop()
    assert (tmp_path / "web.log").read_text() == "dull\nworth knowing\n"
    shown = capfd.readouterr().out
    assert "web │ worth knowing" in shown
    assert "dull" not in shown


def test_it_tells_which_program_has_ended_by_itself(group: Group, tmp_path: Path) -> None:
    group.start("patient", [sys.executable, "-c", PATIENT], tmp_path / "patient.log")
    assert group.ended() is None
    group.start("brief", [sys.executable, "-c", "pass"], tmp_path / "brief.log")
    wait_until(group.ended)
    assert group.ended() == "brief"


def test_a_program_that_ignores_the_request_is_ended_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.processes.STOPS_WITHIN", 0.3)
    group = Group(os.environ, tmp_path / "processes.json")
    group.start("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    _wait_for(tmp_path / "log", "ready")
    (pid,) = map(int, json.loads((tmp_path / "processes.json").read_text()))
    group.stop()
    assert not _is_running(pid)
    assert not (tmp_path / "processes.json").exists()


def test_the_next_start_ends_what_a_killed_start_left_behind(tmp_path: Path) -> None:
    records = tmp_path / "processes.json"
    group = Group(os.environ, records)
    group.start("left", [sys.executable, "-c", PATIENT], tmp_path / "log")
    _wait_for(tmp_path / "log", "ready")
    (pid,) = map(int, json.loads(records.read_text()))
    assert end_leftovers(records) == [pid]
    wait_until(lambda: not _is_running(pid))
    assert end_leftovers(records) == []


def test_a_process_id_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", PATIENT], stdout=subprocess.PIPE)
    try:
        records = tmp_path / "processes.json"
        records.write_text(json.dumps({other.pid: "1"}))
        assert end_leftovers(records) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.communicate()
