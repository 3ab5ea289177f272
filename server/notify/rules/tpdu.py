"""The units that go through a GSM modem in PDU mode (GSM 03.40): SUBMIT out, DELIVER and STATUS-REPORT in.

A modem hands units over as hexadecimal digits with the service centre's address before them. Whatever
comes in, `read` returns a value or raises `BadUnit`, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from server.errors import Invalid
from server.notify.rules.segments import Encoding

INTERNATIONAL, NATIONAL = 0x91, 0x81
_ALPHANUMERIC = 0x50
_DIGITS = "0123456789*#abc"
_GSM7, _UCS2 = 0x00, 0x08
_SUBMIT, _REPORT_WANTED, _VALIDITY, _HEADER = 0x01, 0x20, 0x10, 0x40
_KIND = 0x03
_DELIVER, _STATUS_REPORT = 0, 2


class BadUnit(Invalid):
    """Octets from a modem that are no unit we know."""


@dataclass(frozen=True)
class Deliver:
    """A text that arrived: `body` is octets, one septet an octet when it was packed.

    `header` is the whole user data header with its length, or empty; `packed` says that the text came
    in septets. `sent_at` is the centre's time stamp, None when it makes no sense.
    """

    sender: str
    coding: int
    header: bytes
    body: bytes
    packed: bool
    sent_at: datetime | None


@dataclass(frozen=True)
class Report:
    """What became of a text: `reference` is the modem's, 0 to 255; `status` as in GSM 03.40 9.2.3.15."""

    reference: int
    recipient: str
    sent_at: datetime | None
    done_at: datetime | None
    status: int


def submit(
    phone: str,
    encoding: Encoding,
    body: bytes,
    *,
    header: bytes = b"",
    validity: int | None = None,
    report: bool = True,
) -> bytes:
    """The SUBMIT of one segment; `body` is one septet an octet, or UTF-16. `validity` is seconds.

    The modem numbers it itself. A `report` is asked for unless told otherwise.
    """
    first = _SUBMIT | (_REPORT_WANTED if report else 0) | (_HEADER if header else 0)
    times = b""
    if validity is not None:
        first |= _VALIDITY
        times = bytes([relative_validity(validity)])
    coding = _GSM7 if encoding == "gsm7" else _UCS2
    count, data = _user_data(encoding, body, header)
    return (
        bytes([first, 0])
        + write_address(phone)
        + bytes([0, coding])
        + times
        + bytes([count])
        + data
    )


