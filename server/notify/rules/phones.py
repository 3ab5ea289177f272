"""Phone numbers as notices keep them: E.164 with the plus."""

from __future__ import annotations

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_phone(text: str) -> bool:
    """Whether `text` is a number a gateway can be given."""
    return _E164.fullmatch(text) is not None


def masked(phone: str) -> str:
    """The number as it may stand in a log: its beginning and its last two digits."""
    if len(phone) < 8:
        return "•" * len(phone)
    return f"{phone[:5]}{'•' * (len(phone) - 7)}{phone[-2:]}"
