"""The alphabets of texts: GSM 03.38, UTF-16 and Latin-1, read, written and cut into parts.

Written from the standard and sharing nothing with the server, so that each proves the other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

GSM, LATIN, WIDE = 0, 3, 8
"""The data codings this centre writes."""

ENCODINGS = {"gsm7": GSM, "latin1": LATIN, "ucs2": WIDE}
_ROOM = {GSM: (160, 153), LATIN: (140, 134), WIDE: (140, 134)}
"""Octets as they travel: in a text of its own, and in a part beside a header of 6 octets."""

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\ufffdÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True))
_SEPTETS = {character: bytes([code]) for code, character in enumerate(_BASIC) if code != 0x1B}
_SEPTETS |= {character: bytes([0x1B, code]) for code, character in _ESCAPED.items()}


def read_text(octets: bytes, coding: int) -> str:
    """The characters of a text by its data coding: 8 is UTF-16, 3 Latin-1, the rest GSM 03.38."""
    if coding & 0x0C == 0x08:
        return octets.decode("utf-16-be", "replace")
    if coding == LATIN:
        return octets.decode("latin-1")
    out, escaped = [], False
    for septet in octets:
        if escaped:
            out.append(_ESCAPED.get(septet, _BASIC[septet & 0x7F]))
        elif septet != 0x1B:
            out.append(_BASIC[septet & 0x7F])
        escaped = septet == 0x1B and not escaped
    return "".join(out)


def coding_for(text: str) -> int:
    """The data coding a phone takes by itself: GSM 03.38 where it has every character."""
    return GSM if all(character in _SEPTETS for character in text) else WIDE


def write_text(text: str, coding: int) -> bytes:
    """The octets of a text. Raises ValueError for a character the alphabet does not have."""
    if coding == WIDE:
        return text.encode("utf-16-be")
    if coding == LATIN:
        return text.encode("latin-1")
    try:
        return b"".join(_SEPTETS[character] for character in text)
    except KeyError as missing:
        raise ValueError(f"GSM 03.38 has no {missing.args[0]!r}") from None


def cut(text: str, coding: int) -> list[bytes]:
    """The parts of a text, one when it fits; no character is cut in two."""
    whole = write_text(text, coding)
    alone, joined = _ROOM[coding]
    if len(whole) <= alone:
        return [whole]
    parts = [b""]
    for piece in _pieces(text):
        octets = write_text(piece, coding)
        if len(parts[-1]) + len(octets) > joined:
            parts.append(b"")
        parts[-1] += octets
    return parts


def _pieces(text: str) -> Iterator[str]:
    """Characters with the marks that belong to them."""
    piece = ""
    for character in text:
        mark = unicodedata.combining(character) or character in "\u200d\ufe0f"
        if piece and not mark and not piece.endswith("\u200d"):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece
