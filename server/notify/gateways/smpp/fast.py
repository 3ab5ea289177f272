"""The four PDUs of which there are thousands a second, written and read with `struct` alone.

`codec` does the same for every PDU through smpplib, some thirty times slower; tests hold the two
beside each other octet by octet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from server.notify.rules import receipts
from server.notify.rules.receipts import Receipt

SUBMIT_SM = 0x00000004
SUBMIT_SM_RESP = 0x80000004
DELIVER_SM = 0x00000005
DELIVER_SM_RESP = 0x80000005
ENQUIRE_LINK = 0x00000015

MIN_LENGTH = 16
MAX_LENGTH = 64 * 1024
SHORT_MOST = 254
ADDRESS_MOST = 20
UDHI = 0x40
_REPORTS = 0x3C
_PAYLOAD = 0x0424

HEADER = struct.Struct(">LLLL")
_TLV = struct.Struct(">HH")
_ACKNOWLEDGED = struct.Struct(">LLLLB")
_TAIL = struct.Struct(">5B")


class BadFrame(Exception):
    """The stream cannot be cut into PDUs any more; the connection has to be closed."""


class Broken(Exception):
    """One PDU ends before its fields do."""


class Delivered(NamedTuple):
    """A text that a person wrote."""

    source: str
    destination: str
    esm_class: int
    data_coding: int
    body: bytes
    tlvs: dict[int, bytes]


def cut(
    buffer: bytearray,
) -> tuple[list[tuple[int, int, int, int, int]], bytes, BaseException | None]:
    """Take every whole PDU off the front of `buffer`; an incomplete one stays for the next octets.

    Gives (command, status, sequence, start, end) of each within the octets that follow, and a
    BadFrame where a length below 16 or above 64 KiB makes the rest unreadable.
    """
    found: list[tuple[int, int, int, int, int]] = []
    data = bytes(buffer)
    size, at = len(data), 0
    unpack = HEADER.unpack_from
    trouble: BaseException | None = None
    while size - at >= MIN_LENGTH:
        length, command, status, sequence = unpack(data, at)
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            trouble = BadFrame(f"a PDU claims {length} octets")
            break
        end = at + length
        if end > size:
            break
        found.append((command, status, sequence, at + MIN_LENGTH, end))
        at = end
    if trouble is None and 4 <= size - at < MIN_LENGTH:
        length = int.from_bytes(data[at : at + 4], "big")
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            trouble = BadFrame(f"a PDU claims {length} octets")
    del buffer[:at]
    return found, data, trouble


def submitter(
    source: str,
    source_type: tuple[int, int],
    destination_type: tuple[int, int],
    *,
    service: str = "",
) -> Callable[..., bytes]:
    """A function that writes submit_sm from one sender: what never changes is written once.

    Types are (ton, npi). Raises ValueError for a sender of more than 20 characters.
    """
    _fits(source)
    head = b"".join(
        (
            *(service.encode("latin-1"), b"\0", bytes(source_type)),
            *(source.encode("latin-1"), b"\0", bytes(destination_type)),
        )
    )
    pack = HEADER.pack
    tail = _TAIL.pack

    def submit_sm(
        sequence: int,
        destination: str,
        body: bytes,
        *,
        esm_class: int = 0,
        data_coding: int = 0,
        validity: str = "",
        tlvs: bytes = b"",
        report: int = 1,
    ) -> bytes:
        """One submit_sm; a body too long for the short form travels as its payload.

        Raises ValueError for an address of more than 20 characters.
        """
        if len(destination) > ADDRESS_MOST:
            _fits(destination)
        if len(body) > SHORT_MOST:
            tlvs = _TLV.pack(_PAYLOAD, len(body)) + body + tlvs
            body = b""
        rest = b"%b%b\0%c\0\0\0%b\0%b%b%b" % (
            head,
            destination.encode("ascii"),
            esm_class,
            validity.encode("ascii"),
            tail(report, 0, data_coding, 0, len(body)),
            body,
            tlvs,
        )
        return pack(MIN_LENGTH + len(rest), SUBMIT_SM, 0, sequence) + rest

    return submit_sm


def _fits(address: str) -> None:
    if len(address) > ADDRESS_MOST:
        raise ValueError(f"an address is longer than {ADDRESS_MOST} characters")


def tlv(tag: int, value: bytes) -> bytes:
    """One optional parameter."""
    return _TLV.pack(tag, len(value)) + value


def submit_sm_resp(sequence: int, message_id: str, status: int = 0) -> bytes:
    """The answer to a submission, as a centre writes it."""
    body = b"" if status else message_id.encode("latin-1") + b"\0"
    return HEADER.pack(MIN_LENGTH + len(body), SUBMIT_SM_RESP, status, sequence) + body


def read_message_id(data: bytes, start: int, end: int) -> str:
    """The id in the body of a submit_sm_resp; a missing NUL cuts nothing, parameters behind it do not matter."""
    if start == end:
        return ""
    stop = data.find(b"\0", start, end)
    return data[start : end if stop < 0 else stop].decode("latin-1")


def deliver_sm_resp(sequence: int, status: int = 0) -> bytes:
    """The acknowledgement of a delivery."""
    return _ACKNOWLEDGED.pack(17, DELIVER_SM_RESP, status, sequence, 0)


def read_deliver_sm(data: bytes, start: int, end: int) -> Delivered | Receipt | None:
    """The body of a deliver_sm: what a person wrote, or a report, or None for a report without a state.

    Raises Broken when it ends too early or its lengths do not add up.
    """
    find = data.index
    try:
        # Service type, schedule and validity are empty nearly always: then nothing is searched for.
        sender = start + 3 if not data[start] else find(b"\0", start, end) + 3
        sender_end = find(b"\0", sender, end)
        to_end = find(b"\0", sender_end + 3, end)
        if data[to_end + 4] or data[to_end + 5]:
            at = find(b"\0", find(b"\0", to_end + 4, end) + 1, end) + 6
        else:
            at = to_end + 11
        behind = at + data[at - 1]
    except (ValueError, IndexError):
        raise Broken from None
    if at > end or behind > end:
        raise Broken
    esm_class = data[to_end + 1]
    tlvs = _tlvs(data, behind, end) if behind < end else {}
    if esm_class & _REPORTS or receipts.RECEIPTED_MESSAGE_ID in tlvs:
        return receipts.parse(tlvs, data[at:behind])
    return Delivered(
        data[sender:sender_end].decode("latin-1"),
        data[sender_end + 3 : to_end].decode("latin-1"),
        esm_class,
        data[at - 3],
        data[at:behind],
        tlvs,
    )


def _tlvs(data: bytes, at: int, end: int) -> dict[int, bytes]:
    """Optional parameters by their own lengths; what is left when they do not add up is not one."""
    found: dict[int, bytes] = {}
    unpack = _TLV.unpack_from
    while at + 4 <= end:
        tag, length = unpack(data, at)
        at += 4 + length
        if at > end:
            break
        found[tag] = data[at - length : at]
    return found
