"""The simulated modem by itself: what a stranger at its port hears."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from device_sim.modem.manners import Manners
from device_sim.modem.modem import SimModem
from device_sim.modem.sim import Sim
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
# One text to +8612000000001, "hello", written by hand from GSM 03.40.
UNIT = "0021000D91682100000000F1000005E8329BFD06"
LENGTH = len(UNIT) // 2 - 1


def talk(port: serial.Serial, said: bytes, until: bytes, seconds: float = PATIENCE) -> str:
    port.write(said)
    heard, end = b"", time.monotonic() + seconds
    while until not in heard and time.monotonic() < end:
        heard += port.read(200)
    return heard.decode("latin-1")


def test_a_text_is_typed_after_the_prompt_and_taken_with_ctrl_z(tmp_path: Path) -> None:
    with SimModem(tmp_path / "tty", Manners(first_reference=255)) as modem:
        with serial.Serial(modem.port, timeout=0.05) as port:
            assert talk(port, b"AT\r", b"OK") == "AT\r\r\nOK\r\n"
            assert talk(port, b"ATE0\r", b"OK").endswith("\r\nOK\r\n")
            assert talk(port, b"AT+CNMI=2,1,0,1\r", b"OK") == "\r\nOK\r\n"
            assert talk(port, f"AT+CMGS={LENGTH}\r".encode(), b"> ") == "\r\n> "
            answer = talk(port, UNIT.encode() + b"\x1a", b"+CDS")
            assert answer.startswith("\r\n+CMGS: 255\r\n\r\nOK\r\n")
            assert talk(port, f"AT+CMGS={LENGTH}\r".encode(), b"> ").endswith("\r\n> ")
            assert talk(port, b"\x1b", b"OK") == "\r\nOK\r\n"
            assert talk(port, b"AT+CMGS=9\r", b"> ") == "\r\n> "
            assert "ERROR" in talk(port, UNIT.encode() + b"\x1a", b"ERROR")
        assert [(one.unit.to, one.unit.text) for one in modem.sent] == [("+8612000000001", "hello")]


def test_what_finds_no_place_on_the_sim_card_waits_in_the_network(tmp_path: Path) -> None:
    sim = Sim(size=1)
    with (
        SimModem(tmp_path / "tty", Manners(echo=False), sim=sim) as modem,
        serial.Serial(modem.port, timeout=0.05) as port,
    ):
        talk(port, b"AT+CNMI=2,1,0,0\r", b"OK")
        modem.receive("+8612000000002", "one")
        modem.receive("+8612000000002", "two")
        assert talk(port, b"", b'"SM",1') == '\r\n+CMTI: "SM",1\r\n'
        assert '"SM",1,1' in talk(port, b"AT+CPMS?\r", b"OK")
        assert "+CMGL: 1,1,," in talk(port, b"AT+CMGL=4\r", b"OK")
        assert '+CMTI: "SM",1' in talk(port, b"AT+CMGD=1\r", b"CMTI: ")
        assert len(modem.sim.places) == 1


@pytest.mark.skipif(shutil.which("gammu") is None, reason="gammu is not installed")
def test_a_program_of_strangers_sends_a_text_in_two_parts_and_reads_one(tmp_path: Path) -> None:
    settings = tmp_path / "gammurc"
    text = "您的电费账单已出," * 10
    with SimModem(tmp_path / "tty") as modem:
        settings.write_text(f"[gammu]\nport = {modem.port}\nconnection = at115200\n")
        gammu = ["gammu", "-c", str(settings)]
        send = ["sendsms", "TEXT", "+8612000000001", "-unicode", "-len", "300", "-text", text]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run([*gammu, *send], check=True, env=environment, timeout=120)
        modem.receive("+8612000000003", "余额查询")
        listed = subprocess.run(
            [*gammu, "getallsms"], check=True, env=environment, timeout=120, capture_output=True
        )
    assert "".join(one.unit.text for one in modem.sent) == text
    assert [one.unit.join and one.unit.join[1:] for one in modem.sent] == [(2, 1), (2, 2)]
    assert "余额查询" in listed.stdout.decode()


def test_the_command_plays_a_modem_that_a_person_can_write_to(tmp_path: Path) -> None:
    link = tmp_path / "tty-modem"
    command = [sys.executable, "-m", "device_sim", "modem", "--link", str(link), "--no-echo"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_until(link.exists)
            with serial.Serial(os.fspath(link), timeout=0.05) as port:
                talk(port, f"AT+CMGS={LENGTH}\r".encode(), b"> ")
                talk(port, UNIT.encode() + b"\x1a", b"OK")
                assert process.stdin is not None
                assert process.stdout is not None
                assert json.loads(process.stdout.readline())["text"] == "hello"
                talk(port, b"AT+CNMI=2,1\r", b"OK")
                process.stdin.write("+8612000000003 BALANCE\n")
                process.stdin.flush()
                assert '+CMTI: "SM",1' in talk(port, b"", b"CMTI: ")
        finally:
            process.terminate()
        assert process.wait(60) == 0
