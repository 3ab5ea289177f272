"""V12: place and time of a capture; noted and scored, never a reason to hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.metering.rules.consumption import Use
from server.metering.rules.findings import Capture, Finding, LocationSignals
from server.metering.rules.limits import CheckLimits, Severity

WARN, INFO = Severity.WARN, Severity.INFO


def signals(capture: Capture, limits: CheckLimits, uses: Mapping[str, Use]) -> Iterator[Finding]:
    """What place, pace and clock of a capture, and its very figures, say about how it was taken."""
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
