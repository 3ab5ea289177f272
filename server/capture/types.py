"""The table of item types: the schema of each and the handler that settles a set of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from marshmallow import Schema

from server.capture import schemas
from server.capture.handlers import exchanges, payments, readings, shifts, stops
from server.capture.items import Item, Sender, Verdict
from server.db import Session

Handler = Callable[[Session, Sender, Sequence[Item]], dict[UUID, Verdict]]


@dataclass(frozen=True)
class ItemType:
    """How one type of item is read and who settles it; handlers get sets, in device order."""

    schema: Schema
    handle: Handler


ITEM_TYPES: dict[str, ItemType] = {
    "shift.v1": ItemType(schemas.ShiftV1(), shifts.handle),
    "meter_reading.v1": ItemType(schemas.MeterReadingV1(), readings.handle_readings),
    "meter_skip.v1": ItemType(schemas.MeterSkipV1(), readings.handle_skips),
    "meter_exchange.v1": ItemType(schemas.MeterExchangeV1(), exchanges.handle),
    "premise_position.v1": ItemType(schemas.PremisePositionV1(), stops.handle_positions),
    "visit.v1": ItemType(schemas.VisitV1(), stops.handle_visits),
    "payment.v1": ItemType(schemas.PaymentV1(), payments.handle),
    "note.v1": ItemType(schemas.NoteV1(), stops.handle_notes),
}

TAKES_BACK = frozenset({"meter_skip.v1"})
"""Types that take an earlier item back without one of its own kind in its place."""

HANGS_METERS = frozenset({"meter_exchange.v1"})
"""Types that decide what later items of the same push are about; the others are order-free."""
