"""The commands as a script uses them: exit codes, JSON on standard output, help that explains."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from device_sim.__main__ import main
from device_sim.check import Held, compare
from device_sim.witness import digest, read_witness
from tests.device_sim.stub_server import CODE, StubServer, round_of


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


def fleet_process(server, tmp_path, *words):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"server": server.url, "handhelds": [{"name": "a", "code": CODE}]}))
    command = [sys.executable, "-m", "device_sim", "fleet", "--plan", str(plan), *words]
    command += ["--state", str(tmp_path / "fleet"), "--sync-every", "0.2", "--signal", "1"]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


@pytest.mark.sockets
@pytest.mark.slow
def test_batteries_pulled_again_and_again_lose_nothing_and_double_nothing(tmp_path):
    with StubServer(round_of(stops=40, apart=0.000004)) as server:
        for pull in range(6):
            with fleet_process(server, tmp_path, "--pace", "0.1") as process:
                before = len(server.items)
                while len(server.items) < before + 3:
                    assert process.poll() is None
                time.sleep(0.013 * pull)
                process.kill()
        with fleet_process(server, tmp_path, "--pace", "0.05", "--until-done") as process:
            _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        witnessed = read_witness(tmp_path / "fleet" / "a" / "witness.jsonl")
        held = [Held(i, digest(item["data"])) for i, item in server.items.items()]
        assert compare(witnessed, held).ok
        orders = [i["data"]["read_order"] for i in server.items.values() if i["type"] != "shift.v1"]
        assert sorted(orders) == list(range(201, 241))
        assert [item["seq"] for item in server.items.values()] == list(range(1, 43))


@pytest.mark.sockets
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_shift_sends_the_rest_and_exits_cleanly(server, tmp_path, name):
    with fleet_process(server, tmp_path, "--pace", "0.2") as process:
        while not server.items:
            assert process.poll() is None
        process.send_signal(signal.Signals[name])
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    states = [i["data"]["state"] for i in server.items.values() if i["type"] == "shift.v1"]
    assert states == ["started", "ended"]
    assert b"0 items unsent" in told
