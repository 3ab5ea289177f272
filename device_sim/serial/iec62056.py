"""IEC 62056-21: what a meter sends over its optical port, read from bytes; no port in here.

Bytes raise ``BadReadoutError`` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import xor

STX, ETX, ACK, NAK = b"\x02", b"\x03", b"\x06", b"\x15"
SIGN_ON_BAUD = 300
# The letter Z of mode C, which both sides switch to after the acknowledgement.
BAUDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
LONGEST_BLOCK = 32_768

_IDENTIFICATION = re.compile(
    rb"/(?P<maker>[A-Za-z]{3})(?P<baud>[0-9A-I])(?P<ident>[\x20-\x7e]{0,40}?)\r?\n"
)
_DATA_SET = re.compile(r"(?P<address>[^()\r\n/!]{0,40})\((?P<value>[^()\r\n]{0,128})\)")
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,8})?\Z")
# A-B:C.D.E*F, of which only C.D.E must be there; F other than 255 is a value of an earlier month.
_OBIS = re.compile(
    r"(?:(?P<a>\d{1,3})-(?P<b>\d{1,3}):)?(?P<code>[0-9A-Z]{1,3}\.\d{1,3}(?:\.\d{1,3})?)"
    r"(?:[*&](?P<stored>\d{1,3}))?\Z"
)

ENERGY = {"Wh": Decimal("0.001"), "kWh": Decimal(1), "MWh": Decimal(1000), "": Decimal(1)}
REACTIVE = {"varh": Decimal("0.001"), "kvarh": Decimal(1), "Mvarh": Decimal(1000), "": Decimal(1)}
# Imported active energy in total and by tariff, imported reactive energy.
REGISTERS = {
    "1.8.0": ("total", ENERGY),
    "1.8.1": ("sharp", ENERGY),
    "1.8.2": ("peak", ENERGY),
    "1.8.3": ("flat", ENERGY),
    "1.8.4": ("valley", ENERGY),
    "3.8.0": ("reactive", REACTIVE),
}
SERIALS = ("C.1.0", "96.1.0", "0.0.0", "C.1", "0.0")
_LONG = {"1.8": "1.8.0", "3.8": "3.8.0"}


class BadReadoutError(Exception):
    """Bytes that are not what a meter of this standard sends; ``code`` says in which way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Identification:
    """What a meter answers to the sign-on: maker, baud letter, its own words."""

    maker: str
    letter: str
    ident: str

    @property
    def baud(self) -> int:
        """The speed it offers. Raises ``BadReadoutError`` when it does not speak mode C."""
        if self.letter not in BAUDS:
            raise BadReadoutError(
                "probe.not_mode_c", f"the meter offers no speed of mode C: {self.letter}"
            )
        return BAUDS[self.letter]

    @property
    def reaction_s(self) -> float:
        """How long each side waits at least before it answers: 20 ms when the third letter is small."""
        return 0.02 if self.maker[2].islower() else 0.2


@dataclass(frozen=True)
class DataSet:
    """One value with its address and unit, as text."""

    address: str
    value: str
    unit: str


@dataclass(frozen=True)
class Readout:
    """A whole data block with the identification that came before it."""

    identification: Identification
    data: tuple[DataSet, ...]

    @property
    def serial(self) -> str | None:
        """The meter's own number, None when it tells none."""
        for wanted in SERIALS:
            for one in self.data:
                match = _OBIS.match(one.address)
                if match and match["code"] == wanted and one.value.strip():
                    return one.value.strip()
        return None

    def registers(self) -> dict[str, Decimal]:
        """The present values by kind of register, in kWh and kvarh; values of past months are left out.

        Raises ``BadReadoutError`` for a register whose value or unit cannot be read.
        """
        found: dict[str, Decimal] = {}
        for one in self.data:
            match = _OBIS.match(one.address)
            if not match or match["stored"] not in (None, "255"):
                continue
            code = _LONG.get(match["code"], match["code"])
            if code in REGISTERS:
                kind, units = REGISTERS[code]
                found.setdefault(kind, _quantity(one, units))
        return found


