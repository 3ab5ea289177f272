"""What the queue asks of any gateway, and what a gateway tells the queue. Everything goes in lists.

A gateway runs in its own thread and knows nothing of the database. It is given submissions, each
under a token, and says about every token exactly once per submission whether it was answered, lost
(written, and nobody knows) or returned (never written). A late answer may follow a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from server.notify.rules.inbound import InboundText
from server.notify.rules.receipts import Receipt
from server.notify.rules.segments import Encoding


class Submission(NamedTuple):
    """One segment to send, or one whole text where the gateway takes those.

    `phone` is E.164 with the plus (or an address); `body` the octets of this part without header and
    `text` the same readable; `part` of `parts` count from 1 and belong together by `reference`;
    `copy` counts resends; `validity` is the seconds it is still worth delivering, or None.
    """

    token: int
    message_id: int
    phone: str
    text: str
    encoding: Encoding
    body: bytes
    part: int = 1
    parts: int = 1
    copy: int = 0
    reference: int = 0
    validity: int | None = None

    @property
    def key(self) -> str:
        """A name that stays the same however often this submission is repeated."""
        return f"{self.message_id}-{self.part}-{self.copy}"


class Delivery(NamedTuple):
    """Something the carrier delivered to us; it wants an acknowledgement after it is stored.

    `handle` is the gateway's own and finds the place to answer. It is a report (`receipt`), a text
    that a person wrote (`inbound`), or neither when it could not be read.
    """

    handle: Any
    receipt: Receipt | None = None
    inbound: InboundText | None = None


# Token, command status (0: taken; see rules.answers) and the carrier's id.
Answer = tuple[int, int, str]


class Listener(Protocol):
    """What a gateway tells; called on the gateway's thread, so it must only take notes."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """The carrier answered submissions."""

    def lost(self, tokens: Sequence[int], *, cut: bool) -> None:
        """Submissions were written and no answer came: the line was `cut`, or time ran out."""

    def returned(self, tokens: Sequence[int]) -> None:
        """Submissions were never written."""

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """The carrier delivered reports or texts; they wait for the acknowledgement."""

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

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Take submissions, to be sent in this order."""

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """Answer deliveries; 0 says that they are stored."""
