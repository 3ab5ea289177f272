"""Hourly values as a CSV file: ``meter_serial,at,value`` and, for meters of several, ``register``.

The file is read line by line and taken in slices, so that its size does not matter. A time without an
offset is one of the operator's zone.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from zoneinfo import ZoneInfo

from server.accounts.models import REGISTER_KINDS
from server.errors import Invalid
from server.metering.intervals.service import NewValue, Taken

COLUMNS = ("meter_serial", "at", "value")
SLICE = 2000
_PLACES = 6
_NAMES = (*COLUMNS, "register")


@dataclass(frozen=True)
class BadLine:
    """A line that was not taken, and why."""

    line: int
    code: str
    message: str


@dataclass
class Report:
    """What became of a file."""

    lines: int = 0
    became: Counter[str] = field(default_factory=Counter)
    bad: list[BadLine] = field(default_factory=list)


def read(
    lines: Iterable[str], zone: ZoneInfo, report: Report
) -> Iterator[list[tuple[int, NewValue]]]:
    """Slices of (line number, value); lines that cannot be read go into the report.

    Raises Invalid ``csv.columns`` when a column is missing.
    """
    reader = csv.DictReader(lines)
    names = [name.strip().lower().lstrip("\ufeff") for name in reader.fieldnames or []]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise Invalid(
            "csv.columns", f"The file lacks the columns {', '.join(missing)}.", {"missing": missing}
        )
    reader.fieldnames = names
    good = _good(reader, zone, report)
    while found := list(islice(good, SLICE)):
        yield found


def _good(
    reader: csv.DictReader[str], zone: ZoneInfo, report: Report
) -> Iterator[tuple[int, NewValue]]:
    for row in reader:
        report.lines += 1
        try:
            yield reader.line_num, _value(row, zone)
        except Invalid as problem:
            report.bad.append(BadLine(reader.line_num, problem.code, problem.message))


def _value(row: dict[str, str | None], zone: ZoneInfo) -> NewValue:
    cells = {name: (text or "").strip() for name, text in row.items() if name in _NAMES}
    serial, register = cells["meter_serial"], cells.get("register") or "total"
    if not 0 < len(serial) <= 40:
        raise Invalid("row.invalid", "meter_serial is missing or too long.")
    if register not in REGISTER_KINDS:
        raise Invalid("row.invalid", f"There is no register {register[:20]}.")
    return NewValue(serial, _time(cells["at"], zone), _number(cells["value"]), register)


def _time(text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("row.invalid", f"{text[:40]!r} is no time.") from None
    if not 1900 < at.year < 2200:
        raise Invalid("row.invalid", f"{text[:40]!r} is no time of ours.")
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Invalid("row.invalid", f"{text[:40]!r} is no number.") from None
    if not value.is_finite() or not 0 <= value < 10**12 or value != round(value, _PLACES):
        raise Invalid("row.invalid", f"{text[:40]!r} is no figure of a dial.")
    return value


def count(report: Report, lines: Sequence[int], outcomes: Sequence[Taken]) -> None:
    """Note what became of a slice in the report."""
    for line, outcome in zip(lines, outcomes, strict=True):
        if outcome.problem is None:
            report.became[outcome.became] += 1
        else:
            report.bad.append(BadLine(line, outcome.problem.code, outcome.problem.message))
