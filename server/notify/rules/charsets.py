"""Octets of a text that a phone sent, as characters: whatever comes in, a text comes out.

What cannot be read becomes U+FFFD and the text is called damaged, so that a person sees it and no
command is ever taken from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.notify.rules.segments import ESCAPE, GSM_BASIC, GSM_EXTENSION

UNREADABLE = "\ufffd"
# What a carrier may be configured to mean by data_coding 0.
ALPHABETS = ("gsm7", "gsm7-packed", "ascii", "latin-1", "utf-8", "gbk", "utf-16-be", "utf-16-le")
BINARY = "binary"

KNOWN = frozenset({*ALPHABETS, "shift_jis", "iso8859-5", "iso8859-8", "iso2022_jp", "euc_kr"})
# SMPP's data_coding; 15 is GBK by the custom of Chinese carriers.
_CODINGS = {
    1: "ascii",
    2: BINARY,
    3: "latin-1",
    4: BINARY,
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: "utf-16-be",
    10: "iso2022_jp",
    14: "euc_kr",
    15: "gbk",
}
_GSM_GENERAL = ("gsm7", BINARY, "utf-16-be", BINARY)

# A character for each octet; above 0x7f there is none.
_GSM_TABLE = GSM_BASIC + UNREADABLE * 128
_ESCAPED = re.compile("\x1b+(.)?", re.DOTALL)
_EXTENSION = {chr(code): char for char, code in GSM_EXTENSION.items()}
# Controls but tab and line breaks, and halves of pairs: neither database nor page can take them.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Decoded:
    """A text, and whether some of its octets could not be read."""

    text: str
    damaged: bool = False


def of_coding(data_coding: int, alphabet: str = "gsm7") -> str:
    """The charset that a data_coding means; `alphabet` is the carrier's own for 0."""
    if data_coding == 0:
        return alphabet
    if data_coding in _CODINGS:
        return _CODINGS[data_coding]
    group = data_coding & 0xF0
    if group in (0x10, 0x30):  # GSM's general group with a class: bits 3 and 2 tell
        return _GSM_GENERAL[data_coding >> 2 & 3]
    if group == 0xF0:
        return BINARY if data_coding & 4 else "gsm7"
    return {0xC0: "gsm7", 0xD0: "gsm7", 0xE0: "utf-16-be"}.get(group, BINARY)


def decode(octets: bytes, charset: str) -> Decoded:
    """Read `octets`; an unknown charset is read as binary, which is always damaged. Never raises."""
    if charset == "gsm7":
        text = _gsm7(octets)
    elif charset == "gsm7-packed":
        text = _gsm7(unpacked(octets))
    elif charset in ("utf-16-be", "utf-16-le"):
        text = _utf16(octets, charset)
    elif charset in KNOWN:
        text = octets.decode(charset, "replace")
    else:
        return Decoded(_UNWRITABLE.sub(UNREADABLE, octets.decode("latin-1")), damaged=True)
    clean = _UNWRITABLE.sub(UNREADABLE, text.replace("\f", "\n"))
    return Decoded(clean, UNREADABLE in clean)


def unpack_septets(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """Packed septets as one an octet: at most `count` of them, behind `fill_bits` of padding."""
    bits = int.from_bytes(octets, "little") >> fill_bits
    held = max(len(octets) * 8 - fill_bits, 0) // 7
    return bytes(bits >> 7 * at & 0x7F for at in range(min(count, held)))


def unpacked(octets: bytes, fill_bits: int = 0) -> bytes:
    """All septets of packed octets; seven bits left over behind a last one are padding, not one more."""
    bits = len(octets) * 8 - fill_bits
    septets = unpack_septets(octets, max(bits, 0) // 7, fill_bits)
    padded = bits % 7 == 0 and septets[-1:] in (b"\x00", b"\r")
    return septets[:-1] if padded else septets


def _gsm7(octets: bytes) -> str:
    chars = octets.decode("latin-1")
    if ESCAPE not in octets:
        return chars.translate(_GSM_TABLE)
    pieces: list[str] = []
    at = 0
    for found in _ESCAPED.finditer(chars):
        pieces.append(chars[at : found.start()].translate(_GSM_TABLE))
        escaped = found[1] or ""
        pieces.append(_EXTENSION.get(escaped) or escaped.translate(_GSM_TABLE))
        at = found.end()
    return "".join([*pieces, chars[at:].translate(_GSM_TABLE)])


def _utf16(octets: bytes, charset: str) -> str:
    mark = octets[:2]
    if mark in (b"\xfe\xff", b"\xff\xfe"):
        octets, charset = octets[2:], "utf-16-be" if mark == b"\xfe\xff" else "utf-16-le"
    return octets.decode(charset, "replace")
