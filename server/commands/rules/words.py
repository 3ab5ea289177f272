"""A text as words: one explicit table of what counts as the same character.

Nothing is folded that is not named here. Compatibility forms of Unicode would turn `5²` into 52, and
what a person did not write must never be carried out.
"""

from __future__ import annotations

import re

# Full-width ASCII as its half-width twin, and the blanks of other scripts as a blank.
_FOLDED = {0xFEE0 + code: chr(code) for code in range(0x21, 0x7F)}
_BLANKS = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t\r\n"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_SEPARATORS = ",;:。、，；：｡､"
_TABLE = str.maketrans(
    {
        **_FOLDED,
        **dict.fromkeys(map(ord, _BLANKS), " "),
        **dict.fromkeys(map(ord, _SEPARATORS), " "),
        **dict.fromkeys(map(ord, _INVISIBLE), None),
    }
)
_SMALL = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})
_END = re.compile("[.!]+$")


def words(text: str) -> tuple[str, ...]:
    """The words of a text: widths folded, separators and blanks between them, no full stop at the end."""
    return tuple(_END.sub("", text.translate(_TABLE)).split())


def word(text: str) -> str:
    """A word as keywords are compared: Latin letters large, everything else as it is."""
    return text.translate(_TABLE).translate(_SMALL)
