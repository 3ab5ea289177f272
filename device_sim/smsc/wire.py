"""SMPP 3.4 as an SMS centre speaks it: frames, the fields it reads, the PDUs it writes, the alphabets.

Written from the standard and sharing nothing with the server, so that each proves the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

BIND = {0x00000001, 0x00000002, 0x00000009}
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
UNBIND = 0x00000006
ENQUIRE_LINK = 0x00000015
GENERIC_NACK = 0x80000000
RESPONSE = 0x80000000

OK = 0x00
INVALID_COMMAND_LENGTH = 0x02
INVALID_COMMAND_ID = 0x03
INVALID_BIND_STATE = 0x04
SYSTEM_ERROR = 0x08
INVALID_DESTINATION = 0x0B
INVALID_PASSWORD = 0x0E
INVALID_SYSTEM_ID = 0x0F

_HEADER = struct.Struct(">LLLL")
_LARGEST = 64 * 1024

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\ufffdÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True))


class Broken(Exception):
    """The octets are no SMPP; the connection has to be closed."""


@dataclass(frozen=True)
class Frame:
    """One PDU: its header and its body."""

    command: int
    status: int
    sequence: int
    body: bytes


@dataclass(frozen=True)
class Submitted:
    """What a submit_sm asks for; `body` still holds a user data header when `has_header`."""

    source: str
    destination: str
    has_header: bool
    coding: int
    wants_report: bool
    body: bytes


def frames(buffer: bytearray) -> Iterator[Frame]:
    """Take whole PDUs off the front of `buffer`. Raises Broken for an impossible length."""
    while len(buffer) >= 16:
        length, command, status, sequence = _HEADER.unpack_from(buffer)
        if not 16 <= length <= _LARGEST:
            raise Broken(f"length {length}")
        if len(buffer) < length:
            return
        body = bytes(buffer[16:length])
        del buffer[:length]
        yield Frame(command, status, sequence, body)


def pdu(command: int, sequence: int, body: bytes = b"", status: int = OK) -> bytes:
    """Write one PDU."""
    return _HEADER.pack(16 + len(body), command, status, sequence) + body


def read_bind(body: bytes) -> tuple[str, str]:
    """The system_id and password of a bind."""
    system_id, at = _c_string(body, 0)
    password, _ = _c_string(body, at)
    return system_id, password


def read_submit(body: bytes) -> Submitted:
    """Read a submit_sm, its text in the body or in the message_payload. Raises Broken."""
    try:
        _, at = _c_string(body, 0)
        source, at = _c_string(body, at + 2)
        destination, at = _c_string(body, at + 2)
        esm_class = body[at]
        _, at = _c_string(body, at + 3)
        _, at = _c_string(body, at)
        registered, _, coding, _, length = body[at : at + 5]
    except (IndexError, ValueError) as problem:
        raise Broken("submit_sm ends too early") from problem
    at += 5
    text = body[at : at + length]
    if len(text) < length:
        raise Broken("submit_sm is shorter than its text")
    if not length:
        text = _tlv(body[at:], 0x0424)
    return Submitted(
        source, destination, bool(esm_class & 0x40), coding, bool(registered & 0x03), text
    )


def write_report(
    sequence: int,
    source: str,
    destination: str,
    message_id: str,
    state: str,
    times: tuple[str, str],
) -> bytes:
    """A deliver_sm with a delivery report, in text and as optional parameters; `times` submitted, done."""
    delivered = state == "DELIVRD"
    text = (
        f"id:{message_id} sub:001 dlvrd:{int(delivered):03d} submit date:{times[0]} "
        f"done date:{times[1]} stat:{state} err:{0 if delivered else 1:03d} text:"
    ).encode("latin-1")
    body = (
        b"\0\x01\x01"
        + source.encode()
        + b"\0\x00\x01"
        + destination.encode()
        + b"\0"
        + bytes([0x04, 0, 0])
        + b"\0\0"
        + bytes([0, 0, 0, 0, len(text)])
        + text
    )
    body += struct.pack(">HHB", 0x0427, 1, 2 if delivered else 5)
    identity = message_id.encode() + b"\0"
    body += struct.pack(">HH", 0x001E, len(identity)) + identity
    return pdu(DELIVER_SM, sequence, body)


def parts(submitted: Submitted) -> tuple[tuple[int, int, int] | None, bytes]:
    """The (reference, total, part) of a joined text and the octets without their header."""
    if not submitted.has_header or not submitted.body:
        return None, submitted.body
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


def read_text(octets: bytes, coding: int) -> str:
    """The characters of a text by its data coding: 8 is UTF-16, 3 Latin-1, the rest GSM 03.38."""
    if coding & 0x0C == 0x08:
        return octets.decode("utf-16-be", "replace")
    if coding == 0x03:
        return octets.decode("latin-1")
    out, escaped = [], False
    for septet in octets:
        if escaped:
            out.append(_ESCAPED.get(septet, _BASIC[septet & 0x7F]))
        elif septet != 0x1B:
            out.append(_BASIC[septet & 0x7F])
        escaped = septet == 0x1B and not escaped
    return "".join(out)


def _c_string(body: bytes, at: int) -> tuple[str, int]:
    end = body.index(b"\0", at)
    return body[at:end].decode("latin-1"), end + 1


def _tlv(data: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(data):
        tag, length = struct.unpack_from(">HH", data, at)
        if tag == wanted:
            return data[at + 4 : at + 4 + length]
        at += 4 + length
    return b""
