"""The frames of the cradle link, as docs/serial.md describes them: a codec that never trips over bytes.

::

    FB 1E | version | kind | session u32 | number u32 | length u32 | CRC-32 of these 16 | payload | CRC-32

Big-endian; the last CRC-32 is the payload's. The header has a CRC of its own, so that a length is
believed before its bytes have come.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from device_sim.protocol import Json

MAGIC = b"\xfb\x1e"
VERSION = 1
MAX_PAYLOAD = 65_536
MAX_INFLATED = 8 * 1024 * 1024
GZIP_FROM_BYTES = 256
_HEADER = struct.Struct(">2sBBIII")
_CRC = struct.Struct(">I")
HEAD_BYTES = _HEADER.size + _CRC.size
SHELL_BYTES = HEAD_BYTES + _CRC.size


class Kind(IntEnum):
    """What a frame is; the ones above 0x80 come from the server."""

    HELLO = 0x01
    ENROL = 0x02
    PUSH = 0x03
    PULL = 0x04
    BYE = 0x05
    WELCOME = 0x81
    ANSWER = 0x82
    NAK = 0x15


class BadPayloadError(Exception):
    """The payload of a whole frame is no JSON object."""


@dataclass(frozen=True)
class Frame:
    """One frame; ``session`` and ``number`` tie an answer to its request."""

    kind: int
    session: int
    number: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the line."""
        head = _HEADER.pack(MAGIC, VERSION, self.kind, self.session, self.number, len(self.payload))
        crc = _CRC.pack(zlib.crc32(head))
        return head + crc + self.payload + _CRC.pack(zlib.crc32(self.payload))


@dataclass(frozen=True)
class Broken:
    """A frame whose header came well and the rest did not: its sender is asked to send it again."""

    session: int
    number: int
    code: str


class Decoder:
    """Finds frames in a stream of bytes; what is none is skipped and counted in ``skipped``."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.skipped = 0

    @property
    def partial(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame | Broken]:
        """The frames that are complete with these bytes."""
        self._held += data
        found: list[Frame | Broken] = []
        while self._seek():
            one = self._take()
            if one is None:
                break
            found.append(one)
        return found

    def reset(self) -> int:
        """Give up a partial frame; returns how many bytes were dropped."""
        dropped = len(self._held)
        self._held.clear()
        self.skipped += dropped
        return dropped

    def _seek(self) -> bool:
        """Drop bytes up to the next whole and good header; False when there is none yet."""
        while True:
            at = self._held.find(MAGIC)
            if at < 0:
                at = len(self._held) - self._held.endswith(MAGIC[:1])
            self._skip(at)
            if len(self._held) < HEAD_BYTES:
                return False
            head = bytes(self._held[: _HEADER.size])
            if zlib.crc32(head) == _CRC.unpack_from(self._held, _HEADER.size)[0]:
                return True
            self._skip(1)

    def _take(self) -> Frame | Broken | None:
        """The frame whose header stands at the front; None while bytes are missing."""
        _, version, kind, session, number, length = _HEADER.unpack_from(self._held)
        if version != VERSION or length > MAX_PAYLOAD:
            self._skip(HEAD_BYTES)
            code = "frame.version" if version != VERSION else "frame.too_long"
            return Broken(session, number, code)
        end = HEAD_BYTES + length
        if len(self._held) < end + _CRC.size:
            return None
        payload = bytes(self._held[HEAD_BYTES:end])
        if zlib.crc32(payload) != _CRC.unpack_from(self._held, end)[0]:
            # A byte that was lost makes the next frame's bytes look like ours: search them again.
            self._skip(HEAD_BYTES)
            return Broken(session, number, "frame.crc")
        del self._held[: end + _CRC.size]
        return Frame(kind, session, number, payload)

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._held[:count]


def pack(body: Json) -> bytes:
    """A payload: JSON, gzipped when that is worth it."""
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    if len(raw) < GZIP_FROM_BYTES:
        return raw
    squeeze = zlib.compressobj(6, wbits=31)
    return squeeze.compress(raw) + squeeze.flush()


def unpack(payload: bytes) -> Json:
    """The JSON object in a payload.

    Raises ``BadPayloadError`` for anything else, and for one that inflates past ``MAX_INFLATED``.
    """
    try:
        if payload[:2] == b"\x1f\x8b":
            inflater = zlib.decompressobj(wbits=31)
            payload = inflater.decompress(payload, MAX_INFLATED)
            if not inflater.eof:
                raise BadPayloadError("too large, or cut off")
        value = json.loads(payload)
    except (zlib.error, ValueError, RecursionError) as error:
        raise BadPayloadError(str(error)) from error
    if not isinstance(value, dict):
        raise BadPayloadError("not an object")
    return value
