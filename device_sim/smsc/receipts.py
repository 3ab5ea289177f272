"""What a delivery report says: ids in the style that is asked for, states, times."""

from __future__ import annotations

import time
from collections.abc import Callable

from device_sim.smsc import wire
from device_sim.smsc.behaviour import Behaviour
from device_sim.smsc.owed import Report

STYLES: dict[str, Callable[[str], str]] = {
    "decimal": lambda message_id: message_id,
    "zeros": lambda message_id: message_id.zfill(20),
    "hex": lambda message_id: f"{int(message_id):x}",
    "HEX": lambda message_id: f"{int(message_id):X}",
    "empty": lambda _: "",
    "unknown": lambda message_id: f"9{message_id.zfill(15)}",
}
VENDOR_TLVS = wire.tlv(0x1403, b"vendor") + wire.tlv(0x3FFF, b"")


def answer_id(message_id: str, behaviour: Behaviour) -> str:
    """A message id as the answer to a submit_sm shows it."""
    return STYLES[behaviour.id_style](message_id)


def receipt_id(message_id: str, behaviour: Behaviour) -> str:
    """A message id as its report shows it."""
    style = behaviour.receipt_id_style
    return STYLES[behaviour.id_style if style == "same" else style](message_id)


def wanted(submitted: wire.Submitted, state: str) -> bool:
    """Whether the client asked to hear of this end."""
    asked = submitted.wants_report
    return asked == 1 or (asked == 2 and state != "DELIVRD") or (asked == 3 and state == "DELIVRD")


def expired(validity: str, fate: tuple[str, float]) -> tuple[str, float]:
    """The fate of a text with a relative validity: it expires when its report would come too late."""
    if not validity.endswith("R") or len(validity) != 16 or not validity[:15].isdecimal():
        return fate
    days, hours, minutes, seconds = (int(validity[at : at + 2]) for at in (4, 6, 8, 10))
    days += int(validity[:2]) * 365 + int(validity[2:4]) * 30
    limit = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return ("EXPIRED", limit) if fate[1] > limit else fate


class Writer:
    """Writes reports; keeps the minute, which is the same for thousands of them."""

    def __init__(self) -> None:
        self._minute = (-1, "")

    def delivery(
        self, report: Report, behaviour: Behaviour, state: str = "", message_id: str = ""
    ) -> wire.Delivery:
        """The report as a delivery; another `state` or `message_id` than its own where given."""
        return wire.report(
            report.source,
            report.destination,
            message_id or receipt_id(report.key, behaviour),
            state or report.state,
            (self._time(report.submitted), self._time(time.time())),
            behaviour.receipt_ids,
        )

    def _time(self, seconds: float) -> str:
        minute = int(seconds // 60)
        if minute != self._minute[0]:
            self._minute = minute, time.strftime("%y%m%d%H%M", time.gmtime(seconds))
        return self._minute[1]
