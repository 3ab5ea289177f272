"""The sentence of each code that a reading may be told."""

from __future__ import annotations

from collections.abc import Mapping

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
