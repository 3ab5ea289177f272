"""Request bodies of devices: inflated here, never past the limit, and read as JSON."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
from flask import Request

from server.errors import Invalid, TooLarge

_CHUNK = 64 * 1024


class UnreadableBody(Invalid):
    """The body is no JSON object; ``sent`` holds what was sent, for the office."""

    def __init__(self, code: str, message: str, sent: bytes) -> None:
        super().__init__(code, message, status=400)
        self.sent = sent


def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, inflated when it is gzip.

    Raises:
        TooLarge: ``sync.body_too_large`` as soon as the limit is passed, whatever the body
            would have become.
        UnreadableBody: ``sync.bad_gzip`` when it cannot be inflated.
    """
    declared = request.content_length
    if declared is not None and declared > limit:
        raise _too_large(limit)
    gzipped = request.headers.get("Content-Encoding", "").lower() == "gzip"
    inflater = zlib.decompressobj(wbits=31) if gzipped else None
    whole = bytearray()
    received = 0
    while chunk := request.stream.read(_CHUNK):
        received += len(chunk)
        if received > limit:
            raise _too_large(limit)
        try:
            whole += inflater.decompress(chunk, limit + 1 - len(whole)) if inflater else chunk
        except zlib.error:
            raise UnreadableBody("sync.bad_gzip", "The body is not gzip.", chunk[:4000]) from None
        if len(whole) > limit:
            raise _too_large(limit)
    if inflater is not None and not inflater.eof:
        raise UnreadableBody("sync.bad_gzip", "The gzip body ends early.", bytes(whole[:4000]))
    return bytes(whole)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        "sync.body_too_large",
        "The body is too large; send fewer items at once.",
        {"max_bytes": limit},
    )


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        UnreadableBody: ``sync.bad_json``.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableBody("sync.bad_json", f"The body is not JSON: {error}", body) from None
    if not isinstance(document, dict):
        raise UnreadableBody("sync.bad_json", "The body must be a JSON object.", body)
    return document
