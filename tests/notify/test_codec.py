"""PDUs: written so that a second codec reads them, read whatever a carrier makes of them."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.smsc import wire
from server.notify.gateways.smpp import codec
from server.notify.gateways.smpp.codec import BadFrame, BadPdu, decode, encode, frames


def deliver(
    text: bytes = b"hi", tlvs: bytes = b"", esm_class: int = 0, length: int = -1, coding: int = 0
) -> bytes:
    """A deliver_sm, written by hand."""
    size = len(text) if length < 0 else length
    body = b"\0\x01\x01123\0\x00\x0195598\0" + bytes([esm_class, 0, 0]) + b"\0\0\0\0"
    body += bytes([coding, 0])
    return wire.pdu(wire.DELIVER_SM, 7, body + bytes([size]) + text + tlvs)


def tlv(tag: int, value: bytes) -> bytes:
    """One optional parameter."""
    return struct.pack(">HH", tag, len(value)) + value


@given(
    st.binary(max_size=254),
    st.sampled_from([0, 8]),
    st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    st.integers(1, 0x7FFFFFFF),
)
def test_a_second_codec_reads_our_submissions(
    body: bytes, coding: int, phone: str, sequence: int
) -> None:
    octets = encode(
        "submit_sm",
        sequence,
        source_addr="95598",
        destination_addr=phone,
        esm_class=0x40,
        registered_delivery=1,
        data_coding=coding,
        short_message=body,
    )
    (frame,) = wire.frames(bytearray(octets))
    read = wire.read_submit(frame.body)
    assert (frame.command, frame.sequence) == (wire.SUBMIT_SM, sequence)
    assert read == wire.Submitted("95598", phone, True, coding, True, body)


def test_a_long_password_is_not_cut() -> None:
    octets = encode("bind_transceiver", 1, system_id="fieldbell", password="longer than eight")
    (frame,) = wire.frames(bytearray(octets))
    assert wire.read_bind(frame.body) == ("fieldbell", "longer than eight")


def test_an_address_too_long_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match="destination_addr"):
        encode("submit_sm", 1, destination_addr="1" * 21)


@given(st.lists(st.binary(max_size=50), max_size=6), st.data())
def test_pdus_may_come_in_any_pieces(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(wire.pdu(5, number, body) for number, body in enumerate(bodies))
    buffer, seen, at = bytearray(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        buffer += stream[at : at + step]
        at += step
        seen += [frame[16:] for frame in frames(buffer)]
    assert seen == bodies
    assert not buffer


@pytest.mark.parametrize("length", [0, 15, 64 * 1024 + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(BadFrame):
        list(frames(bytearray(struct.pack(">L", length))))


def test_an_unknown_command_is_named_as_such() -> None:
    with pytest.raises(BadPdu) as refused:
        decode(wire.pdu(0x00FF, 9))
    assert (refused.value.status, refused.value.sequence) == (codec.ESME_RINVCMDID, 9)


def test_optional_parameters_are_skipped_by_their_length() -> None:
    tlvs = (
        tlv(0x1403, b"vendor") + tlv(0x0427, b"\x02") + tlv(0x001E, b"id9") + tlv(0x0030, b"\0\1")
    )
    pdu = decode(deliver(tlvs=tlvs))
    assert pdu.body == b"hi"
    assert pdu.tlvs[0x1403] == b"vendor"
    assert pdu.tlvs[0x0427] == b"\x02"
    assert pdu.tlvs[0x001E] == b"id9", "the last character stays although its NUL is missing"
    assert pdu.is_report


def test_a_parameter_longer_than_the_pdu_is_left_out() -> None:
    pdu = decode(deliver(tlvs=tlv(0x0427, b"\x02") + struct.pack(">HH", 0x001E, 99) + b"abc"))
    assert pdu.tlvs == {0x0427: b"\x02"}


def test_known_parameters_in_a_submit_response_are_no_error() -> None:
    body = b"12\0" + tlv(0x0424, b"x") + tlv(0x0427, b"\x02")
    pdu = decode(wire.pdu(0x80000004, 3, body))
    assert pdu.message_id == "12"


@pytest.mark.parametrize("body", [b"", b"\0", b"abc\0", b"abc"])
def test_a_submit_response_is_read_with_and_without_its_end(body: bytes) -> None:
    pdu = decode(wire.pdu(0x80000004, 3, body, status=0x58))
    assert (pdu.status, pdu.sequence) == (0x58, 3)
    assert pdu.message_id == body.rstrip(b"\0").decode()


def test_a_text_shorter_than_it_says_is_refused() -> None:
    with pytest.raises(BadPdu) as refused:
        decode(deliver(b"short", length=200))
    assert refused.value.status == codec.ESME_RINVCMDLEN


@given(st.sampled_from([4, 5, 0x103, 0x80000004, 0x80000009, 0x80000005, 9, 3, 0x102]), st.binary())
def test_no_octets_bring_the_reader_down(command: int, body: bytes) -> None:
    octets = wire.pdu(command, 1, body)
    with contextlib.suppress(BadPdu):
        assert decode(octets).sequence == 1
