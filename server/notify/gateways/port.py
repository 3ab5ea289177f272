"""What the queue asks of any gateway, and what a gateway tells the queue.

A gateway runs in its own thread and knows nothing of the database. It is given submissions, each
under a token, and says about every token exactly once per submission whether it was answered, lost
(written, and nobody knows) or returned (never written). A late answer may follow a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from server.notify.rules.segments import Encoding


@dataclass(frozen=True)
class Submission:
    """One segment to send.

    `phone` is E.164 with the plus; `body` the octets of this part without header; `header` the user
    data header or empty; `text` the same part readable; `validity` the seconds it is still worth
    delivering, or None.
    """

    token: int
    phone: str
    text: str
    encoding: Encoding
    body: bytes
    header: bytes = b""
    validity: int | None = None


@dataclass(frozen=True)
class Delivery:
    """Something the carrier delivered to us; it wants an acknowledgement after it is stored.

    `connection` and `sequence` find the place to answer; `report` tells a delivery report from a
    text that a person wrote.
    """

    connection: int
    sequence: int
    command: str
    report: bool
    body: bytes
    tlvs: Mapping[int, bytes] = field(default_factory=dict)


class Listener(Protocol):
    """What a gateway tells; called on the gateway's thread, so it must only take notes."""

    def answered(self, token: int, status: int, message_id: str) -> None:
        """The carrier answered a submission; status 0 means it was taken."""

    def lost(self, token: int) -> None:
        """The submission was written and no answer came."""

    def returned(self, token: int) -> None:
        """The submission was never written."""

    def delivered(self, delivery: Delivery) -> None:
        """The carrier delivered a report or a text; it waits for the acknowledgement."""

    def changed(self, state: str, detail: str) -> None:
        """The gateway's own state changed: connecting, bound, paused, waiting, refused, stopped."""


class Port(Protocol):
    """A running gateway; `most` bounds the submissions whose answers are not stored yet."""

    most: int

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> None:
        """Answer what is under way, take leave of the carrier and end; blocks until then."""

    def room(self) -> int:
        """How many submissions it would take now without letting them wait long."""

    def submit(self, submission: Submission) -> None:
        """Take one submission."""

    def acknowledge(self, delivery: Delivery, status: int) -> None:
        """Answer a delivery; 0 says that it is stored."""
