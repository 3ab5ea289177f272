"""The checks V1–V12 a reading goes through, in their order.

One capture (all registers of a meter read at one moment) is judged together. Findings of
severity ``hold`` keep it for the office; V12 (place and time of the capture) never holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

from server.metering.rules import location
from server.metering.rules.consumption import Dial, Use, between, parts_disagree
from server.metering.rules.expectation import Expectation
from server.metering.rules.findings import (
    ACTUAL_QUALITIES,
    ESTIMATE_QUALITIES,
    Capture,
    DialReading,
    Finding,
    Judgement,
    Later,
    difference,
    plain,
)
from server.metering.rules.limits import CheckLimits, Severity

HOLD, WARN, INFO = Severity.HOLD, Severity.WARN, Severity.INFO


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
    location.signals,
)
