"""The handheld's serial options and the far ends as commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from device_sim.__main__ import main
from device_sim.serial.line import parse_port
from device_sim.serial.sim_meter import MeterManners, SimMeter
from device_sim.serial.sim_talkers import SimScanner
from tests.device_sim.stub_server import CODE
from tests.waiting import wait_until

FAST = MeterManners("ESy")


@pytest.fixture
def handheld(tmp_path, capsys):
    def run(*words, code=0):
        assert main(["handheld", "--state", str(tmp_path / "h1"), "--json", *words]) == code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def on_the_round(handheld, server):
    handheld("enrol", "--server", server.url, "--code", CODE)
    handheld("pull")
    return handheld


def readings(server):
    return [i["data"] for i in server.items.values() if i["type"] == "meter_reading.v1"]


@pytest.mark.sockets
def test_the_meter_under_the_probe_says_its_value_and_which_meter_it_is(on_the_round, server):
    with SimMeter("M5", {"1-0:1.8.0*255": "001234.56*kWh"}, FAST) as meter:
        on_the_round("read", "--probe", meter.port)
    on_the_round("push")
    (reading,) = readings(server)
    assert reading["meter_serial"] == "M5"
    assert reading["registers"] == [{"kind": "total", "value": "1234"}]


@pytest.mark.sockets
def test_a_scanned_meter_is_the_one_that_is_read_or_skipped(on_the_round, server):
    with SimScanner(["M7"], 0.1) as scanner:
        on_the_round("read", "--scanner", scanner.port, "--value", "1300")
    with SimScanner(["m9"], 0.1) as scanner:
        on_the_round("skip", "--scanner", scanner.port, "--skip-code", "dog")
    on_the_round("push")
    (reading,) = readings(server)
    (skip,) = [i["data"] for i in server.items.values() if i["type"] == "meter_skip.v1"]
    assert (reading["meter_serial"], skip["service_point"]) == ("M7", 109)


@pytest.mark.sockets
def test_another_meter_than_the_chosen_one_is_not_read(on_the_round, server):
    with SimMeter("M5", manners=FAST) as meter:
        answer = on_the_round("read", "--meter", "M6", "--probe", meter.port, code=1)
    assert answer["error"]["code"] == "probe.other_meter"
    on_the_round("push")
    assert readings(server) == []


@pytest.mark.sockets
def test_what_a_serial_device_could_not_do_is_said_by_name(on_the_round, tmp_path):
    def code_of(*words):
        return on_the_round(*words, code=1)["error"]["code"]

    gone = str(tmp_path / "no-port")
    assert code_of("read", "--probe", gone) == "line.cannot_open"
    assert code_of("read", "--scanner", gone) == "line.cannot_open"
    assert code_of("sync", "--cradle", gone, "--timeout", "0.3") == "link.failed"
    assert code_of("read", "--value", "1", "--meter", "M1", "--probe", gone) == "device.two_values"
    with SimMeter("M404", manners=FAST) as meter:
        assert code_of("read", "--probe", meter.port) == "probe.no_such_meter"
    with SimMeter("M5", {"1.8.0": "1*m3"}, FAST) as meter:
        assert code_of("read", "--probe", meter.port) == "probe.bad_value"
    with SimScanner(["M404"], 0.1) as scanner:
        assert code_of("read", "--scanner", scanner.port) == "scan.no_such_meter"


@pytest.mark.sockets
def test_without_a_receiver_at_the_port_the_item_says_that_it_is_off(
    on_the_round, server, tmp_path
):
    gone = str(tmp_path / "no-port")
    on_the_round("read", "--meter", "M1", "--value", "1", "--gps", gone, "--gps-within", "0.1")
    on_the_round("push")
    assert {json.dumps(i["gps"]) for i in server.items.values()} == {'{"absent": "off"}'}


def test_a_port_may_name_its_speed():
    assert parse_port("/dev/ttyUSB0", 9600) == ("/dev/ttyUSB0", 9600)
    assert parse_port("/dev/ttyUSB0@4800", 9600) == ("/dev/ttyUSB0", 4800)
    assert parse_port("/dev/serial/by-id/usb-a@b", 9600) == ("/dev/serial/by-id/usb-a@b", 9600)


def test_the_help_of_the_far_ends_has_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serial", "--help"])
    assert caught.value.code == 0
    assert "python -m device_sim serial -" in capsys.readouterr().out.partition("example")[2]


def test_manners_that_no_meter_has_are_wrong_use(tmp_path, capsys):
    port = ["serial", "--port", str(tmp_path / "m")]
    assert main([*port, "meter", "--maker", "E1"]) == 2
    assert main([*port, "meter", "--set", "1.8.0"]) == 2
    assert main([*port, "gps", "--at", "north"]) == 2
    assert "three letters" in capsys.readouterr().err


@pytest.mark.sockets
@pytest.mark.slow
def test_a_far_end_as_a_process_plays_until_it_is_told_to_stop(on_the_round, server, tmp_path):
    port = tmp_path / "tty-meter"
    command = [sys.executable, "-m", "device_sim", "serial", "--port", str(port), "meter"]
    process = subprocess.Popen([*command, "--serial", "M3", "--maker", "ESy", "--speed", "6"])
    try:
        wait_until(port.exists)
        on_the_round("read", "--probe", str(port))
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    on_the_round("push")
    assert readings(server)[0]["registers"] == [{"kind": "total", "value": "12345"}]
    assert not port.is_symlink()
