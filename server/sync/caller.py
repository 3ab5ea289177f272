"""What every request of a device shares: who calls, and how an answer leaves."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
from flask import Response, request

from server import logs
from server.errors import Unauthorized
from server.identity import service as identity
from server.identity.service import CallingDevice

GZIP_FROM = 1024


def calling_device() -> CallingDevice:
    """The device whose token came with the request, revoked ones included.

    Raises:
        Unauthorized: ``auth.token_missing`` or ``auth.token_unknown``.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized("auth.token_missing", "The request carries no device token.")
    device = identity.device_of_token(token)
    logs.identify(device_id=device.id)
    return device


def json_answer(body: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer, gzipped when that is worth it and the device can read it."""
    content = orjson.dumps(body)
    response = Response(content, status, mimetype="application/json")
    if len(content) > GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(content, 5))
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "no-store"
    return response
