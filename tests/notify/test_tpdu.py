"""The units of a GSM modem, against the simulator's codec and a decoder of strangers."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smspdudecoder import codecs, easy, fields

from device_sim.modem import tpdu as sim
from device_sim.smsc import alphabet
from server.notify.rules import charsets, segments, tpdu
from server.notify.rules.inbound import read_header

PHONE = "+8612000000001"
NOW = datetime(2026, 11, 22, 8, 30, 15, tzinfo=UTC)
CENTRE = "+8613800100500"
TEXTS = st.text(
    st.sampled_from(segments.GSM_BASIC.replace("\x1b", "") + "^{}\\[~]|€"), max_size=400
)


def units_of(text: str) -> list[bytes]:
    split = segments.split(text, maximum=255)
    many = split.count > 1
    return [
        tpdu.submit(
            PHONE,
            split.encoding,
            segments.encode(part, split.encoding),
            header=segments.header(77, split.count, number) if many else b"",
        )
        for number, part in enumerate(split.parts, 1)
    ]


@settings(max_examples=60, deadline=None)
@given(st.one_of(TEXTS, st.text(max_size=200).filter(lambda text: text.isprintable())))
def test_what_goes_out_reads_the_same_in_the_simulators_decoder(text: str) -> None:
    read = [sim.read_submit(unit) for unit in units_of(text)]
    assert "".join(one.text for one in read) == text
    assert {one.to for one in read} == {PHONE}
    assert all(one.wants_report for one in read)
    if len(read) > 1:
        assert [one.join for one in read] == [(77, len(read), n + 1) for n in range(len(read))]


def test_what_goes_out_reads_the_same_in_a_decoder_of_strangers() -> None:
    for text in ("Hello {world} €5", "您的电费已出账", "ab" * 100, "电" * 100):
        whole = ""
        for unit in units_of(text):
            data = unit.hex().upper()
            assert int(data[:2], 16) & 0x3F == 0x21
            stream = io.StringIO(data[4:])
            assert "+" + fields.Address.decode(stream)["number"] == PHONE
            stream.read(2)
            coding = int(stream.read(2), 16)
            count, rest = int(stream.read(2), 16), stream.read()
            if not unit[0] & 0x40:
                whole += (codecs.UCS2 if coding else codecs.GSM).decode(rest)
                continue
            assert rest[:2] == "05"
            if coding:
                whole += codecs.UCS2.decode(rest[12:])
            else:
                whole += codecs.GSM.decode(rest, strip_padding=False)[7:count]
        assert whole == text


def test_what_comes_in_reads_the_same_in_all_three() -> None:
    for text in ("STOP", "BAL {12} €", "我要查询电费余额", "x" * 160):
        coding = alphabet.coding_for(text)
        unit = sim.deliver(PHONE, alphabet.write_text(text, coding), coding, NOW)
        handed = sim.with_centre(unit, CENTRE)
        found = tpdu.read(handed)
        assert isinstance(found, tpdu.Deliver)
        charset = "gsm7" if found.packed else "utf-16-be"
        assert (found.sender, found.sent_at) == (PHONE, NOW)
        assert charsets.decode(found.body, charset) == charsets.Decoded(text)
        stranger = easy.read_incoming_sms(handed)
        assert (stranger["content"], stranger["sender"]) == (text, PHONE)
        assert stranger["date"] == NOW


def test_the_parts_of_a_long_text_that_comes_in_join_again() -> None:
    for text in ("To be {or} not to be, that is the question. " * 9, "查询" * 120):
        coding = alphabet.coding_for(text)
        bodies = alphabet.cut(text, coding)
        whole = ""
        for number, body in enumerate(bodies, 1):
            header = bytes([5, 0, 3, 9, len(bodies), number])
            handed = sim.with_centre(sim.deliver(PHONE, body, coding, NOW, header), CENTRE)
            found = tpdu.read(handed)
            assert isinstance(found, tpdu.Deliver)
            assert read_header(found.header)[0] == (9, len(bodies), number)
            whole += charsets.decode(found.body, "gsm7" if found.packed else "utf-16-be").text
        assert whole == text


def test_a_status_report_names_reference_recipient_and_times() -> None:
    unit = sim.status_report(255, PHONE, NOW, NOW.replace(minute=31), 0)
    assert tpdu.read(sim.with_centre(unit, CENTRE)) == tpdu.Report(
        255, PHONE, NOW, NOW.replace(minute=31), 0
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x00, "delivered"),
        (0x01, "accepted"),
        (0x02, "accepted"),
        (0x20, "enroute"),
        (0x30, "enroute"),
        (0x40, "undeliverable"),
        (0x46, "expired"),
        (0x48, "deleted"),
        (0x60, "undeliverable"),
    ],
)
def test_the_status_of_a_report_has_a_word(status: int, state: str) -> None:
    assert tpdu.report_state(status) == state


def test_a_sender_may_be_a_name() -> None:
    unit = sim.deliver("Power Co", b"hello", 0, NOW)
    found = tpdu.read(sim.with_centre(unit, CENTRE))
    assert isinstance(found, tpdu.Deliver)
    assert found.sender == "Power Co"


def test_reports_meet_their_text_whether_or_not_the_centre_writes_the_country() -> None:
    assert tpdu.carrier_id(17, "+8613800138000") == tpdu.carrier_id(17, "13800138000")
    assert tpdu.carrier_id(17, "+8613800138000") != tpdu.carrier_id(17, "+8613800138001")


@pytest.mark.parametrize(
    ("seconds", "octet"),
    [
        (1, 0),
        (300, 0),
        (600, 1),
        (43200, 143),
        (45000, 144),
        (86400, 167),
        (172800, 168),
        (30 * 86400, 196),
        (5 * 7 * 86400, 197),
        (10**9, 255),
    ],
)
def test_validity_is_the_largest_step_that_is_not_longer(seconds: int, octet: int) -> None:
    assert tpdu.relative_validity(seconds) == octet


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_no_octets_raise_anything_but_the_named_error(octets: bytes) -> None:
    for digits in (octets.hex(), octets.decode("latin-1")):
        with suppress(tpdu.BadUnit):
            tpdu.read(digits)


def test_a_unit_cut_anywhere_is_named_bad_or_loses_nothing_but_its_end() -> None:
    unit = sim.with_centre(sim.deliver(PHONE, b"hello world", 0, NOW), CENTRE)
    for length in range(0, len(unit) - 2, 2):
        with pytest.raises(tpdu.BadUnit):
            tpdu.read(unit[:length])


def test_septets_packed_behind_any_header_come_out_again() -> None:
    rng = random.Random(7)
    for before in range(10):
        septets = bytes(rng.randrange(128) for _ in range(rng.randrange(1, 150)))
        packed = tpdu.pack(septets, before)
        assert tpdu.unpack(packed, before + len(septets), before) == septets
