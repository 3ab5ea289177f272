"""Octets to PDUs and back, by smpplib's PDU classes, with its known faults kept out.

The frequent ones go through `fast`.
Framing, optional parameters and lengths are read here: smpplib raises on optional parameters it does
not know, ignores the lengths of those it knows, cuts the last character of an id without its NUL and
silently shortens addresses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smpplib import command as smpp_command
from smpplib import command_codes, consts, exceptions

HEADER = struct.Struct(">LLLL")
MIN_LENGTH = 16
MAX_LENGTH = 64 * 1024

ESME_ROK: int = consts.SMPP_ESME_ROK
ESME_RINVCMDLEN: int = consts.SMPP_ESME_RINVCMDLEN
ESME_RINVCMDID: int = consts.SMPP_ESME_RINVCMDID
ESME_RX_T_APPN: int = consts.SMPP_ESME_RX_T_APPN
ESME_RX_R_APPN: int = consts.SMPP_ESME_RX_R_APPN
ESME_RINVDSTADR: int = consts.SMPP_ESME_RINVDSTADR

_ESM_UDHI = 0x40
_ESM_REPORTS = 0x3C
_ADDRESS_ROOM = 20


def _with_long_password(base: Any) -> Any:
    """A bind whose password may be longer than the standard's eight characters, as carriers' often are."""
    params = {**base.params, "password": smpp_command.Param(type=str, max=65)}
    return type(base.__name__, (base,), {"params": params})


_BINDS = {
    "bind_transceiver": _with_long_password(smpp_command.BindTransceiver),
    "bind_transmitter": _with_long_password(smpp_command.BindTransmitter),
    "bind_receiver": _with_long_password(smpp_command.BindReceiver),
}


class BadFrame(Exception):
    """The stream cannot be cut into PDUs any more; the connection has to be closed."""


class BadPdu(Exception):
    """One PDU cannot be read; `status` is the command status that says so."""

    def __init__(self, status: int, sequence: int, command: str | None) -> None:
        super().__init__(f"unreadable PDU, status 0x{status:02x}")
        self.status = status
        self.sequence = sequence
        self.command = command


@dataclass(frozen=True)
class Pdu:
    """One PDU as read: header, the fields a session needs, and optional parameters by tag."""

    command: str
    status: int
    sequence: int
    message_id: str = ""
    source: str = ""
    destination: str = ""
    esm_class: int = 0
    data_coding: int = 0
    body: bytes = b""
    tlvs: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def is_report(self) -> bool:
        """Whether a deliver_sm or data_sm carries a delivery report rather than a person's text."""
        return bool(self.esm_class & _ESM_REPORTS) or 0x001E in self.tlvs


def frames(buffer: bytearray) -> Iterator[bytes]:
    """Take every whole PDU off the front of `buffer`; an incomplete one stays for the next octets.

    Raises BadFrame when a length is below 16 or above 64 KiB.
    """
    while len(buffer) >= 4:
        length = int.from_bytes(buffer[:4], "big")
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            raise BadFrame(f"a PDU claims {length} octets")
        if len(buffer) < length:
            return
        frame = bytes(buffer[:length])
        del buffer[:length]
        yield frame


def decode(frame: bytes) -> Pdu:
    """Read one whole PDU. Raises BadPdu for an unknown command or an unreadable body."""
    _, code, status, sequence = HEADER.unpack_from(frame)
    try:
        name: str = command_codes.get_command_name(code)
        parsed: Any = smpp_command.factory(name, sequence=sequence, client=None)
    except exceptions.UnknownCommandError:
        raise BadPdu(ESME_RINVCMDID, sequence, None) from None
    tlvs: dict[int, bytes] = {}
    parsed.parse_optional_params = lambda data: tlvs.update(_tlvs(data))
    try:
        if len(frame) > MIN_LENGTH:
            # The added NUL ends a last string that lacks its own; as an optional parameter it is too short to be one.
            parsed.parse_params(frame[MIN_LENGTH:] + b"\0")
    except (struct.error, ValueError, TypeError, IndexError):
        raise BadPdu(ESME_RINVCMDLEN, sequence, name) from None
    body = _octets(parsed, "short_message")
    if len(body) != (getattr(parsed, "sm_length", 0) or 0):
        raise BadPdu(ESME_RINVCMDLEN, sequence, name)
    return Pdu(
        command=name,
        status=status,
        sequence=sequence,
        message_id=_text(parsed, "message_id"),
        source=_text(parsed, "source_addr"),
        destination=_text(parsed, "destination_addr"),
        esm_class=getattr(parsed, "esm_class", 0) or 0,
        data_coding=getattr(parsed, "data_coding", 0) or 0,
        body=body,
        tlvs=tlvs,
    )


def encode(name: str, sequence: int, *, status: int = ESME_ROK, **fields: Any) -> bytes:
    """Write one PDU; `fields` are smpplib's names.

    Raises ValueError for an address of more than 20 characters, which smpplib would cut in silence.
    """
    for key in ("source_addr", "destination_addr"):
        if len(fields.get(key) or "") > _ADDRESS_ROOM:
            raise ValueError(f"{key} is longer than {_ADDRESS_ROOM} characters")
    make: Any = _BINDS.get(name, smpp_command.factory)
    pdu: Any = make(name, sequence=sequence, status=status, client=None, **fields)
    pdu.sequence = sequence
    octets: bytes = pdu.generate()
    return octets


def esm_class(*, header: bool) -> int:
    """The esm_class of a submission, with or without a user data header in its body."""
    return _ESM_UDHI if header else 0


def _tlvs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Optional parameters by their own lengths; what is left when they do not add up is not one."""
    at = 0
    while at + 4 <= len(data):
        tag, length = struct.unpack_from(">HH", data, at)
        value = data[at + 4 : at + 4 + length]
        if len(value) < length:
            return
        yield tag, value
        at += 4 + length


def _octets(parsed: Any, name: str) -> bytes:
    value = getattr(parsed, name, None)
    return value if isinstance(value, bytes) else b""


def _text(parsed: Any, name: str) -> str:
    return _octets(parsed, name).rstrip(b"\0").decode("latin-1")
