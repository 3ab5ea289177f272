"""Shifts as spans of time."""

from __future__ import annotations

from server.tracking.rules import shifts
from server.tracking.rules.shifts import Span

HOUR = 3_600_000


def test_a_shift_covers_both_its_ends():
    spans = shifts.union([shifts.span(10, 20)])
    assert [at for at in (9, 10, 15, 20, 21) if shifts.covered(spans, at)] == [10, 15, 20]


def test_a_shift_without_a_start_covers_nothing():
    assert shifts.span(None, 20) is None


def test_a_shift_that_ends_before_it_starts_covers_nothing():
    assert shifts.span(20, 10) is None


def test_a_forgotten_end_counts_as_a_day():
    assert shifts.span(0, None) == Span(0, 24 * HOUR)


def test_shifts_that_overlap_or_touch_are_one():
    spans = [Span(50, 60), Span(10, 20), Span(15, 30), Span(31, 40), None]
    assert shifts.union(spans) == [Span(10, 40), Span(50, 60)]


def test_what_lies_outside_is_what_remains():
    cut = [Span(0, 9), Span(20, 29), Span(90, 200)]
    assert shifts.minus(Span(5, 100), cut) == [Span(10, 19), Span(30, 89)]
    assert shifts.minus(Span(21, 25), cut) == []
    assert shifts.minus(Span(40, 50), cut) == [Span(40, 50)]
