"""The units a modem passes on, GSM 03.40: what it is given to send, and what it hands over.

Written from the standard and sharing nothing with the server, so that each proves the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from device_sim.smsc.alphabet import GSM, WIDE, read_text, write_text

SUBMIT = 1
"""The kind in the lowest two bits of a unit that goes out."""

_INTERNATIONAL, _UNKNOWN, _WORDS = 0x91, 0x81, 0xD0
_DIGITS = "0123456789*#abc"
_OCTET_BITS, _SEPTET_BITS = 8, 7


class BadUnitError(ValueError):
    """What was given to send is no SMS-SUBMIT."""


@dataclass(frozen=True)
class Submit:
    """A text as it was given to send; ``header`` is the user data header without its length."""

    to: str
    text: str
    coding: int
    header: bytes
    wants_report: bool
    validity: int | None

    @property
    def join(self) -> tuple[int, int, int] | None:
        """Reference, total and number of a part of a long text."""
        return joined(self.header)


def joined(header: bytes) -> tuple[int, int, int] | None:
    """What a user data header says about joining: an 8 or 16 bit reference, total, part."""
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == 0 and size == 3:
            return value[0], value[1], value[2]
        if kind == 8 and size == 4:
            return value[0] << 8 | value[1], value[2], value[3]
        at += 2 + size
    return None


# --- octets, septets and half octets ------------------------------------------------------


def pack(septets: bytes, before: int = 0) -> bytes:
    """Septets in octets, lowest bit first; ``before`` septet places are left for a header."""
    value, bits = 0, before * _SEPTET_BITS
    for septet in septets:
        value |= septet << bits
        bits += _SEPTET_BITS
    size = -(-bits // _OCTET_BITS)
    return value.to_bytes(size, "little")


def unpack(octets: bytes, count: int, before: int = 0) -> bytes:
    """``count`` septets, header places included, without the ``before`` first."""
    value = int.from_bytes(octets, "little")
    return bytes(value >> place * _SEPTET_BITS & 0x7F for place in range(before, count))


def swapped(digits: str) -> bytes:
    """Digits two in an octet, the first in its low half; an odd one gets a filler."""
    whole = digits + ("" if len(digits) % 2 == 0 else "f")
    return bytes(_half(whole[at + 1]) << 4 | _half(whole[at]) for at in range(0, len(whole), 2))


def _half(digit: str) -> int:
    return 0x0F if digit == "f" else _DIGITS.index(digit)


def address(number: str) -> bytes:
    """A number or a name as an address: length, type and digits."""
    if number.lstrip("+").isdigit():
        digits = number.lstrip("+")
        kind = _INTERNATIONAL if number.startswith("+") else _UNKNOWN
        return bytes([len(digits), kind]) + swapped(digits)
    packed = pack(write_text(number, GSM))
    return bytes([len(packed) * 2, _WORDS]) + packed


def _read_address(unit: bytes, at: int) -> tuple[str, int]:
    count, kind = unit[at], unit[at + 1]
    end = at + 2 + (count + 1) // 2
    halves = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in unit[at + 2 : end])[:count]
    return ("+" if kind == _INTERNATIONAL else "") + halves, end


def stamp(at: datetime) -> bytes:
    """A time with its zone in quarters of an hour, as the centre writes it."""
    offset = at.utcoffset() or timedelta()
    quarters = abs(int(offset.total_seconds() // 900))
    zone = swapped(f"{quarters:02d}")[0] | (0x08 if offset < timedelta() else 0)
    return swapped(at.strftime("%y%m%d%H%M%S")) + bytes([zone])


# --- units ---------------------------------------------------------------------------------


def read_submit(unit: bytes) -> Submit:
    """What is to be sent. Raises ``BadUnitError`` when it is no SMS-SUBMIT or is cut short."""
    try:
        return _read_submit(unit)
    except (IndexError, ValueError) as error:
        raise BadUnitError(str(error) or "cut short") from error


def _read_submit(unit: bytes) -> Submit:
    first = unit[0]
    if first & 3 != SUBMIT:
        raise ValueError("not an SMS-SUBMIT")
    to, at = _read_address(unit, 2)
    coding = unit[at + 1]
    at += 2
    validity = None
    if first >> 3 & 3 == 2:
        validity, at = unit[at], at + 1
    elif first >> 3 & 3:
        at += 7
    count, data = unit[at], unit[at + 1 :]
    wide = coding & 0x0C == WIDE
    if len(data) != (count if coding & 0x0C else -(-count * 7 // 8)):
        raise ValueError(f"{len(data)} octets of user data, {count} announced")
    header = data[1 : data[0] + 1] if first & 0x40 else b""
    skipped = data[0] + 1 if first & 0x40 else 0
    body = data[skipped:] if wide else unpack(data, count, -(-skipped * 8 // 7))
    return Submit(to, read_text(body, coding), coding, header, bool(first & 0x20), validity)


def deliver(sender: str, body: bytes, coding: int, at: datetime, header: bytes = b"") -> bytes:
    """An SMS-DELIVER; ``body`` is septets one an octet, or octets of UTF-16, ``header`` with its length."""
    first = 0x04 | (0x40 if header else 0)
    if coding & 0x0C == WIDE:
        count, data = len(header + body), header + body
    else:
        before = -(-len(header) * 8 // 7)
        packed = pack(body, before)
        count, data = before + len(body), header + packed[len(header) :]
    return bytes([first]) + address(sender) + bytes([0, coding]) + stamp(at) + bytes([count]) + data


def status_report(reference: int, to: str, sent: datetime, done: datetime, status: int) -> bytes:
    """An SMS-STATUS-REPORT about the text with this 8 bit reference; ``status`` 0 is delivered."""
    return bytes([0x06, reference]) + address(to) + stamp(sent) + stamp(done) + bytes([status])


def with_centre(unit: bytes, centre: str) -> str:
    """A unit as a modem hands it over: the centre's number before it, in hexadecimal digits."""
    number = swapped(centre.lstrip("+"))
    return (bytes([len(number) + 1, _INTERNATIONAL]) + number + unit).hex().upper()


CHINA = timezone(timedelta(hours=8))
"""The zone in which this centre writes times."""
