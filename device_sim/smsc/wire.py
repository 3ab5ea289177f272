"""SMPP 3.4 as an SMS centre speaks it: frames, the fields it reads, the PDUs it writes.

Written from the standard and sharing nothing with the server, so that each proves the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from device_sim.smsc import alphabet

BIND_RECEIVER = 0x00000001
BIND_TRANSMITTER = 0x00000002
BIND_TRANSCEIVER = 0x00000009
BIND = {BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER}
QUERY_SM = 0x00000003
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
UNBIND = 0x00000006
CANCEL_SM = 0x00000008
ENQUIRE_LINK = 0x00000015
ALERT_NOTIFICATION = 0x00000102
DATA_SM = 0x00000103
GENERIC_NACK = 0x80000000
RESPONSE = 0x80000000

OK = 0x00
INVALID_COMMAND_LENGTH = 0x02
INVALID_COMMAND_ID = 0x03
INVALID_BIND_STATE = 0x04
ALREADY_BOUND = 0x05
SYSTEM_ERROR = 0x08
INVALID_DESTINATION = 0x0B
BIND_FAILED = 0x0D
INVALID_PASSWORD = 0x0E
INVALID_SYSTEM_ID = 0x0F
CANCEL_FAILED = 0x11
QUEUE_FULL = 0x14
THROTTLED = 0x58
QUERY_FAILED = 0x67

TAG_PAYLOAD = 0x0424
TAG_STATE = 0x0427
TAG_MESSAGE_ID = 0x001E
TAG_VERSION = 0x0210
TAG_SAR_REFERENCE, TAG_SAR_TOTAL, TAG_SAR_PART = 0x020C, 0x020E, 0x020F

STATES = {
    "ENROUTE": 1,
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}
_HEADER = struct.Struct(">LLLL")
_TLV = struct.Struct(">HH")
_LARGEST = 64 * 1024

read_text = alphabet.read_text


class Broken(Exception):
    """The octets are no SMPP; the connection has to be closed."""


class Frame(NamedTuple):
    """One PDU: its header and its body."""

    command: int
    status: int
    sequence: int
    body: bytes


class Submitted(NamedTuple):
    """What a submit_sm or data_sm asks for; `body` still holds a user data header when `has_header`.

    `wants_report` is what registered_delivery says: 0 none, 1 every end, 2 failures, 3 successes.
    `sar` is (reference, total, part) of a text joined by optional parameters.
    """

    source: str
    destination: str
    has_header: bool
    coding: int
    wants_report: int
    body: bytes
    sar: tuple[int, int, int] | None = None
    validity: str = ""


class Delivery(NamedTuple):
    """What a deliver_sm or data_sm to a client carries."""

    source: str
    destination: str
    esm_class: int
    coding: int
    body: bytes
    tlvs: bytes = b""


def frames(buffer: bytearray) -> Iterator[Frame]:
    """Take whole PDUs off the front of `buffer`. Raises Broken for an impossible length."""
    data = bytes(buffer)
    at, end = 0, len(data)
    try:
        while end - at >= 16:
            length, command, status, sequence = _HEADER.unpack_from(data, at)
            if not 16 <= length <= _LARGEST:
                raise Broken(f"length {length}")
            if end - at < length:
                return
            start, at = at, at + length
            yield Frame(command, status, sequence, data[start + 16 : at])
    finally:
        del buffer[:at]


def pdu(command: int, sequence: int, body: bytes = b"", status: int = OK) -> bytes:
    """Write one PDU."""
    return _HEADER.pack(16 + len(body), command, status, sequence) + body


def tlv(tag: int, value: bytes) -> bytes:
    """Write one optional parameter."""
    return _TLV.pack(tag, len(value)) + value


def read_bind(body: bytes) -> tuple[str, str]:
    """The system_id and password of a bind. Raises ValueError when they do not end."""
    system_id, at = _c_string(body, 0)
    password, _ = _c_string(body, at)
    return system_id, password


def read_submit(body: bytes) -> Submitted:
    """Read a submit_sm, its text in the body or in the message_payload. Raises Broken."""
    try:
        at = body.index(b"\0") + 3
        end = body.index(b"\0", at)
        source = body[at:end].decode("latin-1")
        at = end + 3
        end = body.index(b"\0", at)
        destination = body[at:end].decode("latin-1")
        esm_class = body[end + 1]
        at = body.index(b"\0", end + 4) + 1
        end = body.index(b"\0", at)
        validity = body[at:end].decode("latin-1") if end > at else ""
        registered, _, coding, _, length = body[end + 1 : end + 6]
    except (IndexError, ValueError) as problem:
        raise Broken("submit_sm ends too early") from problem
    at, end = end + 6, end + 6 + length
    text, sar = body[at:end], None
    if len(text) < length:
        raise Broken("submit_sm is shorter than its text")
    if end < len(body):
        tlvs = read_tlvs(body, end)
        text = text or tlvs.get(TAG_PAYLOAD, b"")
        sar = _sar(tlvs)
    header, wants = bool(esm_class & 0x40), registered & 0x03
    return Submitted(source, destination, header, coding, wants, text, sar, validity)


def read_data(body: bytes) -> Submitted:
    """Read a data_sm. Raises Broken."""
    try:
        at = body.index(b"\0") + 3
        end = body.index(b"\0", at)
        source = body[at:end].decode("latin-1")
        at = end + 3
        end = body.index(b"\0", at)
        destination = body[at:end].decode("latin-1")
        esm_class, registered, coding = body[end + 1 : end + 4]
    except (IndexError, ValueError) as problem:
        raise Broken("data_sm ends too early") from problem
    tlvs = read_tlvs(body, end + 4)
    text, header = tlvs.get(TAG_PAYLOAD, b""), bool(esm_class & 0x40)
    return Submitted(source, destination, header, coding, registered & 0x03, text, _sar(tlvs))


def read_message_id(body: bytes) -> str:
    """The message id a query_sm or cancel_sm asks for. Raises ValueError."""
    at = body.index(b"\0") + 1 if body[:1] == b"\0" else 0
    return _c_string(body, at)[0]


def read_tlvs(body: bytes, at: int) -> dict[int, bytes]:
    """Optional parameters by tag; one longer than the PDU ends the reading."""
    found = {}
    while at + 4 <= len(body):
        tag, length = _TLV.unpack_from(body, at)
        at += 4 + length
        if at > len(body):
            break
        found[tag] = body[at - length : at]
    return found


def deliver(sequence: int, delivery: Delivery, *, payload: bool = False) -> bytes:
    """A deliver_sm, its text in the body or (when `payload` or too long) as message_payload."""
    text, tlvs = delivery.body, delivery.tlvs
    if payload or len(text) > 254:
        text, tlvs = b"", tlv(TAG_PAYLOAD, text) + tlvs
    body = b"\0%b%b%c\0\0\0\0\0\0%c\0%c%b%b" % (
        _address(delivery.source),
        _address(delivery.destination),
        delivery.esm_class,
        delivery.coding,
        len(text),
        text,
        tlvs,
    )
    return pdu(DELIVER_SM, sequence, body)


def data(sequence: int, delivery: Delivery) -> bytes:
    """A data_sm to a client."""
    body = b"\0%b%b%b%b%b" % (
        _address(delivery.source),
        _address(delivery.destination),
        bytes([delivery.esm_class, 0, delivery.coding]),
        tlv(TAG_PAYLOAD, delivery.body) if delivery.body else b"",
        delivery.tlvs,
    )
    return pdu(DATA_SM, sequence, body)


def alert(sequence: int, source: str, destination: str) -> bytes:
    """An alert_notification: the phone can be reached again."""
    return pdu(ALERT_NOTIFICATION, sequence, _address(source) + _address(destination))


def report(
    source: str, destination: str, message_id: str, state: str, times: tuple[str, str], ids: str
) -> Delivery:
    """A delivery report; `times` are submission and end, `ids` says where: both, tlv or text."""
    delivered = state == "DELIVRD"
    text = (
        f"id:{message_id} sub:001 dlvrd:{int(delivered):03d} submit date:{times[0]} "
        f"done date:{times[1]} stat:{state} err:{0 if delivered else 1:03d} text:"
    )
    tlvs = b""
    if ids != "text":
        identity = message_id.encode("latin-1")
        tlvs = b"\x04\x27\x00\x01%c\x00\x1e\x00%c%b\0" % (
            STATES[state],
            len(identity) + 1,
            identity,
        )
    octets = b"" if ids == "tlv" else text.encode("latin-1")
    esm_class = 0x20 if state in ("ENROUTE", "ACCEPTD") else 0x04
    return Delivery(source, destination, esm_class, 0, octets, tlvs)


def write_report(
    sequence: int,
    source: str,
    destination: str,
    message_id: str,
    state: str,
    times: tuple[str, str],
) -> bytes:
    """A deliver_sm with a delivery report, in text and as optional parameters."""
    return deliver(sequence, report(source, destination, message_id, state, times, "both"))


def parts(submitted: Submitted) -> tuple[tuple[int, int, int] | None, bytes]:
    """The (reference, total, part) of a joined text and the octets without their header."""
    if not submitted.has_header or not submitted.body:
        return submitted.sar, submitted.body
    size = submitted.body[0] + 1
    header, rest = submitted.body[1:size], submitted.body[size:]
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == 0 and len(value) == 3:
            return (value[0], value[1], value[2]), rest
        if kind == 8 and len(value) == 4:
            return (value[0] << 8 | value[1], value[2], value[3]), rest
        at += 2 + length
    return None, rest


def join_header(reference: int, total: int, part: int, *, wide: bool = False) -> bytes:
    """The user data header of one part, its reference in one octet or in two."""
    if wide:
        return struct.pack(">BBBHBB", 6, 8, 4, reference & 0xFFFF, total, part)
    return bytes([5, 0, 3, reference & 0xFF, total, part])


def sar_tlvs(reference: int, total: int, part: int) -> bytes:
    """The optional parameters of one part."""
    return (
        tlv(TAG_SAR_REFERENCE, struct.pack(">H", reference & 0xFFFF))
        + tlv(TAG_SAR_TOTAL, bytes([total]))
        + tlv(TAG_SAR_PART, bytes([part]))
    )


def _sar(tlvs: dict[int, bytes]) -> tuple[int, int, int] | None:
    values = [tlvs.get(tag) for tag in (TAG_SAR_REFERENCE, TAG_SAR_TOTAL, TAG_SAR_PART)]
    if not all(values):
        return None
    reference, total, part = (int.from_bytes(value or b"", "big") for value in values)
    return reference, total, part


@lru_cache(maxsize=16384)
def _address(number: str) -> bytes:
    """Type, plan and digits; a name travels as alphanumeric, a short number as of this network."""
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return b"\x05\x00" + number.encode("latin-1", "replace") + b"\0"
    kind = b"\x01\x01" if len(digits) > 8 else b"\x00\x01"
    return kind + digits.encode() + b"\0"


def _c_string(body: bytes, at: int) -> tuple[str, int]:
    end = body.index(b"\0", at)
    return body[at:end].decode("latin-1"), end + 1
