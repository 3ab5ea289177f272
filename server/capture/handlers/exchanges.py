"""Meter exchanges from the field.

Each is settled by itself in a savepoint of its own, so the number of statements grows with their
number: a crew exchanges some dozens of meters a day, an exchange changes what the next one at the same
point is about, and one that metering refuses must leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from server.billing.service import bill_judged
from server.capture.handlers.held import raise_held
from server.capture.items import APPLIED, Item, Sender, Verdict
from server.capture.settle import billing_rules
from server.db import Session
from server.errors import DomainError
from server.identity.actor import Actor
from server.metering.service import Exchanged, Judged, NewRegister, Told, exchange_meter
from server.rounds.service import Stop, Visit, note_visits


def handle(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``meter_exchange.v1``; what metering refuses is held with its reason.

    Readings that were held for want of the exchange count now, and are billed.
    """
    verdicts: dict[UUID, Verdict] = {}
    judged: list[Judged] = []
    for item in items:
        try:
            with session.begin_nested():
                judged += _exchange(session, sender, item).rejudged
            verdicts[item.uuid] = APPLIED
        except DomainError as error:
            verdicts[item.uuid] = Verdict("held", error.code, error.message)
    bill_judged(session, judged, billing_rules(sender.settings))
    raise_held(session, sender, [i for i in items if verdicts[i.uuid] != APPLIED], verdicts)
    note_visits(session, [_visit(item, sender) for item in items if verdicts[item.uuid] == APPLIED])
    return verdicts


def _exchange(session: Session, sender: Sender, item: Item) -> Exchanged:
    data = item.data
    return exchange_meter(
        session,
        Actor(kind="device", id=sender.device_id, name="device", staff_id=sender.staff_id),
        data["service_point"],
        finals={final["kind"]: final["value"] for final in data["finals"]},
        serial=data["new_meter_serial"],
        registers=[
            NewRegister(r["kind"], r["value"], r["integer_digits"], r["decimals"])
            for r in data["initials"]
        ],
        at=item.true_time(sender),
        multiplier=data["multiplier"],
        old_serial=data["old_meter_serial"],
        told=Told("device", item.uuid),
    )


def _visit(item: Item, sender: Sender) -> Visit:
    stop = Stop("service_point", item.data["service_point"])
    return Visit(item.uuid, stop, sender.staff_id, "served", item.true_time(sender))
