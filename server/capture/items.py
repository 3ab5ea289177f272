"""Items as values: what a device sent, parsed and checked before any transaction begins."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import orjson

from config.settings import Settings
from server.capture.attached import Attached

NUL = "\x00"
NUL_SHOWN = "␀"
TRUSTED_SKEW_MS = 5 * 60 * 1000


@dataclass(frozen=True)
class Gps:
    """Where the device was, WGS-84; ``absent`` says why it does not know."""

    lat_e7: int | None
    lon_e7: int | None
    accuracy_m: float | None
    fix_at: datetime | None
    provider: str | None
    mock: bool
    absent: str | None = None


@dataclass(frozen=True)
class Problem:
    """Why an item cannot be accepted as it is: a stable code, words and the field."""

    code: str
    message: str
    field: str | None = None


class Sent(Protocol):
    """When something came, and how far the sending clock was ahead of ours then."""

    @property
    def received_at(self) -> datetime:
        """When it came, by our clock."""

    @property
    def skew_ms(self) -> int | None:
        """How far ahead the device's clock was; None when it did not say."""


@dataclass(frozen=True)
class Item:
    """One captured item; ``problem`` is set when it is malformed and must be rejected.

    ``taken_back`` says that another item of the same push takes it back and puts no reading in its
    place, so that it never counts.
    """

    uuid: UUID
    seq: int | None
    type: str
    captured_at: datetime | None
    gps: Gps | None
    supersedes: UUID | None
    data: Mapping[str, Any]
    payload: dict[str, Any]
    payload_hash: str
    problem: Problem | None = None
    attachments: tuple[Attached, ...] = ()
    taken_back: bool = False

    def true_time(self, sent: Sent) -> datetime:
        """When it was captured by our clock: a device clock that is far off is set right.

        A device whose clock stands more than five minutes off when it sends is taken to have been
        off by as much when it captured. Facts are never taken to lie after their arrival for it.
        """
        if sent.skew_ms is None or abs(sent.skew_ms) <= TRUSTED_SKEW_MS:
            return self.at
        return min(self.at - timedelta(milliseconds=sent.skew_ms), sent.received_at)

    @property
    def at(self) -> datetime:
        """The device's time of a well-formed item.

        Raises:
            ValueError: for a malformed one.
        """
        if self.captured_at is None:
            raise ValueError("a malformed item has no time")
        return self.captured_at


@dataclass(frozen=True)
class Unidentified:
    """Something in the list of items that has no id of its own."""

    body: str
    problem: Problem
    seq: int | None = None


@dataclass(frozen=True)
class Sender:
    """The device that hands items in, and how its clock stands to ours."""

    device_id: int
    staff_id: int
    receipt_prefix: str
    revoked: bool
    received_at: datetime
    skew_ms: int | None
    settings: Settings


@dataclass(frozen=True)
class Verdict:
    """What became of an item."""

    verdict: str
    code: str | None = None
    message: str | None = None
    field: str | None = None


APPLIED = Verdict("applied")
SAME_ID = Verdict(
    "conflict", "item.same_id_other_content", "This id was used before with other content."
)


@dataclass(frozen=True)
class Result:
    """The answer for one item; the same for ever, ``replayed`` aside."""

    uuid: UUID
    verdict: Verdict
    ack: str | None
    replayed: bool


def canonical(payload: Mapping[str, Any]) -> bytes:
    """The content as JSON in one way of writing it; order of keys does not count."""
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)


def content_hash(written: bytes) -> str:
    """The hash by which two contents under one id are told apart, of their canonical form."""
    return hashlib.sha256(written).hexdigest()


def may_hold_nul(written: bytes) -> bool:
    """Tell from the canonical form whether a closer look for a NUL is worth its time."""
    return b"\\u0000" in written


def find_nul(value: Any, path: str = "") -> str | None:
    """Where in a value a NUL stands, as a path; None when there is none."""
    if isinstance(value, str):
        return (path or "item") if NUL in value else None
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}" if path else str(key), v) for key, v in value.items()]
        if any(NUL in str(key) for key in value):
            return path or "item"
    elif isinstance(value, list):
        pairs = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
    return next((found for p, v in pairs if (found := find_nul(v, p))), None)


def show_nul(value: Any) -> Any:
    """The value with every NUL made visible, so that a database can keep it."""
    if isinstance(value, str):
        return value.replace(NUL, NUL_SHOWN)
    if isinstance(value, dict):
        return {show_nul(key): show_nul(v) for key, v in value.items()}
    if isinstance(value, list):
        return [show_nul(v) for v in value]
    return value
