"""Secrets of gateways, sealed before they are stored and opened only where they are used.

A sealed secret is `sealed:` and a Fernet token (AES-128-CBC with HMAC-SHA256, package cryptography).
The keys are `Settings.sealing_keys`, newest first; each is stretched to its purpose by HKDF-SHA256, and
the one derived from the secret key stands last, so that an installation without sealing keys needs
nothing and one that is given some still reads what it sealed before. The first key seals; all open.

To change keys: put a new one in front, restart, run `flask notify reseal`, take the old one away.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

from server.errors import Conflict

_MARK = "sealed:"
_PURPOSE = b"fieldbell gateway secrets 1"


def seal(text: str) -> str:
    """The secret as it may be stored; what is sealed already stays as it is."""
    if is_sealed(text):
        return text
    return _MARK + _box().encrypt(text.encode()).decode()


def unseal(text: str) -> str:
    """The secret itself; a text that was never sealed (of an older row) is returned unchanged.

    Raises Conflict `notify.wrong_key` when it was sealed under a key this installation does not have.
    """
    if not is_sealed(text):
        return text
    try:
        return _box().decrypt(text.removeprefix(_MARK)).decode()
    except InvalidToken:
        raise _wrong_key() from None


def reseal(text: str) -> str:
    """The secret sealed under the newest key. Raises Conflict `notify.wrong_key`."""
    return seal(unseal(text))


def is_sealed(text: str) -> bool:
    """Whether `text` is a sealed secret and not a plain one."""
    return text.startswith(_MARK)


def _box() -> MultiFernet:
    app = current_app
    keys = app.extensions["fieldbell"].sealing_key_list()
    return _opened((*keys, str(app.config["SECRET_KEY"])))


@lru_cache(maxsize=4)
def _opened(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_stretched(key)) for key in keys])


def _stretched(key: str) -> bytes:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(made)


def _wrong_key() -> Conflict:
    return Conflict(
        "notify.wrong_key",
        "A secret of a gateway was sealed under another key. Give back the key (FIELDBELL_SEALING_KEYS "
        "or FIELDBELL_SECRET_KEY), or enter the secret anew.",
    )
