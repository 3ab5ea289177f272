"""The checks V1–V12 a reading goes through, in their order.

One capture (all registers of a meter read at one moment) is judged together. Findings of
severity ``hold`` keep it for the office; V12 (place and time of the capture) never holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from server.metering.rules.consumption import Dial, Use, between, parts_disagree
from server.metering.rules.expectation import Expectation
from server.metering.rules.limits import CheckLimits, Severity

HOLD, WARN, INFO = Severity.HOLD, Severity.WARN, Severity.INFO

ACTUAL_QUALITIES = ("regular", "verified", "customer")
ESTIMATE_QUALITIES = ("office_estimate", "system_estimate", "system_prorate")

MESSAGES: Mapping[str, str] = {
    "reading.not_installed": "This meter was not installed at this point when it was read.",
    "reading.unknown_point": "There is no such service point.",
    "reading.register": "The meter has no such register.",
    "reading.incomplete": "A register of the meter is missing.",
    "reading.digits": "The dial cannot show this value.",
    "reading.future": "The reading was taken in the future.",
    "reading.before_previous": "A later reading has been billed already.",
    "reading.same_time": "There is a confirmed reading of the same moment.",
    "reading.duplicate": "The order has a confirmed reading already.",
    "reading.previous_unconfirmed": "The previous reading is still held.",
    "reading.below_previous": "The reading is below the previous one.",
    "reading.above_next": "The reading is above the next one.",
    "reading.zero": "Nothing was used.",
    "reading.high": "More was used than the limit.",
    "reading.low": "Less was used than the limit.",
    "reading.tou_sum": "The time-of-use registers do not add up to the total.",
    "reading.estimates": "Too many estimates in a row.",
    "reading.inactive_use": "The point is inactive and was used.",
    "reading.no_fix": "The capture has no position.",
    "reading.inaccurate": "The position is too rough to tell where the reading was taken.",
    "reading.far": "The reading was taken far from the point.",
    "reading.mock": "The position was made by a program.",
    "reading.hurried": "The reading followed the one before too soon.",
    "reading.speed": "The rep cannot have come here so fast.",
    "reading.hours": "The reading was taken outside working hours.",
    "reading.clock": "The clock of the device is wrong.",
    "reading.as_expected": "The reading is exactly what was expected.",
    "reading.not_your_route": "The route was given to somebody else.",
    "reading.order": "The order belongs to another point.",
    "reading.superseded": "The capture was taken back by a later one.",
    "reading.first": "The register has no earlier reading to compare with.",
    "reading.not_own": "Only the own capture can be taken back.",
    "reading.exchange": "An exchange cannot be taken back by a reading.",
    "reading.billed": "The reading to take back has been billed.",
}


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
        holds = [f for f in self.findings if f.severity is HOLD]
        return min(holds, key=lambda f: _FIRST.get(f.code, len(_FIRST)), default=None)

    @property
    def warning(self) -> Finding | None:
        """The first finding that asks for a look."""
        return next((f for f in self.findings if f.severity is WARN), None)


_FIRST = {"reading.billed": 0, "reading.not_own": 1, "reading.duplicate": 2}
"""Codes that say more than what else is wrong; the others count in the order of the checks."""


def judge(capture: Capture, limits: CheckLimits) -> Judgement:
    """Run every check over a capture."""
    uses = {} if capture.problem else _uses(capture, limits)
    findings: list[Finding] = []
    for check in _CHECKS:
        findings.extend(check(capture, limits, uses))
    return Judgement(tuple(findings), uses)


def _uses(capture: Capture, limits: CheckLimits) -> dict[str, Use]:
    """The use of every register that can be found; those that went backwards are left out."""
    uses = {}
    for item in capture.dials:
        if item.dial is None or item.previous is None or not item.dial.shows(item.value):
            continue
        use = between(
            item.previous.value,
            item.value,
            item.dial,
            capture.multiplier,
            previous_actual=item.previous.actual,
            expected=item.expectation.expected if item.expectation else None,
            gate=limits.gate,
        )
        if use is not None:
            uses[item.kind] = use
    return uses


def _installed(
    capture: Capture, _limits: CheckLimits, _uses: Mapping[str, Use]
) -> Iterator[Finding]:
    """V1: the meter is the one installed at the read time, with all its registers."""
    if capture.problem:
        yield Finding("V1", HOLD, capture.problem, None, dict(capture.problem_figures))
        return
    for item in capture.dials:
        if item.dial is None:
            yield Finding("V1", HOLD, "reading.register", item.kind, {"register": item.kind})
    if capture.missing_kinds:
        detail = {"registers": ", ".join(capture.missing_kinds)}
        yield Finding("V1", HOLD, "reading.incomplete", None, detail)


def _digits(capture: Capture, _limits: CheckLimits, _uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V2: the dial can show the value."""
    for item in capture.dials:
        if item.dial is not None and not item.dial.shows(item.value):
            detail = {
                "value": str(item.value),
                "digits": str(item.dial.integer_digits),
                "decimals": str(item.dial.decimals),
            }
            yield Finding("V2", HOLD, "reading.digits", item.kind, detail)


