"""Cutting a stream of bytes into the lines that GPS receivers and scanners send."""

from __future__ import annotations

import re

_ENDS = re.compile(rb"[\r\n]+")


class LineCutter:
    """Gives whole lines without their ends (CR, LF or both); one longer than ``longest`` is dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._held = b""
        self._dropping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete with these bytes; empty ones are left out."""
        *whole, self._held = _ENDS.split(self._held + data)
        if whole and self._dropping:
            whole, self._dropping = whole[1:], False
        if len(self._held) > self._longest:
            self._held, self._dropping = b"", True
        return [line for line in whole if 0 < len(line) <= self._longest]

    def rest(self) -> bytes:
        """What was begun and not ended, for devices that end their lines by falling silent."""
        rest, self._held = self._held, b""
        return b"" if self._dropping else rest
