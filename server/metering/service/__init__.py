"""The verbs of metering; each takes the session first and never commits."""

from __future__ import annotations

from server.metering.service.captures import (
    DevicePlace,
    DialEntry,
    Judged,
    NewReading,
    NewSkip,
)
from server.metering.service.record import record

__all__ = ["DevicePlace", "DialEntry", "Judged", "NewReading", "NewSkip", "record"]