def _quantity(one: DataSet, units: dict[str, Decimal]) -> Decimal:
    by_name = {name.lower(): factor for name, factor in units.items()}
    number = one.value.strip()
    # mWh would be a thousandth: only the capital M of a million is told apart by its case.
    factor = None if one.unit.startswith("m") else by_name.get(one.unit.lower())
    if factor is None or not _NUMBER.match(number):
        raise BadReadoutError("probe.bad_value", f"{one.address}({one.value}*{one.unit})")
    return Decimal(number) * factor


def seven_bits(data: bytes) -> bytes:
    """Bytes without their parity bit, for ports that deliver eight."""
    return bytes(byte & 0x7F for byte in data)


def with_parity(data: bytes) -> bytes:
    """Seven-bit bytes with the even parity bit that a port of eight bits does not add."""
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)


def checksum(data: Iterable[int]) -> int:
    """The block check character: all bytes after STX up to and with ETX, exclusive-ored."""
    return reduce(xor, data, 0)


def sign_on(address: str = "") -> bytes:
    """The request message; an address (up to 32 characters) calls one of several meters.

    Raises ``ValueError`` for an address that cannot be sent.
    """
    if len(address) > 32 or not all(c.isascii() and (c.isalnum() or c == " ") for c in address):
        raise ValueError(f"not an address: {address!r}")
    return b"/?" + address.encode() + b"!\r\n"


def acknowledgement(letter: str) -> bytes:
    """Agree to a speed and ask for the data readout."""
    return ACK + f"0{letter}0\r\n".encode()


def without_echo(received: bytes, sent: bytes) -> bytes:
    """What was received without what the head echoed of what was sent, in whole or so far."""
    if received.startswith(sent):
        return received[len(sent) :]
    return b"" if received and sent.startswith(received) else received


def find_identification(received: bytes) -> Identification | None:
    """The identification in what has arrived; None when it is not complete yet.

    Raises ``BadReadoutError`` when far too much has arrived.
    """
    match = _IDENTIFICATION.search(received)
    if match:
        return Identification(
            match["maker"].decode(), match["baud"].decode(), match["ident"].decode()
        )
    if len(received) > 500:
        raise BadReadoutError("probe.not_a_meter", f"no identification in {received[:60]!r}")
    return None


def find_block(received: bytes) -> bytes | None:
    """The content of the data block (between STX and ETX); None when it is not complete yet.

    Raises ``BadReadoutError``: ``probe.bcc`` when the block check does not agree, ``probe.too_long``.
    """
    start = received.find(STX)
    end = received.find(ETX, start + 1) if start >= 0 else -1
    if end < 0 or len(received) < end + 2:
        if len(received) > LONGEST_BLOCK:
            raise BadReadoutError("probe.too_long", f"more than {LONGEST_BLOCK} bytes and no end")
        return None
    if checksum(received[start + 1 : end + 1]) != received[end + 1]:
        raise BadReadoutError("probe.bcc", "the block was damaged on the way")
    return received[start + 1 : end]


def read_block(block: bytes) -> tuple[DataSet, ...]:
    """The data sets of a block. Raises ``BadReadoutError`` ``probe.bad_block`` for anything else."""
    try:
        text = block.decode("ascii")
    except UnicodeDecodeError:
        raise BadReadoutError("probe.bad_block", f"not ASCII: {block[:60]!r}") from None
    data: list[DataSet] = []
    lines, end, rest = text.partition("!")
    if not end or rest.strip("\r\n"):
        raise BadReadoutError("probe.bad_block", "the block does not end with !")
    for line in lines.splitlines():
        data += _data_sets(line.strip())
    return tuple(data)


def _data_sets(line: str) -> Iterable[DataSet]:
    """The data sets of one line; values after the first belong to the same address (times, mostly)."""
    at, address = 0, ""
    while at < len(line):
        match = _DATA_SET.match(line, at)
        if match is None:
            raise BadReadoutError("probe.bad_block", f"not a data set: {line[at : at + 60]!r}")
        address = match["address"].strip() or address
        value, _, unit = match["value"].partition("*")
        yield DataSet(address, value, unit.strip())
        at = match.end()
