"""What the checks look at and what they find: a meter read at one moment, with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from server.metering.rules.consumption import Dial, Use
from server.metering.rules.expectation import Expectation
from server.metering.rules.limits import Severity

ACTUAL_QUALITIES = ("regular", "verified", "customer")
ESTIMATE_QUALITIES = ("office_estimate", "system_estimate", "system_prorate")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The latest confirmed reading before the one to judge."""

    value: Decimal
    read_at: datetime
    actual: bool = True


@dataclass(frozen=True, slots=True)
class Later:
    """The earliest confirmed reading after the one to judge; billed when its use is on a bill."""

    value: Decimal
    read_at: datetime
    billed: bool = False


@dataclass(frozen=True, slots=True)
class DialReading:
    """One register of a capture with what is known about it.

    ``dial`` is None when the meter has no register of this kind. ``taken`` says that order and
    register have a confirmed reading already, ``standing`` what it says, ``unconfirmed_before`` that
    a held reading lies between the previous confirmed one and this.
    """

    kind: str
    value: Decimal
    second_entry: Decimal | None = None
    dial: Dial | None = None
    previous: Earlier | None = None
    next: Later | None = None
    expectation: Expectation | None = None
    taken: bool = False
    standing: Decimal | None = None
    same_time: bool = False
    unconfirmed_before: bool = False

    @property
    def verified(self) -> bool:
        """Whether the same value was keyed twice on the spot."""
        return self.second_entry is not None and self.second_entry == self.value


@dataclass(frozen=True, slots=True)
class LocationSignals:
    """Where and when a device says the capture was made; metres, seconds, kilometres an hour."""

    absent: str | None = None
    accuracy_m: float | None = None
    distance_m: float | None = None
    mock: bool = False
    since_last_s: float | None = None
    speed_kmh: float | None = None
    clock_skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """A meter read at one moment, with what is known about point and installation.

    ``problem`` is the code of V1 when no installation could be found for it; ``zone`` is the
    zone whose working hours count.
    """

    read_at: datetime
    received_at: datetime
    dials: tuple[DialReading, ...]
    quality: str = "regular"
    problem: str | None = None
    problem_figures: Mapping[str, str] = field(default_factory=dict)
    multiplier: Decimal = Decimal(1)
    missing_kinds: tuple[str, ...] = ()
    point_active: bool = True
    estimates_before: int = 0
    zone: ZoneInfo = ZoneInfo("UTC")  # noqa: RUF009 - a zone never changes
    signals: LocationSignals | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``kind`` is the register it is about, None for the whole capture."""

    rule: str
    severity: Severity
    code: str
    kind: str | None
    detail: dict[str, str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The findings of a capture in the order of the checks, and the use of each register."""

    findings: tuple[Finding, ...]
    uses: Mapping[str, Use]

    @property
    def hold(self) -> Finding | None:
        """What keeps the capture back: a request, a second reading of an order, else the first."""
        holds = [f for f in self.findings if f.severity is Severity.HOLD]
        return min(holds, key=lambda f: _FIRST.get(f.code, len(_FIRST)), default=None)

    @property
    def warning(self) -> Finding | None:
        """The first finding that asks for a look."""
        return next((f for f in self.findings if f.severity is Severity.WARN), None)


_FIRST = {"reading.billed": 0, "reading.not_own": 1, "reading.duplicate": 2}
"""Codes that say more than what else is wrong; the others count in the order of the checks."""


def difference(confirmed: Decimal, reread: Decimal, multiplier: Decimal) -> dict[str, str]:
    """What a re-read says against the confirmed reading: both dials, and the difference in units of supply."""
    return {
        "confirmed": plain(confirmed),
        "reread": plain(reread),
        "difference": plain((reread - confirmed) * multiplier),
    }


def plain(value: Decimal) -> str:
    """A quantity as people write it: no exponent, no zeros behind the last digit."""
    return f"{value.normalize():f}"
