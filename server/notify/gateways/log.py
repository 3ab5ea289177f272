"""A gateway that only logs: for trying things out and for operators without a carrier yet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from server.notify.gateways.port import Delivery, Listener, Submission
from server.notify.rules.phones import masked

log = logging.getLogger(__name__)

_ROOM = 250


@dataclass(frozen=True)
class LogConfig:
    """Nothing to decide."""


class LogGateway:
    """Takes every submission at once (see `port.Port`); no delivery report ever comes."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.name = name
        self.most = _ROOM
        self._listener = listener
        self._running = False

    def start(self) -> None:
        """Be ready."""
        self._running = True
        self._listener.changed("bound", "only writes to the log")

    def stop(self) -> None:
        """Take nothing more."""
        self._running = False
        self._listener.changed("stopped", "")

    def room(self) -> int:
        """Always the same: nothing waits here."""
        return _ROOM if self._running else 0

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Write a line for each, with the number masked and the text only counted, and answer."""
        for submission in submissions:
            log.info(
                "gateway %s: to %s, %d characters, %s",
                self.name,
                masked(submission.phone),
                len(submission.text),
                submission.encoding,
            )
        self._listener.answered([(submission.token, 0, "") for submission in submissions])

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """Nothing is ever delivered here."""