def _times(capture: Capture, limits: CheckLimits, _uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V3: not in the future, and not before what has been billed."""
    ahead = capture.read_at - capture.received_at
    if ahead > limits.future:
        minutes = str(ahead // timedelta(minutes=1))
        yield Finding("V3", HOLD, "reading.future", None, {"minutes": minutes})
    for item in capture.dials:
        if item.same_time:
            yield Finding("V3", HOLD, "reading.same_time", item.kind, {})
        if item.next is not None and item.next.billed:
            detail = {"next_at": item.next.read_at.isoformat()}
            yield Finding("V3", HOLD, "reading.before_previous", item.kind, detail)


def _duplicate(
    capture: Capture, _limits: CheckLimits, _uses: Mapping[str, Use]
) -> Iterator[Finding]:
    """V4: one confirmed reading for each order and register."""
    for item in capture.dials:
        if item.taken:
            figures = {}
            if item.standing is not None:
                figures = difference(item.standing, item.value, capture.multiplier)
            yield Finding("V4", HOLD, "reading.duplicate", item.kind, figures)


def _previous(
    capture: Capture, _limits: CheckLimits, _uses: Mapping[str, Use]
) -> Iterator[Finding]:
    """V5: the previous reading is confirmed; noted when there is none at all."""
    for item in capture.dials:
        if item.unconfirmed_before:
            yield Finding("V5", HOLD, "reading.previous_unconfirmed", item.kind, {})
        elif item.dial is not None and item.previous is None:
            yield Finding("V5", INFO, "reading.first", item.kind, {})


def _backwards(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V6: the dial did not go backwards, seen from the previous reading and from the next."""
    for item in capture.dials:
        if capture.problem or item.dial is None or not item.dial.shows(item.value):
            continue
        if item.previous is not None and item.kind not in uses:
            detail = {
                "previous": plain(item.previous.value),
                "value": plain(item.value),
                "previous_quality": "actual" if item.previous.actual else "estimate",
            }
            yield Finding("V6", HOLD, "reading.below_previous", item.kind, detail)
        if item.next is not None and not _leads_to(item.next, item, item.dial, capture, limits):
            detail = {"value": plain(item.value), "next": plain(item.next.value)}
            yield Finding("V6", HOLD, "reading.above_next", item.kind, detail)


def _leads_to(
    later: Later, item: DialReading, dial: Dial, capture: Capture, limits: CheckLimits
) -> bool:
    use = between(
        item.value,
        later.value,
        dial,
        capture.multiplier,
        previous_actual=capture.quality in ACTUAL_QUALITIES,
        expected=item.expectation.expected if item.expectation else None,
        gate=limits.gate,
    )
    return use is not None


def _zero(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V7: something was used."""
    for item in capture.dials:
        use = uses.get(item.kind)
        if use is not None and use.quantity == 0:
            severity = INFO if item.verified else limits.zero
            yield Finding("V7", severity, "reading.zero", item.kind, {})


def _high_low(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V8: the use is within the limits; a value keyed twice on the spot counts as verified."""
    for item in capture.dials:
        use, expectation = uses.get(item.kind), item.expectation
        if use is None or expectation is None or use.quantity == 0:
            continue
        severity = _beyond(use.quantity, expectation, limits)
        if severity is None:
            continue
        high = use.quantity > expectation.high
        detail = {
            "quantity": plain(use.quantity),
            "expected": plain(expectation.expected),
            "limit": plain(expectation.high if high else expectation.low),
        }
        code = "reading.high" if high else "reading.low"
        yield Finding("V8", INFO if item.verified else severity, code, item.kind, detail)


def _beyond(quantity: Decimal, expectation: Expectation, limits: CheckLimits) -> Severity | None:
    if expectation.low <= quantity <= expectation.high:
        return None
    if expectation.hold_low <= quantity <= expectation.hold_high:
        return WARN
    return limits.beyond_limits


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


def _sum(capture: Capture, _limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V9: the time-of-use registers add up to the total."""
    dials = [item.dial for item in capture.dials if item.dial is not None]
    wrong = parts_disagree(uses, dials, capture.multiplier)
    if wrong is not None:
        detail = {"difference": plain(wrong[0]), "tolerance": plain(wrong[1])}
        yield Finding("V9", HOLD, "reading.tou_sum", None, detail)


def _estimates(
    capture: Capture, limits: CheckLimits, _uses: Mapping[str, Use]
) -> Iterator[Finding]:
    """V10: not too many estimates in a row."""
    if capture.quality in ESTIMATE_QUALITIES:
        in_row = capture.estimates_before + 1
        if in_row > limits.max_estimates_in_row:
            yield Finding("V10", HOLD, "reading.estimates", None, {"in_row": str(in_row)})


def _inactive(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V11: nothing is used at an inactive point."""
    if capture.point_active:
        return
    for kind, use in uses.items():
        if use.quantity > 0:
            detail = {"quantity": plain(use.quantity)}
            yield Finding("V11", limits.inactive_use, "reading.inactive_use", kind, detail)


def _signals(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """V12: place and time of the capture; noted and scored, never a reason to hold."""
    if capture.signals is None:
        return
    for severity, code, detail in _place(capture.signals, limits):
        yield Finding("V12", severity, code, None, detail)
    for severity, code, detail in _pace(capture, capture.signals, limits):
        yield Finding("V12", severity, code, None, detail)
    for item in capture.dials:
        use = uses.get(item.kind)
        expectation = item.expectation
        if use and expectation and use.quantity == expectation.expected > 0:
            yield Finding("V12", INFO, "reading.as_expected", item.kind, {})


def _place(
    signals: LocationSignals, limits: CheckLimits
) -> Iterator[tuple[Severity, str, dict[str, str]]]:
    if signals.absent is not None:
        yield INFO, "reading.no_fix", {"reason": signals.absent}
        return
    if signals.mock:
        yield WARN, "reading.mock", {}
    accuracy = signals.accuracy_m or 0.0
    if accuracy > limits.max_accuracy_m:
        yield INFO, "reading.inaccurate", {"accuracy_m": f"{accuracy:.0f}"}
    allowed = max(limits.near_m, limits.accuracy_factor * accuracy)
    if signals.distance_m is not None and signals.distance_m > allowed:
        detail = {"distance_m": f"{signals.distance_m:.0f}", "allowed_m": f"{allowed:.0f}"}
        yield WARN, "reading.far", detail


def _pace(
    capture: Capture, signals: LocationSignals, limits: CheckLimits
) -> Iterator[tuple[Severity, str, dict[str, str]]]:
    pause, speed, skew = signals.since_last_s, signals.speed_kmh, signals.clock_skew_s
    if pause is not None and pause < limits.least_pause.total_seconds():
        yield WARN, "reading.hurried", {"seconds": f"{pause:.0f}"}
    if speed is not None and speed > limits.max_speed_kmh:
        yield WARN, "reading.speed", {"speed_kmh": f"{speed:.0f}"}
    if capture.read_at - capture.received_at <= limits.future:
        local = capture.read_at.astimezone(capture.zone)
        if not limits.day_starts <= local.time() <= limits.day_ends:
            yield INFO, "reading.hours", {"local_time": f"{local:%H:%M}"}
    if skew is not None and abs(skew) > limits.max_clock_skew.total_seconds():
        yield WARN, "reading.clock", {"skew_s": f"{skew:.0f}"}


_CHECKS = (
    _installed,
    _digits,
    _times,
    _duplicate,
    _previous,
    _backwards,
    _zero,
    _high_low,
    _sum,
    _estimates,
    _inactive,
    _signals,
)
