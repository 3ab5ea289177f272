"""Photos a person takes at a meter: small real pictures, made without any image library."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

from device_sim.protocol import Json

EDGE = (48, 120)


@dataclass(frozen=True)
class Photo:
    """A file that belongs to an item; the device keeps it until the server has all of it."""

    content: bytes
    name: str
    type: str = "image/png"

    @cached_property
    def sha256(self) -> str:
        """The hash by which both sides know it."""
        return hashlib.sha256(self.content).hexdigest()

    def to_item(self) -> Json:
        """What the item says of it."""
        return {
            "sha256": self.sha256,
            "size": len(self.content),
            "type": self.type,
            "name": self.name,
        }


def take(rng: random.Random, name: str = "dial.png") -> Photo:
    """A picture of noise, some ten kilobytes of it; the same chance gives the same picture."""
    edge = rng.randint(*EDGE)
    return Photo(png(edge, edge, rng.randbytes(edge * edge * 3)), name)


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG of ``width × height`` pixels, three bytes each."""
    row = width * 3
    lines = b"".join(b"\x00" + pixels[n * row : (n + 1) * row] for n in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
