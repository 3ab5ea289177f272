"""The limits the checks judge by, as data: one set per account class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum

from server.metering.rules.consumption import RolloverGate
from server.metering.rules.expectation import BANDS, Band


class Severity(StrEnum):
    """What a finding does: it is noted, it asks for a second look, it keeps the reading back."""

    INFO = "info"
    WARN = "warn"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """The limits of one account class; quantities are in units of supply.

    ``slack`` keeps the limits of V8 at least so far from the expected quantity, so that a home
    that uses ten units is not held for using twenty.
    """

    future: timedelta = timedelta(minutes=10)
    gate: RolloverGate = RolloverGate()  # noqa: RUF009 (frozen)
    zero: Severity = Severity.WARN
    beyond_limits: Severity = Severity.HOLD
    bands: tuple[Band, ...] = BANDS
    slack: Decimal = Decimal(20)
    max_estimates_in_row: int = 2
    inactive_use: Severity = Severity.HOLD
    near_m: float = 50.0
    accuracy_factor: float = 2.0
    max_accuracy_m: float = 100.0
    least_pause: timedelta = timedelta(seconds=5)
    max_speed_kmh: float = 120.0
    day_starts: time = time(6)
    day_ends: time = time(21)
    max_clock_skew: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LimitBook:
    """The limits of every account class; a class that is not named has the default."""

    default: CheckLimits = field(default_factory=CheckLimits)
    by_class: Mapping[str, CheckLimits] = field(default_factory=dict)

    def of(self, account_class: str | None) -> CheckLimits:
        """The limits of a class."""
        return self.by_class.get(account_class or "", self.default)
