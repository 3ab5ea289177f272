"""The frames of the cradle link, as docs/serial.md describes them; bytes never raise.

::

    FB 1E | version | kind | session u32 | number u32 | length u32 | CRC-32 of these 16 | payload | CRC-32

Big-endian. The header has a CRC of its own, so that a damaged length is not waited for.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

MAGIC = b"\xfb\x1e"
VERSION = 1
MAX_PAYLOAD = 65_536
GZIP_FROM = 256

HELLO, ENROL, PUSH, PULL, BYE = 0x01, 0x02, 0x03, 0x04, 0x05
WELCOME, ANSWER, NAK = 0x81, 0x82, 0x15

_HEAD = struct.Struct(">2sBBIII")
_CRC = struct.Struct(">I")
_HEAD_SIZE = _HEAD.size + _CRC.size


@dataclass(frozen=True)
class Frame:
    """A whole frame whose two checksums are right."""

    kind: int
    session: int
    number: int
    payload: bytes

    def encode(self) -> bytes:
        """The frame as it goes over the line."""
        head = _HEAD.pack(MAGIC, VERSION, self.kind, self.session, self.number, len(self.payload))
        return b"".join(
            (head, _CRC.pack(zlib.crc32(head)), self.payload, _CRC.pack(zlib.crc32(self.payload)))
        )


@dataclass(frozen=True)
class Damaged:
    """A frame of which only the header came well: ``code`` says what is wrong with the rest."""

    session: int
    number: int
    code: str


class Reader:
    """Takes bytes as they arrive and gives the frames in them; holds at most one frame back."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.noise = 0

    @property
    def waiting(self) -> bool:
        """Whether the beginning of a frame waits for its end."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> list[Frame | Damaged]:
        """What is complete now, in order; bytes that are no frame are counted in ``noise``."""
        self._bytes += data
        complete: list[Frame | Damaged] = []
        while self._find_head():
            found = self._read_one()
            if found is None:
                break
            complete.append(found)
        return complete

    def forget(self) -> int:
        """Drop what was begun; returns the number of bytes."""
        count = len(self._bytes)
        self._drop(count)
        return count

    def _find_head(self) -> bool:
        """Go to the next header whose checksum is right; False when more bytes are needed."""
        while len(self._bytes) >= len(MAGIC):
            at = self._bytes.find(MAGIC)
            if at < 0:
                self._drop(len(self._bytes) - self._bytes.endswith(MAGIC[:1]))
                return False
            self._drop(at)
            if len(self._bytes) < _HEAD_SIZE:
                return False
            (crc,) = _CRC.unpack_from(self._bytes, _HEAD.size)
            if zlib.crc32(self._bytes[: _HEAD.size]) == crc:
                return True
            self._drop(1)
        return False

    def _read_one(self) -> Frame | Damaged | None:
        _, version, kind, session, number, length = _HEAD.unpack_from(self._bytes)
        if version != VERSION:
            return self._damaged(session, number, "frame.version")
        if length > MAX_PAYLOAD:
            return self._damaged(session, number, "frame.too_long")
        end = _HEAD_SIZE + length
        if len(self._bytes) < end + _CRC.size:
            return None
        payload = bytes(self._bytes[_HEAD_SIZE:end])
        (crc,) = _CRC.unpack_from(self._bytes, end)
        if zlib.crc32(payload) != crc:
            return self._damaged(session, number, "frame.crc")
        del self._bytes[: end + _CRC.size]
        return Frame(kind, session, number, payload)

    def _damaged(self, session: int, number: int, code: str) -> Damaged:
        """Pass over the header only: when bytes were lost, the next frame begins in what follows."""
        self._drop(_HEAD_SIZE)
        return Damaged(session, number, code)

    def _drop(self, count: int) -> None:
        self.noise += count
        del self._bytes[:count]


class BadPayload(Exception):
    """The payload of a frame is no JSON object."""


def pack(body: dict[str, Any]) -> bytes:
    """A JSON payload, gzip when that makes it smaller."""
    raw = orjson.dumps(body)
    return gzip.compress(raw, 6, mtime=0) if len(raw) >= GZIP_FROM else raw


def is_gzip(payload: bytes) -> bool:
    """Whether a payload is gzip; JSON never begins like that."""
    return payload.startswith(b"\x1f\x8b")


def unpack(payload: bytes, limit: int) -> dict[str, Any]:
    """The JSON object in a payload of at most ``limit`` bytes when inflated.

    Raises:
        BadPayload: for anything else.
    """
    try:
        if is_gzip(payload):
            inflater = zlib.decompressobj(wbits=31)
            payload = inflater.decompress(payload, limit)
            if not inflater.eof:
                raise BadPayload("the payload is cut off or too large")
        document = orjson.loads(payload)
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise BadPayload(str(error)) from None
    if not isinstance(document, dict):
        raise BadPayload("the payload must be a JSON object")
    return document
