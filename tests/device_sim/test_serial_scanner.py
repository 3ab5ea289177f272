"""Barcode scanners: what is taken off around a code, which stop it selects, and lines at a pty."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.handheld import Stop
from device_sim.serial.ends import Plug
from device_sim.serial.line import LineError
from device_sim.serial.scanner import BadScanError, Scanner, read_code, stop_of
from device_sim.serial.sim_talkers import SimScanner


def stop(serial):
    meter = {"serial": serial, "registers": []} if serial else None
    return Stop({"id": 1}, {"id": 2, "meter": meter})


STOPS = [stop("M00001"), stop("M00002"), stop(None), stop("DDS20140017"), stop("7")]


@pytest.mark.parametrize(
    "line", [b"M00001", b"\x02M00001\x03", b"]C1M00001", b"  M00001\t", b"\x1d]d2M00001\x04"]
)
def test_what_a_scanner_wraps_around_a_code_is_taken_off(line):
    assert read_code(line) == "M00001"


@pytest.mark.parametrize("line", [b"", b"\x00\x1f", b"\xff\xfe\xfd", b"A\x00B", b"x" * 500])
def test_what_is_no_code_is_refused_by_name(line):
    with pytest.raises(BadScanError) as caught:
        read_code(line)
    assert caught.value.code == "scan.unreadable"


@pytest.mark.parametrize(
    ("code", "serial"),
    [
        ("M00001", "M00001"),
        ("m00002", "M00002"),
        ("CN-DDS20140017-9", "DDS20140017"),
        ("7", "7"),
    ],
)
def test_a_scanned_serial_selects_its_stop(code, serial):
    assert stop_of(code, STOPS).meter_serial == serial


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("M00003", "scan.no_such_meter"),
        ("977", "scan.no_such_meter"),
        ("M00001M00002", "scan.ambiguous"),
    ],
)
def test_a_code_that_names_no_meter_of_the_round_or_several_selects_none(code, why):
    with pytest.raises(BadScanError) as caught:
        stop_of(code, STOPS)
    assert caught.value.code == why


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_the_named_error(data):
    with contextlib.suppress(BadScanError):
        stop_of(read_code(data), STOPS)


@pytest.mark.parametrize("suffix", [b"\r\n", b"\r", b"\n", b"\n\r", b""])
def test_every_end_of_line_and_none_at_all_ends_a_code(suffix):
    with SimScanner(["M00001"], 0.4, suffix=suffix) as sim, Scanner(sim.port) as scanner:
        assert scanner.scan(60) == "M00001"


def test_codes_scanned_fast_are_given_one_by_one():
    plug = Plug()
    with Scanner(plug.port) as scanner:
        plug.write(b"M00001\r\nM0000")
        assert scanner.scan(60) == "M00001"
        plug.write(b"2\r\n")
        assert scanner.scan(60) == "M00002"
    plug.unplug()


def test_nothing_scanned_is_said_in_time():
    plug = Plug()
    with Scanner(plug.port) as scanner:
        with pytest.raises(BadScanError) as caught:
            scanner.scan(0.2)
        assert caught.value.code == "scan.nothing"
    plug.unplug()


def test_an_unplugged_scanner_and_a_busy_port_are_errors_of_the_line():
    plug = Plug()
    with Scanner(plug.port) as scanner:
        with pytest.raises(LineError):
            Scanner(plug.port)
        plug.unplug()
        with pytest.raises(LineError):
            scanner.scan(1)
