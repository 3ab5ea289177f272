"""The optical probe: IEC 62056-21 from bytes to registers, and whole conversations with meters at a pty."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.handheld import Stop
from device_sim.serial import iec62056, instruments
from device_sim.serial.ends import Plug
from device_sim.serial.iec62056 import BadReadoutError, DataSet, Identification, Readout
from device_sim.serial.line import Line, LineError
from device_sim.serial.probe import Probe, ProbeError
from device_sim.serial.sim_meter import MeterFaults, MeterManners, SimMeter

WHO = Identification("ESY", "5", "Q3DA1004")


def framed(body):
    whole = body + iec62056.ETX
    return iec62056.STX + whole + bytes([iec62056.checksum(whole)])


def readout(*pairs):
    return Readout(
        WHO, tuple(DataSet(address, *value.partition("*")[::2]) for address, value in pairs)
    )


# --- bytes --------------------------------------------------------------------------------


def test_the_standards_own_example_is_identified():
    who = iec62056.find_identification(b"/ISk5\\2MT382-1000\r\n")
    assert who == Identification("ISk", "5", "\\2MT382-1000")
    assert who is not None
    assert (who.baud, who.reaction_s) == (9600, 0.02)
    assert WHO.reaction_s == 0.2


@pytest.mark.parametrize("letter", ["A", "7", "9"])
def test_a_meter_of_another_mode_is_told_by_name(letter):
    who = iec62056.find_identification(f"/ABC{letter}x\r\n".encode())
    assert who is not None
    with pytest.raises(BadReadoutError) as caught:
        _ = who.baud
    assert caught.value.code == "probe.not_mode_c"


def test_the_acknowledgement_asks_for_the_readout_at_the_meters_speed():
    assert iec62056.acknowledgement("5") == b"\x06050\r\n"
    assert iec62056.sign_on("12345678") == b"/?12345678!\r\n"
    with pytest.raises(ValueError):
        iec62056.sign_on("1!\r\n")


def test_a_block_is_read_whatever_stands_before_its_beginning():
    body = b"1.8.0(012345.678*kWh)\r\nC.1.0(M00001)\r\n!\r\n"
    assert iec62056.find_block(b"\x06050\r\n" + framed(body)) == body
    assert iec62056.find_block(framed(body)[:-1]) is None
    assert iec62056.read_block(body) == (
        DataSet("1.8.0", "012345.678", "kWh"),
        DataSet("C.1.0", "M00001", ""),
    )


def test_a_changed_bit_in_a_block_is_noticed():
    whole = bytearray(framed(b"1.8.0(1*kWh)\r\n!\r\n"))
    whole[5] ^= 1
    with pytest.raises(BadReadoutError) as caught:
        iec62056.find_block(bytes(whole))
    assert caught.value.code == "probe.bcc"


def test_a_value_with_its_time_belongs_to_one_address():
    data = iec62056.read_block(b"1.6.1(0.123*kW)(26-11-01 12:00)\r\n!\r\n")
    assert [(one.address, one.value) for one in data] == [
        ("1.6.1", "0.123"),
        ("1.6.1", "26-11-01 12:00"),
    ]


def test_registers_are_told_by_obis_and_plain_addresses_in_kwh():
    registers = readout(
        ("1-0:1.8.0*255", "012345.678*kWh"),
        ("1-0:1.8.0*01", "000001.000*kWh"),
        ("1.8.1", "000000.5*MWh"),
        ("1.8.2", "2500*Wh"),
        ("1-1:1.8.3", "3"),
        ("1.8.4&02", "9*kWh"),
        ("3.8.0", "7.25*kvarh"),
        ("32.7.0", "230.1*V"),
    ).registers()
    assert registers == {
        "total": Decimal("12345.678"),
        "sharp": Decimal("500.0"),
        "peak": Decimal("2.500"),
        "flat": Decimal(3),
        "reactive": Decimal("7.25"),
    }


@pytest.mark.parametrize("value", ["12*m3", "abc*kWh", "-5*kWh", "1e5*kWh", "*kWh", "1*mWh"])
def test_a_register_that_cannot_be_read_is_an_error_not_a_guess(value):
    with pytest.raises(BadReadoutError) as caught:
        readout(("1.8.0", value)).registers()
    assert caught.value.code == "probe.bad_value"


def test_the_meters_number_is_found_under_its_usual_addresses():
    assert readout(("0.0.0", "11111"), ("C.1.0", " 22222 ")).serial == "22222"
    assert readout(("0-0:96.1.0*255", "33333")).serial == "33333"
    assert readout(("1.8.0", "1*kWh")).serial is None


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_the_named_error(data):
    for read in (iec62056.find_identification, iec62056.find_block, iec62056.read_block):
        with contextlib.suppress(BadReadoutError):
            read(data)


@given(st.text("0123456789.*()-:!ABCFkWh \r\n", max_size=120))
def test_no_block_with_a_good_check_raises_anything_but_the_named_error(text):
    with contextlib.suppress(BadReadoutError):
        data = iec62056.read_block(iec62056.find_block(framed(text.encode())) or b"")
        Readout(WHO, data).registers()


# --- conversations ------------------------------------------------------------------------


def ask(meter, **more):
    """Read a meter that answers; on a busy machine it may take its time."""
    more = {"silence_s": 20, **more}
    return Probe(meter.port, **more).read()


def test_a_meter_is_read_at_the_speed_both_agreed_to():
    with SimMeter("M00001") as meter:
        found = ask(meter)
        assert found.serial == "M00001"
        assert found.registers() == {"total": Decimal("12345.678")}
        assert (meter.plug.baud, meter.wrong_speeds, meter.readouts) == (9600, [], 1)


@pytest.mark.parametrize("letter", ["0", "1", "2", "3", "4", "5", "6"])
def test_every_speed_of_mode_c_is_switched_to(letter):
    with SimMeter(manners=MeterManners("ESy", letter)) as meter:
        assert ask(meter).registers()
        assert (meter.plug.baud, meter.wrong_speeds) == (iec62056.BAUDS[letter], [])


def test_at_a_speed_that_was_not_agreed_to_only_noise_is_heard(monkeypatch):
    monkeypatch.setattr(Line, "baud", property(lambda line: 300, lambda line, baud: None))
    with SimMeter() as meter, pytest.raises(ProbeError):
        ask(meter, tries=1, silence_s=0.5)
    assert meter.wrong_speeds == [300]


def test_a_slow_head_asks_for_a_lower_speed():
    with SimMeter() as meter:
        assert ask(meter, most_baud=2400).registers()
        assert meter.plug.baud == 2400


@pytest.mark.parametrize("maker", ["ESY", "ESy"])
def test_a_head_that_echoes_what_is_sent_is_understood(maker):
    with SimMeter(manners=MeterManners(maker, echo=True), faults=MeterFaults(damaged=1)) as meter:
        assert ask(meter).registers() == {"total": Decimal("12345.678")}


@pytest.mark.slow
def test_a_slow_meter_gets_the_time_the_standard_gives_it():
    slow = MeterManners(letter="0", reaction_s=0.8, pause_s=0.8, pace=0.1)
    with SimMeter(manners=slow) as meter:
        assert Probe(meter.port, tries=1).read().registers()


def test_a_meter_slower_than_the_standard_allows_is_silent():
    with (
        SimMeter(manners=MeterManners(reaction_s=2.0)) as meter,
        pytest.raises(ProbeError) as caught,
    ):
        ask(meter, silence_s=0.3, tries=1)
    assert caught.value.code == "probe.silent"


def test_a_fast_meter_loses_no_byte():
    manners = MeterManners("ESy", "6", reaction_s=0.0)
    lines = {f"1.8.{n}": f"{n:06}.125*kWh" for n in range(5)}
    with SimMeter(lines=lines, manners=manners) as meter:
        for _ in range(5):
            assert ask(meter, tries=1).registers()["valley"] == Decimal("4.125")


def test_a_damaged_block_is_asked_for_again_in_the_same_conversation():
    with SimMeter(faults=MeterFaults(damaged=2)) as meter:
        assert ask(meter, tries=1).registers() == {"total": Decimal("12345.678")}
        assert meter.readouts == 3


def test_a_block_that_stays_damaged_gives_no_value():
    with SimMeter(faults=MeterFaults(damaged=99)) as meter, pytest.raises(ProbeError) as caught:
        ask(meter, tries=1)
    assert caught.value.code == "probe.bcc"


@pytest.mark.parametrize("faults", [MeterFaults(deaf=1), MeterFaults(cut=1)])
def test_a_meter_that_fails_once_is_read_at_the_next_try(faults):
    with SimMeter(faults=faults) as meter:
        assert ask(meter, tries=3, silence_s=1.0).registers() == {"total": Decimal("12345.678")}


def test_one_of_several_meters_is_called_by_its_address():
    with SimMeter("M00002", manners=MeterManners(address="00000002")) as meter:
        assert ask(meter, address="00000002").serial == "M00002"
        with pytest.raises(ProbeError):
            ask(meter, address="00000003", tries=1, silence_s=0.5)


def test_nothing_under_the_probe_is_silent_and_a_pulled_cable_is_the_line():
    plug = Plug()
    with pytest.raises(ProbeError) as caught:
        Probe(plug.port, silence_s=0.1, tries=2).read()
    assert caught.value.code == "probe.silent"
    plug.unplug()
    with pytest.raises(LineError):
        Probe(plug.port, silence_s=0.1, tries=2).read()


def test_a_probe_pulled_in_mid_block_is_the_line(monkeypatch):
    with SimMeter(manners=MeterManners(pause_s=0.2)) as meter:
        honest = meter._send

        def pulled(data, baud):
            honest(data, baud)
            if data.startswith(iec62056.STX):
                meter.plug.unplug()

        monkeypatch.setattr(meter, "_send", pulled)
        with pytest.raises(LineError):
            ask(meter, tries=1)


def test_a_port_of_eight_bits_gets_its_parity_from_us():
    assert iec62056.with_parity(b"/?!\r\n") == bytes([0xAF, 0x3F, 0x21, 0x8D, 0x0A])
    every = bytes(range(128))
    assert iec62056.seven_bits(iec62056.with_parity(every)) == every
    assert all(byte.bit_count() % 2 == 0 for byte in iec62056.with_parity(every))


# --- stops --------------------------------------------------------------------------------


def stop(serial="M00001", **register):
    register = {"kind": "total", "integer_digits": 5, "decimals": 0, **register}
    return Stop({"id": 1}, {"id": 2, "meter": {"serial": serial, "registers": [register]}})


def test_values_are_entered_as_the_dials_show_them():
    found = readout(("1.8.0", "0112345.678*kWh"))
    assert instruments.entries(found, stop()) == [{"kind": "total", "value": "12345"}]
    exact = stop(integer_digits=7, decimals=2)
    assert instruments.entries(found, exact) == [{"kind": "total", "value": "112345.67"}]


def test_a_register_the_meter_does_not_tell_is_not_made_up():
    with pytest.raises(ProbeError) as caught:
        instruments.entries(readout(("1.8.0", "1*kWh")), stop(kind="peak"))
    assert caught.value.code == "probe.missing_register"


def test_the_meter_under_the_probe_selects_its_stop_and_another_one_is_noticed():
    stops = [stop("M00001"), stop("DDS20140017")]
    plain = [stop("M00001"), stop("20140017")]
    assert instruments.probed_stop(readout(("C.1.0", "000020140017")), plain, None) is plain[1]
    assert instruments.probed_stop(readout(("C.1.0", "20140017")), stops, None) is stops[1]
    assert instruments.probed_stop(readout(), stops, stops[0]) is stops[0]
    for found, chosen, code in [
        (readout(("C.1.0", "M00009")), stops[0], "probe.other_meter"),
        (readout(("C.1.0", "M00009")), None, "probe.no_such_meter"),
        (readout(), None, "probe.no_serial"),
    ]:
        with pytest.raises(ProbeError) as caught:
            instruments.probed_stop(found, stops, chosen)
        assert caught.value.code == code
