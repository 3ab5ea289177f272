"""The fast codec beside smpplib's, octet by octet, and every known fault of that library on our side."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import smpplib.command as library
from hypothesis import given
from hypothesis import strategies as st

from device_sim.smsc import wire
from server.notify.gateways.smpp import codec, fast
from server.notify.rules import receipts
from server.notify.rules.receipts import Receipt
from tests.notify.test_codec import deliver, tlv

ADDRESS = st.from_regex(r"[0-9]{1,20}", fullmatch=True)
OCTET = st.integers(0, 255)
SEQUENCE = st.integers(1, 0x7FFFFFFF)
REPORT = (
    b"id:%b sub:001 dlvrd:001 submit date:2611220800 done date:2611220801 stat:%b err:%b text:hello"
)


def read(octets: bytes) -> fast.Delivered | Receipt | None:
    """Read one deliver_sm."""
    ((_, _, _, start, end),), data, trouble = fast.cut(bytearray(octets))
    assert trouble is None
    return fast.read_deliver_sm(data, start, end)


@given(
    ADDRESS,
    ADDRESS,
    st.tuples(OCTET, OCTET, OCTET, OCTET),
    st.binary(max_size=254),
    st.sampled_from([0, 0x40]),
    st.sampled_from([0, 8]),
    st.sampled_from(["", "000001000000000R"]),
    SEQUENCE,
)
def test_our_submissions_are_those_of_smpplib_octet_by_octet(
    source: str,
    destination: str,
    types: tuple[int, int, int, int],
    body: bytes,
    esm_class: int,
    coding: int,
    validity: str,
    sequence: int,
) -> None:
    ours = fast.submitter(source, types[:2], types[2:])(
        sequence, destination, body, esm_class=esm_class, data_coding=coding, validity=validity
    )
    theirs = codec.encode(
        "submit_sm",
        sequence,
        source_addr_ton=types[0],
        source_addr_npi=types[1],
        source_addr=source,
        dest_addr_ton=types[2],
        dest_addr_npi=types[3],
        destination_addr=destination,
        esm_class=esm_class,
        validity_period=validity,
        registered_delivery=1,
        data_coding=coding,
        short_message=body,
    )
    assert ours == theirs


@given(SEQUENCE, st.sampled_from([0, 2, 0x64]))
def test_our_acknowledgements_are_those_of_smpplib(sequence: int, status: int) -> None:
    theirs = codec.encode("deliver_sm_resp", sequence, status=status)
    assert fast.deliver_sm_resp(sequence, status) == theirs


@given(SEQUENCE, st.from_regex(r"[0-9a-zA-Z-]{0,60}", fullmatch=True))
def test_a_submit_response_is_read_as_smpplib_reads_it(sequence: int, name: str) -> None:
    pdu: Any = library.SubmitSMResp(
        "submit_sm_resp", sequence=sequence, message_id=name, client=None
    )
    pdu.sequence = sequence
    octets = pdu.generate()
    assert fast.submit_sm_resp(sequence, name) == octets
    ((command, status, number, start, end),), data, _ = fast.cut(bytearray(octets))
    assert (command, status, number) == (fast.SUBMIT_SM_RESP, 0, sequence)
    assert fast.read_message_id(data, start, end) == codec.decode(octets).message_id == name


@given(
    st.from_regex(r"[A-Za-z]{0,5}", fullmatch=True),
    ADDRESS,
    ADDRESS,
    OCTET,
    st.binary(max_size=160),
    st.sampled_from(["", "261122080000000+"]),
    st.lists(st.tuples(st.integers(0x1400, 0x3FFF), st.binary(max_size=20)), max_size=3),
)
def test_a_delivered_text_is_read_as_smpplib_reads_it(
    service: str,
    source: str,
    destination: str,
    coding: int,
    body: bytes,
    schedule: str,
    vendor: list[tuple[int, bytes]],
) -> None:
    octets = codec.encode(
        "deliver_sm",
        9,
        service_type=service,
        source_addr=source,
        destination_addr=destination,
        data_coding=coding,
        schedule_delivery_time=schedule,
        short_message=body,
    )
    octets += b"".join(tlv(tag, value) for tag, value in vendor)
    octets = struct.pack(">L", len(octets)) + octets[4:]
    theirs = codec.decode(octets)
    found = read(octets)
    assert isinstance(found, fast.Delivered)
    assert found == (
        *(theirs.source, theirs.destination, theirs.esm_class),
        *(theirs.data_coding, theirs.body, theirs.tlvs),
    )


@given(st.binary(max_size=120))
def test_no_octets_bring_the_fast_reader_down(body: bytes) -> None:
    octets = wire.pdu(wire.DELIVER_SM, 1, body)
    try:
        read(octets)
    except fast.Broken:
        return


@given(st.lists(st.binary(max_size=50), max_size=6), st.data())
def test_pdus_are_cut_the_same_in_whatever_pieces_they_come(
    bodies: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(wire.pdu(5, number, body) for number, body in enumerate(bodies))
    buffer, seen, at = bytearray(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        buffer += stream[at : at + step]
        at += step
        found, octets, trouble = fast.cut(buffer)
        assert trouble is None
        seen += [octets[start:end] for *_, start, end in found]
    assert seen == bodies
    assert not buffer


@pytest.mark.parametrize("length", [0, 15, 64 * 1024 + 1, 0xFFFFFFFF])
def test_what_came_before_an_impossible_length_is_still_read(length: int) -> None:
    stream = wire.pdu(0x80000015, 4) + struct.pack(">L", length)
    found, _, trouble = fast.cut(bytearray(stream))
    assert [sequence for _, _, sequence, _, _ in found] == [4]
    assert isinstance(trouble, fast.BadFrame)


# --- reports ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (REPORT % (b"123", b"DELIVRD", b"000"), ("123", "delivered", "000", "2611220801")),
        (
            REPORT % (b"aB-9/1", b"UNDELIV", b"0x45"),
            ("aB-9/1", "undeliverable", "0x45", "2611220801"),
        ),
        (b"id:5 stat:EXPIRED err:1", ("5", "expired", "1", "")),
        (b"ID: 5  STAT: rejectd", ("5", "rejected", "", "")),
        (b"stat:DELIVRD", ("", "delivered", "", "")),
        (b"hello", None),
        (b"", None),
    ],
)
def test_reports_are_read_in_the_common_form_and_tolerantly_in_others(
    body: bytes, expected: tuple[str, str, str, str] | None
) -> None:
    assert read(deliver(body, esm_class=4)) == expected


@given(
    st.from_regex(r"[0-9A-Fa-f-]{1,40}", fullmatch=True),
    st.sampled_from([b"DELIVRD", b"EXPIRED", b"UNDELIV", b"REJECTD", b"ENROUTE", b"ACCEPTD"]),
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)
def test_the_common_form_says_the_same_with_and_without_a_regular_expression(
    name: str, word: bytes, error: str
) -> None:
    body = REPORT % (name.encode(), word, error.encode())
    assert receipts._common(body) == receipts._tolerant(body)


def test_parameters_of_a_report_stand_before_its_text() -> None:
    tlvs = tlv(0x001E, b"exact\0") + tlv(0x0427, b"\x05") + tlv(0x1401, b"vendor")
    body = REPORT % (b"rounded", b"DELIVRD", b"000")
    assert read(deliver(body, tlvs, esm_class=4)) == ("exact", "undeliverable", "000", "2611220801")


# --- faults of smpplib 2.2.4 that ours must not have ----------------------------------------------


def test_an_id_without_its_nul_keeps_its_last_character() -> None:
    tlvs = tlv(0x001E, b"id9") + tlv(0x0427, b"\x02")
    assert read(deliver(b"", tlvs, esm_class=4)) == ("id9", "delivered", "", "")
    octets = wire.pdu(0x80000004, 1, b"id9")
    ((*_, start, end),), data, _ = fast.cut(bytearray(octets))
    assert fast.read_message_id(data, start, end) == "id9"


def test_a_parameter_s_own_length_counts() -> None:
    tlvs = tlv(0x0427, b"\0\0\0\x02") + tlv(0x001E, b"x\0")
    assert read(deliver(b"", tlvs, esm_class=4)) == ("x", "delivered", "", "")


def test_known_and_vendor_parameters_in_a_submit_response_are_no_error() -> None:
    octets = wire.pdu(0x80000004, 3, b"12\0" + tlv(0x0424, b"x") + tlv(0x1403, b"y"))
    ((*_, start, end),), data, _ = fast.cut(bytearray(octets))
    assert fast.read_message_id(data, start, end) == "12"


def test_an_address_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match="20"):
        fast.submitter("1" * 21, (0, 0), (1, 1))
    with pytest.raises(ValueError, match="20"):
        fast.submitter("1", (0, 0), (1, 1))(1, "1" * 21, b"")


def test_a_body_too_long_for_the_short_form_travels_as_payload() -> None:
    octets = fast.submitter("95598", (0, 0), (1, 1))(7, "8612", b"x" * 255)
    (frame,) = wire.frames(bytearray(octets))
    assert wire.read_submit(frame.body).body == b"x" * 255
