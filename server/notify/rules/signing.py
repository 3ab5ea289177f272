"""Signatures of bodies that cross the network: who wrote them, and that they are fresh.

The signed octets are the time stamp (seconds since 1970, in decimal digits), a full stop, and the body.
A signature is written `v1=` and HMAC-SHA256 in hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import hmac

from server.errors import Unauthorized

TIMESTAMP = "X-Fieldbell-Timestamp"
SIGNATURE = "X-Fieldbell-Signature"
_VERSION = "v1="
_LONGEST_STAMP = 12


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature of `body` at `timestamp`."""
    signed = str(timestamp).encode() + b"." + body
    return _VERSION + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def check(
    secret: str,
    timestamp: str | None,
    signature: str | None,
    body: bytes,
    now: float,
    window: float,
) -> None:
    """See that `body` was signed with `secret` and not longer than `window` seconds ago.

    Several signatures may be given with commas between, while a secret is being changed. Raises
    Unauthorized `hook.not_signed`, `hook.bad_signature` or `hook.stale`.
    """
    if not timestamp or not signature:
        raise Unauthorized(
            "hook.not_signed", f"The request needs the headers {TIMESTAMP} and {SIGNATURE}."
        )
    plain = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _LONGEST_STAMP
    wanted = sign(secret, int(timestamp), body) if plain else ""
    given = [one.strip().encode() for one in signature.split(",")]
    if not wanted or not any(hmac.compare_digest(wanted.encode(), one) for one in given):
        raise Unauthorized(
            "hook.bad_signature",
            "The signature does not fit the body, the time stamp and the secret.",
        )
    off = now - int(timestamp)
    if abs(off) > window:
        raise Unauthorized(
            "hook.stale",
            "The time stamp is too old, or the clock is wrong.",
            {"window_s": int(window), "off_s": int(off)},
        )
