"""The console's words about tariffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

NAMES: Mapping[str, Any] = {
    "sum": _l("time of use together"),
    "component.energy": _l("energy"),
    "component.fixed": _l("fixed charge"),
    "component.minimum": _l("minimum"),
    "component.tax": _l("tax"),
    "component.surcharge": _l("surcharge"),
    "component.discount": _l("discount"),
    "rounding": _l("rounding"),
    "basis.period": _l("tiers of a bill"),
    "basis.days": _l("tiers by days"),
    "basis.calendar_year": _l("tiers of the calendar year"),
    "part_months.calendar_days": _l("part months by their days"),
    "part_months.thirtieths": _l("part months by 1/30 a day"),
    "part_months.month_ends": _l("counted where the month ends"),
    "rounding.lines_then_sum": _l("each line"),
    "rounding.sum_then_round": _l("the sum alone"),
    "rounding.half_up": _l("half up"),
    "rounding.half_even": _l("half to even"),
    "rounding.down": _l("down"),
    "change.split": _l("a change splits by days"),
    "change.value_at_start": _l("counts from the next period"),
    "change.value_at_end": _l("counts for the whole period"),
    "tariff.put": _l("has put in the tariff version"),
}

REFUSALS: Mapping[str, Any] = {
    "tariff.version_exists": _l("There are other prices from that day already."),
    "tariff.currency": _l("The tariff is in another currency than the bills here."),
    "tariff.not_valid": _l("No version is valid on the last day."),
    "tariff.currencies": _l("The currency changes within the period."),
    "tariff.unknown": _l("There is no such tariff."),
    "quote.period": _l("The last day lies before the first."),
    "quote.class": _l("The tariff has no price for this class."),
    "quote.register": _l("The tariff charges for other registers."),
    "quote.number": _l("A quantity is no number with at most six decimal places."),
    "quote.year": _l("The year cannot be read."),
}
