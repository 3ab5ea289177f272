"""Recipients as notices keep them: phone numbers as E.164 with the plus, or an e-mail address."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

import phonenumbers
from phonenumbers import carrier as networks
from phonenumbers import timezone as zones

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s,;<>\"()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])")
# As many digits as decide about a network and a zone, and few enough to be remembered.
_TELLING = 9
_UNKNOWN_ZONE = "Etc/Unknown"
_KEY_ROOM = 40


def is_phone(text: str) -> bool:
    """Whether `text` is a number a gateway can be given."""
    return _E164.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Whether a recipient is an address and not a number; no number has an at sign."""
    return "@" in text


def is_recipient(text: str) -> bool:
    """Whether some kind of gateway can be given `text`: a number or an e-mail address."""
    return is_phone(text) or _EMAIL.fullmatch(text) is not None


def masked(phone: str) -> str:
    """The number as it may stand in a log: its beginning and its last two digits."""
    if is_email(phone):
        name, _, domain = phone.partition("@")
        return f"{name[:1]}•••@{domain}"
    if len(phone) < 8:
        return "•" * len(phone)
    return f"{phone[:5]}{'•' * (len(phone) - 7)}{phone[-2:]}"


def zone(phone: str, home: str) -> str:
    """The name of the time zone a recipient lives in by his number; `home` where it does not tell."""
    found = () if is_email(phone) else _zones(phone[:_TELLING], len(phone))
    return home if not found or home in found else found[0]


def network(phone: str) -> str:
    """The network a number belongs to by its prefix, else its country code such as `+44`."""
    return "e-mail" if is_email(phone) else _network(phone[:_TELLING], len(phone))


@lru_cache(maxsize=4096)
def _zones(beginning: str, length: int) -> tuple[str, ...]:
    number = _number(beginning, length)
    found = zones.time_zones_for_number(number) if number is not None else ()
    return tuple(name for name in found if name != _UNKNOWN_ZONE)


@lru_cache(maxsize=4096)
def _network(beginning: str, length: int) -> str:
    number = _number(beginning, length)
    if number is None:
        return ""
    return networks.name_for_number(number, "en") or f"+{number.country_code}"


def _number(beginning: str, length: int) -> phonenumbers.PhoneNumber | None:
    """A number of the same length that begins alike."""
    try:
        return phonenumbers.parse(beginning.ljust(length, "0"))
    except phonenumbers.NumberParseException:
        return None


def key_part(recipient: str) -> str:
    """A recipient as part of a message's key; only e-mail addresses can be too long for it."""
    if len(recipient) <= _KEY_ROOM:
        return recipient
    return sha256(recipient.encode()).hexdigest()[:_KEY_ROOM]
