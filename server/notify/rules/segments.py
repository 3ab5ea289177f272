"""How a text becomes segments: the alphabet, the count, the cuts and the concatenation header.

A *segment* is what a carrier transports, charges and reports on. Texts that fit GSM 03.38 hold 160
septets alone and 153 each when joined; all others travel as UTF-16 with 70 and 67 code units. The
console's counter, the queue and the gateways all use this module, so that they always agree.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from server.errors import Invalid

Encoding = Literal["gsm7", "ucs2"]

ESCAPE = 0x1B
MAX_SEGMENTS = 10  # what we let a text cost
MOST_PARTS = 255  # what the concatenation header can count

# The position in the string is the septet; \x1b holds the place of the escape and is never a character.
GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}

_SEPTETS: dict[str, bytes] = {
    **{char: bytes([code]) for code, char in enumerate(GSM_BASIC) if code != ESCAPE},
    **{char: bytes([ESCAPE, code]) for char, code in GSM_EXTENSION.items()},
}
_ALPHABET = frozenset(_SEPTETS)
# The same for whole texts at once: characters to septets, written as characters of Latin-1.
_TRANSLATION = str.maketrans({char: code.decode("latin-1") for char, code in _SEPTETS.items()})
# Units of user data left in 140 octets: alone, and beside a header with an 8 or a 16 bit reference.
_ROOM: dict[Encoding, dict[int, int]] = {
    "gsm7": {0: 160, 8: 153, 16: 152},
    "ucs2": {0: 70, 8: 67, 16: 66},
}


@dataclass(frozen=True)
class Split:
    """A text cut into segments.

    `units` is the length of the whole text in septets (gsm7) or UTF-16 code units (ucs2).
    """

    encoding: Encoding
    units: int
    parts: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of segments, which is what a carrier charges for."""
        return len(self.parts)


def is_gsm7(text: str) -> bool:
    """Whether every character of `text` exists in GSM 03.38 or its extension table."""
    return _ALPHABET.issuperset(text)


def encode(text: str, encoding: Encoding) -> bytes:
    """The octets of `text` for a short message: one septet an octet, or UTF-16 big-endian.

    Raises ValueError for a character outside GSM 03.38 when `encoding` is gsm7.
    """
    if encoding == "gsm7":
        if not is_gsm7(text):
            raise ValueError("the text holds a character outside GSM 03.38")
        return text.translate(_TRANSLATION).encode("latin-1")
    return text.encode("utf-16-be", "surrogatepass")


def split(text: str, *, reference_bits: int = 8, maximum: int = MAX_SEGMENTS) -> Split:
    """Cut `text` into as few segments as its alphabet allows, never inside a character.

    `reference_bits` (8 or 16) is the size of the concatenation reference; 16 costs one unit each.
    Raises Invalid `notify.text_too_long` above `maximum` segments.
    """
    encoding: Encoding = "gsm7" if is_gsm7(text) else "ucs2"
    size = _septets if encoding == "gsm7" else _code_units
    units = size(text)
    room = _ROOM[encoding]
    if units <= room[0]:
        return Split(encoding, units, (text,))
    parts = tuple(_fill(text, room[reference_bits], size))
    if len(parts) > maximum:
        raise Invalid(
            "notify.text_too_long",
            f"The text needs {len(parts)} segments and at most {maximum} are allowed.",
            {"segments": len(parts), "maximum": maximum},
        )
    return Split(encoding, units, parts)


def count(text: str) -> int:
    """How many segments `text` costs with 8 bit references, without a maximum."""
    return split(text, maximum=1_000_000).count


def room(split: Split, *, reference_bits: int = 8) -> int:
    """How many units fit into as many segments as `split` has."""
    alone = split.count == 1
    return _ROOM[split.encoding][0 if alone else reference_bits] * split.count


def header(reference: int, total: int, part: int, *, bits: int = 8) -> bytes:
    """The user data header that joins part `part` (from 1) of `total` under `reference`."""
    if bits == 16:
        return bytes([6, 8, 4, reference >> 8 & 0xFF, reference & 0xFF, total, part])
    return bytes([5, 0, 3, reference & 0xFF, total, part])


def _septets(text: str) -> int:
    return len(text.translate(_TRANSLATION))


def _code_units(text: str) -> int:
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def _fill(text: str, room: int, size: Callable[[str], int]) -> Iterator[str]:
    """Put whole graphemes into parts of `room` units; a grapheme larger than a part is cut between characters."""
    part, used = "", 0
    for cluster in _graphemes(text):
        pieces = [cluster] if size(cluster) <= room else list(cluster)
        for piece in pieces:
            cost = size(piece)
            if used + cost > room:
                yield part
                part, used = "", 0
            part, used = part + piece, used + cost
    yield part


def _graphemes(text: str) -> Iterator[str]:
    """What a reader sees as one character, near enough for cutting: marks, joiners, flags and skin tones stay."""
    cluster, flags = "", 0
    for char in text:
        flag = "\U0001f1e6" <= char <= "\U0001f1ff"
        joined = _extends(char) or cluster[-1:] == "\u200d" or (flag and flags % 2 == 1)
        if cluster and not joined and cluster + char != "\r\n":
            yield cluster
            cluster, flags = "", 0
        cluster += char
        flags = flags + 1 if flag else 0
    if cluster:
        yield cluster


def _extends(char: str) -> bool:
    return (
        char == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char) in ("Mn", "Mc", "Me")
    )
