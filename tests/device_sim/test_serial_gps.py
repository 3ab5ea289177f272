"""GPS receivers: NMEA from bytes to fixes, and the receiver's thread at a pty."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.clock import WallClock
from device_sim.handheld import Handheld
from device_sim.serial.ends import Plug
from device_sim.serial.lines import LineCutter
from device_sim.serial.nmea import UNKNOWN_ACCURACY_M, BadSentenceError, Fixes, read_sentence
from device_sim.serial.receiver import SerialGps
from device_sim.serial.sim_talkers import SimGps, gga, rmc, sentence
from device_sim.walk import Place, distance_m
from tests.waiting import wait_until

AT = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
HERE = Place(31.2330125, 121.4730375)


def fed(*lines):
    fixes = Fixes()
    told = [fix for line in lines if (fix := fixes.feed(line))]
    return fixes, told


def test_position_date_speed_and_accuracy_come_together_from_both_sentences():
    fixes, (fix,) = fed(gga(AT, HERE, hdop=1.5), rmc(AT, HERE, speed=1.2, course=87.5))
    assert distance_m(fix.place, HERE) < 0.2
    assert (fix.at, fix.accuracy_m, fix.mock) == (AT, 7.5, False)
    assert fix.speed == pytest.approx(1.2, abs=0.01)
    assert fix.course == 87.5
    assert fixes.latest == fix


def test_the_order_of_the_two_sentences_does_not_matter():
    assert fed(rmc(AT, HERE), gga(AT, HERE))[1][-1] == fed(gga(AT, HERE), rmc(AT, HERE))[1][-1]


def test_halves_of_different_seconds_are_not_put_together():
    later = AT + timedelta(seconds=1)
    assert len(fed(gga(AT, HERE), rmc(AT, HERE), gga(later, HERE))[1]) == 1


def test_a_receiver_that_tells_no_accuracy_is_not_taken_for_an_exact_one():
    _, (fix,) = fed(rmc(AT, HERE))
    assert fix.accuracy_m == UNKNOWN_ACCURACY_M


@pytest.mark.parametrize(
    "lost",
    [
        rmc(AT, None),
        gga(AT, None),
        sentence("GPRMC,010203.00,A,3113.9808,N,12128.3823,E,0.0,0.0,211126,,,E"),
        sentence("GPGGA,010203.00,3113.9808,N,12128.3823,E,6,03,9.9,15.0,M,8.0,M,,"),
        sentence("GPRMC,010203.00,A,0000.0000,N,00000.0000,E,0.0,0.0,211126,,,A"),
    ],
)
def test_without_a_fix_there_is_no_position(lost):
    fixes, _ = fed(gga(AT, HERE), rmc(AT, HERE), lost)
    assert fixes.latest is None


@pytest.mark.parametrize("rollovers", [1, 2])
def test_a_date_of_before_a_week_rollover_is_repaired(rollovers):
    behind = AT - timedelta(weeks=1024) * rollovers
    _, (fix,) = fed(gga(behind, HERE), rmc(behind, HERE))
    assert fix.at == AT


def test_a_simulated_position_is_called_mock():
    _, (fix,) = fed(sentence("GNRMC,010203.00,A,3113.9808,N,12128.3823,E,0.0,0.0,211126,,,S"))
    assert fix.mock


@pytest.mark.parametrize(
    "line",
    [
        rmc(AT, HERE)[:-4] + b"00\r\n",
        rmc(AT, HERE).replace(b",E,", b",W,", 1),
        rmc(AT, HERE).partition(b"*")[0],
        rmc(AT, HERE)[:30],
        sentence("GPRMC,010203.00,A,9913.9808,N,12128.3823,E,0.0,0.0,211126,,,A"),
        sentence("GPRMC,256199.00,A,3113.9808,N,12128.3823,E,0.0,0.0,211126,,,A"),
        sentence("GPRMC,010203.00,A,3113.9808,N,12128.3823,E,0.0,0.0,321326,,,A"),
        b"",
        b"$",
        b"\xff\xfe",
    ],
)
def test_a_damaged_sentence_is_counted_and_changes_nothing(line):
    with pytest.raises(BadSentenceError):
        read_sentence(line)
    fixes, _ = fed(gga(AT, HERE), rmc(AT, HERE))
    before = fixes.latest
    assert fixes.feed(line) is None
    assert (fixes.latest, fixes.damaged) == (before, 1)


def test_other_sentences_and_talkers_are_read_past():
    assert read_sentence(sentence("GPGSV,3,1,11,03,03,111,00")) is None
    assert read_sentence(sentence("PMTK010,001")) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_named_error(data):
    with contextlib.suppress(BadSentenceError):
        read_sentence(data)


fields = st.lists(
    st.text("0123456789.-,NSEWAVDM", max_size=12).map(lambda text: text.replace(",", "")),
    max_size=16,
)


@given(st.sampled_from(["GPRMC", "GNGGA", "GPGGA", "BDRMC"]), fields)
def test_no_sentence_with_a_good_checksum_raises_anything_but_the_named_error(kind, values):
    with contextlib.suppress(BadSentenceError):
        read_sentence(sentence(",".join([kind, *values])))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_lines_are_cut_the_same_however_the_bytes_arrive(chunks):
    cutter, whole = LineCutter(50), LineCutter(50)
    data = b"".join(chunks) + b"\r\n"
    one_by_one = [line for byte in data for line in cutter.feed(bytes([byte]))]
    assert all(line and b"\r" not in line and b"\n" not in line for line in one_by_one)
    assert one_by_one == whole.feed(data)


@pytest.fixture
def receiver(tmp_path):
    opened = []

    def make(port, **more):
        opened.append(SerialGps(str(port), **more))
        return opened[-1]

    yield make
    for gps in opened:
        gps.close()


def test_the_receivers_fix_is_the_position_of_items_and_track(receiver, tmp_path):
    with SimGps(HERE, 0.1) as sim:
        gps = receiver(sim.port)
        assert gps.wait(60)
        handheld = Handheld(tmp_path / "h", WallClock(), gps)
        handheld.start_shift()
        handheld.flush_track()
        (item,) = handheld.store.items()
        assert item.body["gps"]["lat"] == pytest.approx(HERE.lat, abs=1e-5)
        assert item.body["gps"]["accuracy_m"] == 6.0
        assert len(handheld.store.track(10)) == 1
        handheld.close()


def test_a_receiver_without_a_fix_says_why_and_holds_nothing_up(receiver, tmp_path):
    with SimGps(None, 0.1) as sim:
        gps = receiver(sim.port)
        wait_until(lambda: gps.absence == "no_fix")
        handheld = Handheld(tmp_path / "h", WallClock(), gps)
        handheld.start_shift()
        assert handheld.store.items()[0].body["gps"] == {"absent": "no_fix"}
        handheld.close()


def test_a_silent_receiver_and_a_missing_port_are_told_apart(receiver, tmp_path):
    plug = Plug()
    silent = receiver(plug.port)
    assert wait_until(lambda: silent.absence != "off" and silent.absence) == "timeout"
    assert receiver(tmp_path / "nothing").absence == "off"
    silent.close()
    plug.unplug()


def test_a_fix_that_is_too_old_is_no_fix(receiver):
    with SimGps(HERE, 0.1) as sim:
        gps = receiver(sim.port, fresh_s=0.5)
        assert gps.wait(60)
        wait_until(lambda: gps.fix(None, AT) is not None)
        sim.stopped.set()
        wait_until(lambda: gps.fix(None, AT) is None)


def test_a_receiver_that_was_unplugged_is_opened_again(receiver, tmp_path):
    link = tmp_path / "gps"
    with SimGps(HERE, 0.1, link=link):
        gps = receiver(link, fresh_s=0.5)
        assert gps.wait(60)
    wait_until(lambda: gps.absence == "off" and gps.fix(None, AT) is None)
    with SimGps(HERE, 0.1, link=link):
        wait_until(lambda: gps.fix(None, AT))
