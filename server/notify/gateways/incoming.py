"""The options of every gateway that brings texts of people in; see `rules.inbound.habits`."""

from __future__ import annotations

from dataclasses import dataclass

from server.notify.gateways.options import N_, option
from server.notify.rules.inbound import COUNTRY, REPEAT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """How senders' numbers are written, and how long an equal text counts as a repeat."""

    inbound_country: str = option(
        N_("Country digits that complete numbers without a plus."), default=COUNTRY, longest=4
    )
    repeat_seconds: float = option(
        N_("Seconds in which an equal text is shown as a suspected repeat."),
        default=float(REPEAT_SECONDS),
    )
