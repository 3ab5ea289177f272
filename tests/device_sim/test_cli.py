"""The commands as a script uses them: exit codes, JSON on standard output, help that explains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from device_sim.__main__ import main
from tests.device_sim.stub_server import CODE


@pytest.fixture
def handheld(tmp_path, capsys):
    def run(*words, code=0):
        assert main(["handheld", "--state", str(tmp_path / "h1"), "--json", *words]) == code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("command", ["fleet", "handheld", "check", "proxy"])
def test_the_help_of_each_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"python -m device_sim {command} -" in out.partition("example")[2]


def test_an_unknown_command_is_wrong_use(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["submarine"])
    assert caught.value.code == 2


@pytest.mark.sockets
def test_one_round_in_one_go(server, handheld):
    answer = handheld("--server", server.url, "--code", CODE, "--once")
    assert answer["error"] is None
    assert len(answer["items"]) == 12
    assert answer["status"]["unsent"] == 0
    assert answer["status"]["verdicts"] == {"applied": 14}
    again = handheld("--once")
    assert again["items"] == []
    assert len(server.items) == 14


@pytest.mark.sockets
def test_step_by_step_with_nobody_listening_in_between(server, handheld):
    handheld("enrol", "--server", server.url, "--code", CODE)
    assert handheld("pull")["pulled"] == 26
    assert handheld("read", "--stops", "2")["status"]["unsent"] == 3
    item = handheld("read", "--meter", "M5", "--value", "1234")["items"][0]
    skipped = handheld("skip", "--skip-code", "dog", "--note", "big")["items"][0]
    assert server.items == {}
    assert len(handheld("stops")["stops"]) == 8
    handheld("shift", "end")
    answer = handheld("sync")
    assert answer["verdicts"] == {"applied": 6}
    assert server.items[item]["data"]["registers"] == [{"kind": "total", "value": "1234"}]
    assert server.items[skipped]["data"]["skip"] == "dog"
    assert [row["verdict"] for row in handheld("status")["items"]] == ["applied"] * 6


@pytest.mark.sockets
def test_what_could_not_be_done_is_said_and_told_by_the_exit_code(server, handheld):
    assert handheld("pull", code=1)["error"]["code"] == "device.not_enrolled"
    assert handheld("enrol", code=1)["error"]["code"] == "device.no_code"
    assert handheld("enrol", "--code", CODE, code=1)["error"]["code"] == "device.no_server"
    wrong = handheld("enrol", "--code", "WXYZ2345", "--server", server.url, code=1)
    assert wrong["error"]["code"] == "enrolment.used"
    handheld("enrol", "--code", CODE)
    assert handheld("read", "--meter", "M404", code=1)["error"]["code"] == "device.no_open_order"
    assert handheld("read", "--value", "1", code=1)["error"]["code"] == "device.no_meter"
    gone = handheld("push", "--server", "http://127.0.0.1:9", code=1)
    assert gone["error"]["code"] == "link.failed"


def test_once_and_an_action_together_are_wrong_use(tmp_path):
    assert main(["handheld", "--state", str(tmp_path), "--once", "status"]) == 2
    assert main(["handheld", "--state", str(tmp_path)]) == 2


def test_a_fleet_without_a_readable_plan_is_wrong_use(tmp_path, capsys):
    assert main(["fleet", "--plan", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.sockets
def test_the_check_tells_unsent_captures_by_its_exit_code(server, handheld, tmp_path, capsys):
    handheld("enrol", "--server", server.url, "--code", CODE)
    handheld("shift", "start")
    assert main(["check", "--state", str(tmp_path)]) == 1
    capsys.readouterr()
    handheld("sync")
    assert main(["check", "--state", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["witnessed"] == 1


@pytest.mark.sockets
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_shift_sends_the_rest_and_exits_cleanly(server, tmp_path, name):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"server": server.url, "handhelds": [{"name": "a", "code": CODE}]}))
    command = [sys.executable, "-m", "device_sim", "fleet", "--plan", str(plan), "--pace", "0.2"]
    command += ["--state", str(tmp_path / "fleet"), "--sync-every", "0.2", "--signal", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=os.getcwd()) as process:
        while not server.items:
            assert process.poll() is None
        process.send_signal(signal.Signals[name])
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    states = [i["data"]["state"] for i in server.items.values() if i["type"] == "shift.v1"]
    assert states == ["started", "ended"]
    assert b"0 items unsent" in told
