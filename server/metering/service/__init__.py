"""The verbs of metering; each takes the session first and never commits."""

from __future__ import annotations

from server.metering.service.captures import (
    DevicePlace,
    DialEntry,
    Judged,
    NewReading,
    NewSkip,
)
from server.metering.service.decide import discard, held_capture, move, release
from server.metering.service.exchange import Exchanged, NewRegister, Told, exchange_meter
from server.metering.service.orders import open_orders
from server.metering.service.record import record
from server.metering.service.reread import replace_confirmed
from server.metering.service.skips import skip
from server.metering.service.withdraw import withdraw

__all__ = [
    "DevicePlace",
    "DialEntry",
    "Exchanged",
    "Judged",
    "NewReading",
    "NewRegister",
    "NewSkip",
    "Told",
    "discard",
    "exchange_meter",
    "held_capture",
    "move",
    "open_orders",
    "record",
    "release",
    "replace_confirmed",
    "skip",
    "withdraw",
]