def _user_data(encoding: Encoding, body: bytes, header: bytes) -> tuple[int, bytes]:
    if encoding == "ucs2":
        return len(header + body), header + body
    places = -(-len(header) * 8 // 7)  # septets that the header takes, fill bits included
    return places + len(body), header + pack(body, places)[len(header) :]


def relative_validity(seconds: int) -> int:
    """The octet that says how long the centre shall try: the largest step that is not longer."""
    minutes = seconds // 60
    if minutes <= 720:
        return min(max(minutes // 5 - 1, 0), 143)
    if minutes <= 1440:
        return 143 + (minutes - 720) // 30
    if minutes <= 43_200:
        return 166 + minutes // 1440
    return min(192 + minutes // 10_080, 255)


def pack(septets: bytes, before: int = 0) -> bytes:
    """Septets in octets, the lowest bit first, behind room for `before` septets."""
    value = 0
    for place, septet in enumerate(septets, before):
        value |= septet << 7 * place
    return value.to_bytes((7 * (before + len(septets)) + 7) // 8, "little")


def unpack(octets: bytes, count: int, before: int = 0) -> bytes:
    """The septets `before` to `count` of packed octets, one an octet."""
    value = int.from_bytes(octets, "little")
    return bytes(value >> 7 * place & 0x7F for place in range(before, count))


def write_address(phone: str) -> bytes:
    """A number as an address: with a plus it is international."""
    digits = phone.lstrip("+")
    kind = INTERNATIONAL if phone.startswith("+") else NATIONAL
    filled = digits + "f" * (len(digits) % 2)
    halves = bytes.fromhex("".join(filled[at + 1] + filled[at] for at in range(0, len(filled), 2)))
    return bytes([len(digits), kind]) + halves


# --- what comes in ------------------------------------------------------------------------


def read(digits: str) -> Deliver | Report:
    """Read a unit as a modem hands it over, with the centre's address before it. Raises `BadUnit`."""
    try:
        octets = bytes.fromhex(digits)
        reader = _Reader(octets)
        reader.take(reader.take(1)[0])
        first = reader.take(1)[0]
        if first & _KIND == _DELIVER:
            return _deliver(reader, first)
        if first & _KIND == _STATUS_REPORT:
            return _report(reader)
    except (ValueError, IndexError) as problem:
        raise BadUnit("notify.bad_unit", f"The modem's unit cannot be read: {problem}.") from None
    raise BadUnit("notify.bad_unit", f"The modem's unit is of kind {first & _KIND}.")


class _Reader:
    """Takes octets from the front; too few are a ValueError."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        found = self._octets[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("it ends early")
        self._at += count
        return found

    def rest(self) -> bytes:
        return self._octets[self._at :]


def _deliver(reader: _Reader, first: int) -> Deliver:
    sender = _read_address(reader)
    coding = reader.take(2)[1]
    sent_at = _read_stamp(reader.take(7))
    count, data = reader.take(1)[0], reader.rest()
    packed = _is_packed(coding)
    size = -(-count * 7 // 8) if packed else count
    if len(data) < size:
        raise ValueError("its text ends early")
    data = data[:size]
    header = b""
    if first & _HEADER:
        header = data[: data[0] + 1]
    body = data[len(header) :]
    if packed:
        body = unpack(data, count, -(-len(header) * 8 // 7))
    return Deliver(sender, coding, header, body, packed, sent_at)


def _is_packed(coding: int) -> bool:
    """Whether a data coding scheme means septets (GSM 03.38): all but 8 bit data, UCS-2 and compressed."""
    group = coding >> 4
    if group < 8:
        return coding & 0x2C in (0x00, 0x0C)
    if group == 0xF:
        return not coding & 0x04
    return group != 0xE


def _report(reader: _Reader) -> Report:
    reference = reader.take(1)[0]
    recipient = _read_address(reader)
    sent_at, done_at = _read_stamp(reader.take(7)), _read_stamp(reader.take(7))
    return Report(reference, recipient, sent_at, done_at, reader.take(1)[0])


def _read_address(reader: _Reader) -> str:
    count, kind = reader.take(2)
    octets = reader.take((count + 1) // 2)
    if kind & 0x70 == _ALPHANUMERIC:
        return unpack(octets, count * 4 // 7).decode("latin-1")
    digits = ""
    for octet in octets:
        for half in (octet & 0x0F, octet >> 4):
            digits += _DIGITS[half] if half < len(_DIGITS) else ""
    return ("+" if kind & 0x70 == INTERNATIONAL & 0x70 else "") + digits[:count]


def _read_stamp(octets: bytes) -> datetime | None:
    """A service centre's time stamp in UTC; None when its digits are no time."""
    year, month, day, hour, minute, second = (
        (octet & 0x0F) * 10 + (octet >> 4) for octet in octets[:6]
    )
    quarters = (octets[6] & 0x07) * 10 + (octets[6] >> 4)
    offset = timedelta(minutes=15 * quarters) * (-1 if octets[6] & 0x08 else 1)
    try:
        at = datetime(2000 + year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return at.astimezone(UTC)


# --- what a report means ------------------------------------------------------------------


def report_state(status: int) -> str:
    """The state of a report in the words of `rules.receipts`.

    0x00–0x1f is done (1 and 2: forwarded or replaced, nobody knows more), 0x20–0x3f the centre still
    tries, 0x46 is its time passed, the rest has failed for good.
    """
    if status <= 0x02:
        return "delivered" if status == 0 else "accepted"
    if 0x20 <= status < 0x40:
        return "enroute"
    return {0x46: "expired", 0x48: "deleted"}.get(status, "undeliverable")


def carrier_id(reference: int, phone: str) -> str:
    """The name under which a modem's reference and the reports about it meet.

    References repeat after 256 texts and centres write numbers with and without the country, so the
    last digits of the recipient belong to the name.
    """
    digits = "".join(char for char in phone if char.isdigit())
    return f"{reference}/{digits[-8:]}"
