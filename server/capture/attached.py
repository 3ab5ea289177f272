"""What an item says of the files that belong to it: read before any transaction, trusted in nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from server import blobs

MAX_PER_ITEM = 20
MAX_NAME = 255
MAX_SIZE = 2**53
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}/[a-z0-9][a-z0-9.+-]{0,39}")
_SAME_TYPE = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}


@dataclass(frozen=True)
class Attached:
    """A file an item names: its hash, size in bytes, type and name as the device tells them."""

    sha256: str
    size: int
    type: str
    name: str


class BadAttachment(ValueError):
    """The list of attachments cannot be read; ``field`` says where."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def read_attached(raw: Any) -> tuple[Attached, ...]:
    """The files an item names; none when it names none.

    Raises:
        BadAttachment: with the path of the field that is wrong.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise BadAttachment("attachments must be a list.", "attachments")
    if len(raw) > MAX_PER_ITEM:
        raise BadAttachment(f"An item has at most {MAX_PER_ITEM} attachments.", "attachments")
    return tuple(_one(entry, f"attachments[{n}]") for n, entry in enumerate(raw))


def _one(entry: Any, path: str) -> Attached:
    if not isinstance(entry, dict):
        raise BadAttachment("An attachment must be an object.", path)
    sha256, size, kind = entry.get("sha256"), entry.get("size"), entry.get("type")
    name = entry.get("name")
    if not isinstance(sha256, str) or not blobs.is_sha256(sha256.lower()):
        raise BadAttachment("sha256 must be 64 hexadecimal digits.", f"{path}.sha256")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size < MAX_SIZE:
        raise BadAttachment("size must be a whole number of bytes from 1.", f"{path}.size")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind.lower()):
        raise BadAttachment("type must be a media type such as image/jpeg.", f"{path}.type")
    if name is not None and not isinstance(name, str):
        raise BadAttachment("name must be text.", f"{path}.name")
    kind = kind.lower()
    return Attached(sha256.lower(), size, _SAME_TYPE.get(kind, kind), (name or "")[:MAX_NAME])
