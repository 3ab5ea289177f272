"""Pure rules of codes and tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

from server.identity.actor import WIDTH

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 8


def new_code() -> str:
    """A one-time code of eight characters none of which is taken for another."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def show_code(code: str) -> str:
    """The code as people read it: ``ABCD-2345``."""
    return f"{code[:4]}-{code[4:]}"


def read_code(text: str) -> str:
    """The code in what was typed; dashes, spaces and case do not matter."""
    return "".join(character for character in text.upper() if character in CODE_ALPHABET)


def new_token(prefix: str) -> str:
    """A random token of 256 bits; the prefix tells people and scanners what it opens."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def enrolment_token(key: str, code: str, install_id: str) -> str:
    """The token a code gives to one installation: the same however often it asks.

    Only who knows the installation's key can compute it.
    """
    mac = hmac.new(key.encode(), f"enrol|{code}|{install_id}".encode(), hashlib.sha256)
    return f"fbd_{base64.urlsafe_b64encode(mac.digest()).rstrip(b'=').decode()}"


def hash_secret(secret: str) -> str:
    """What is stored of a token or code: it is random, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def receipt_prefix(number: int) -> str:
    """The prefix of a device's receipt numbers: letters for the n-th device, ``A``, ``B`` … ``AA``."""
    letters = ""
    while number >= 0:
        letters = chr(ord("A") + number % 26) + letters
        number = number // 26 - 1
    return letters


def beyond(
    own: Mapping[tuple[str, str], str], wanted: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """The wanted rights that ``own`` does not hold, or holds in a narrower scope only."""
    return sorted(
        right for right, scope in wanted.items() if WIDTH[scope] > WIDTH.get(own.get(right, ""), -1)
    )


def merge_rights(
    rights: Iterable[tuple[tuple[str, str], str]],
) -> dict[tuple[str, str], str]:
    """Of several roles' rights keep the widest scope of each."""
    merged: dict[tuple[str, str], str] = {}
    for right, scope in rights:
        if right not in merged or WIDTH[scope] > WIDTH[merged[right]]:
            merged[right] = scope
    return merged
