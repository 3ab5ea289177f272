"""What a phone sent, as carriers hand it over: headers, parts, senders, and who said the same before.

Nothing here raises on any octets: what cannot be understood is kept as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from server.notify.rules import charsets

REPEAT_SECONDS = 120
COUNTRY = "86"

_UDHI = 0x40
_SAR_REFERENCE, _SAR_TOTAL, _SAR_PART, _PAYLOAD = 0x020C, 0x020E, 0x020F, 0x0424
# References of the three ways to join parts never meet: each has numbers of its own.
_WIDE, _SAR = 1 << 16, 1 << 17
_ROOM = 20
_NOT_SHOWN = re.compile("[^\x21-\x7e]")
_DIGITS = re.compile("[0-9]+")
_MISSING = charsets.Decoded(charsets.UNREADABLE, damaged=True)


@dataclass(frozen=True, slots=True)
class InboundText:
    """One text, or one part of a longer one, as a gateway received it.

    `phone` and `to` are as the carrier writes numbers; `body` is without its header, in `charset`,
    else in what `data_coding` means. `reference`, `total` and `part` (from 1) join the parts of a
    text. `fill_bits` stand between a header and packed septets. `carrier_id` is the carrier's own
    name for it, where it has one that never changes.
    """

    gateway_id: int
    phone: str
    to: str
    body: bytes
    received_at: datetime
    data_coding: int = 0
    charset: str | None = None
    reference: int = 0
    total: int = 1
    part: int = 1
    fill_bits: int = 0
    carrier_id: str | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How a carrier writes: its alphabet for data_coding 0, its country, how long it may repeat itself."""

    alphabet: str = "gsm7"
    country: str = COUNTRY
    repeat_seconds: float = REPEAT_SECONDS


def habits(config: Mapping[str, Any]) -> Habits:
    """The habits in a gateway's configuration; what is absent or of no use is as usual."""
    alphabet, country = config.get("inbound_alphabet"), config.get("inbound_country", COUNTRY)
    seconds = config.get("repeat_seconds", REPEAT_SECONDS)
    return Habits(
        alphabet if alphabet in charsets.ALPHABETS else "gsm7",
        country if isinstance(country, str) and _DIGITS.fullmatch(country) else "",
        seconds if isinstance(seconds, int | float) and seconds >= 0 else REPEAT_SECONDS,
    )


def from_smpp(
    gateway_id: int,
    source: str,
    destination: str,
    esm_class: int,
    data_coding: int,
    short_message: bytes,
    tlvs: Mapping[int, bytes],
    received_at: datetime,
) -> InboundText:
    """The text in a deliver_sm or data_sm: its payload, and the header or parameters that join parts."""
    body = short_message or tlvs.get(_PAYLOAD, b"")
    joined, fill_bits = (0, 1, 1), 0
    if esm_class & _UDHI:
        whole = len(body)
        joined, body = read_header(body)
        fill_bits = -(whole - len(body)) * 8 % 7
    elif _SAR_TOTAL in tlvs:
        reference, total, part = (
            int.from_bytes(tlvs.get(tag, b"")[:2], "big")
            for tag in (_SAR_REFERENCE, _SAR_TOTAL, _SAR_PART)
        )
        joined = (_SAR | reference, total, part)
    named = sound(*joined)
    return InboundText(
        gateway_id, source, destination, body, received_at, data_coding, None, *named, fill_bits
    )


def read_header(body: bytes) -> tuple[tuple[int, int, int], bytes]:
    """The (reference, total, part) of a user data header, and the body behind it."""
    length = body[0] if body else 0
    header, rest = body[1 : 1 + length], body[1 + length :]
    joined = (0, 1, 1)
    while len(header) >= 2:
        element, size = header[0], header[1]
        value, header = header[2 : 2 + size], header[2 + size :]
        if element == 0x00 and len(value) == 3:
            joined = (value[0], value[1], value[2])
        elif element == 0x08 and len(value) == 4:
            joined = (_WIDE | value[0] << 8 | value[1], value[2], value[3])
    return sound(*joined), rest


def sound(reference: int, total: int, part: int) -> tuple[int, int, int]:
    """Numbers that cannot be of a joined text mean one that stands alone."""
    return (reference, total, part) if 1 < total <= 255 and 1 <= part <= total else (0, 1, 1)


def sounded(text: InboundText) -> InboundText:
    """The text itself, or as one that stands alone where its numbers cannot be of a joined one."""
    named = (text.reference, text.total, text.part)
    reference, total, part = sound(*named)
    if (reference, total, part) == named:
        return text
    return replace(text, reference=reference, total=total, part=part)


@lru_cache(maxsize=4096)
def sender(raw: str, country: str = COUNTRY) -> str:
    """A number as E.164 where it can be one; a name or a short number as it is, at most 20 characters."""
    text = _NOT_SHOWN.sub("", raw)
    digits = text.removeprefix("+")
    if not _DIGITS.fullmatch(digits):
        return text[:_ROOM]
    if text[0] == "+":
        return text[:_ROOM]
    if digits.startswith("00"):
        return f"+{digits[2:]}"[:_ROOM]
    if len(digits) < 8:
        return digits
    if country and digits.startswith(country) and len(digits) - len(country) >= 8:
        return f"+{digits}"[:_ROOM]
    return f"+{country}{digits.removeprefix('0') if country else digits}"[:_ROOM]


def fingerprint(text: InboundText) -> int:
    """What says that two texts without a carrier's id are the same: 63 bits over all that was received."""
    named = (text.gateway_id, text.phone, text.to, text.reference, text.total, text.part)
    octets = repr(named).encode("utf-8", "backslashreplace") + text.body
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big") >> 1


def readable(text: InboundText, alphabet: str) -> tuple[bytes, str]:
    """The octets of a part, unpacked where septets were packed, and the charset they are in."""
    charset = text.charset or charsets.of_coding(text.data_coding, alphabet)
    if charset not in charsets.KNOWN:
        charset = charsets.BINARY
    if charset == "gsm7-packed":
        return charsets.unpacked(text.body, text.fill_bits), "gsm7"
    return text.body, charset


def joined(parts: Mapping[int, tuple[bytes, str]], total: int) -> charsets.Decoded:
    """The text of (body, charset) by part; a missing part shows as U+FFFD and makes it damaged.

    Octets are joined before they are read, because some phones cut inside a character.
    """
    if len(parts) == total and len({charset for _, charset in parts.values()}) == 1:
        octets = b"".join(parts[number][0] for number in range(1, total + 1))
        return charsets.decode(octets, parts[1][1])
    read = [
        charsets.decode(*parts[number]) if number in parts else _MISSING
        for number in range(1, total + 1)
    ]
    return charsets.Decoded("".join(one.text for one in read), any(one.damaged for one in read))
