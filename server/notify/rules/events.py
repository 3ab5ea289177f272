"""The notices that exist: one table of what each is about, how urgent it is and what its text may say.

`delivery` decides about a text that may or may not have been sent when a connection broke:
`at_least_once` sends it once more, flagged as a possible duplicate; `at_most_once` leaves it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from server.errors import Invalid

DeliveryClass = Literal["at_least_once", "at_most_once"]
# How a value is written in a text; see `templates.write`.
Kind = Literal["text", "money", "quantity", "date", "month"]

DELIVERY_CLASSES = ("at_least_once", "at_most_once")
LANGUAGES = ("zh_Hans", "en")


@dataclass(frozen=True)
class Event:
    """One kind of notice. A lower `priority` leaves first; `variables` are declared with their kind."""

    name: str
    category: str
    priority: int
    delivery: DeliveryClass
    variables: Mapping[str, Kind]


EVENTS: Mapping[str, Event] = {
    event.name: event
    for event in (
        Event(
            "bill.issued",
            category="bill",
            priority=50,
            delivery="at_least_once",
            variables={
                "co": "text",
                "no": "text",
                "m": "month",
                "kwh": "quantity",
                "amt": "money",
                "bal": "money",
                "due": "date",
            },
        ),
        Event(
            "device.silent",
            category="staff",
            priority=60,
            delivery="at_most_once",
            variables={"co": "text", "device": "text", "hours": "text", "unsent": "text"},
        ),
        Event(
            "device.gap",
            category="staff",
            priority=60,
            delivery="at_most_once",
            variables={"co": "text", "device": "text", "items": "text"},
        ),
        Event(
            "operator.text",
            category="service",
            priority=30,
            delivery="at_most_once",
            variables={"text": "text"},
        ),
    )
}

DEFAULT_TEMPLATES: Mapping[tuple[str, str], str] = {
    ("bill.issued", "zh_Hans"): (
        "【{co}】户号{no},{m}月用电{kwh}度,电费{amt}元,余额{bal}元,请于{due}前交费。"
    ),
    ("bill.issued", "en"): (
        "[{co}] Account {no}: {kwh} kWh in {m}, charge {amt}, balance {bal}. Please pay by {due}."
    ),
    (
        "device.silent",
        "zh_Hans",
    ): "【{co}】手持机{device}已{hours}小时未联系,上次未上传{unsent}条,请查看。",
    ("device.silent", "en"): (
        "[{co}] Handheld {device} has been silent for {hours} h; it last held {unsent} unsent."
    ),
    ("device.gap", "zh_Hans"): "【{co}】手持机{device}缺少编号{items}的记录,请核实。",
    ("device.gap", "en"): "[{co}] Handheld {device} has not sent items {items}. Please check.",
    ("operator.text", "zh_Hans"): "{text}",
    ("operator.text", "en"): "{text}",
}


def event(name: str) -> Event:
    """The event `name`. Raises Invalid `notify.unknown_event`."""
    if name not in EVENTS:
        raise Invalid("notify.unknown_event", f"There is no notice {name}.", {"event": name})
    return EVENTS[name]


def language(wanted: str | None) -> str:
    """The language of the templates that serves a contact's language; Chinese when nothing is known."""
    return "en" if (wanted or "").lower().startswith("en") else "zh_Hans"
