"""Files of the past: which meter hung where, and what the dials showed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select

from server.accounts.models import (
    REGISTER_KINDS,
    Installation,
    Meter,
    Register,
    ServicePoint,
)
from server.db import Session, insert_rows, take_ids, update_rows
from server.imports import fields, timeline
from server.imports.store import ids_of, touch_points
from server.imports.subject import Chunk, Column, Row, Subject
from server.imports.timeline import Hanging, Past
from server.metering.models import QUALITIES
from server.metering.rules.consumption import Dial

INSTALLED, REMOVED = "21", "22"
REASONS = ("01", "02", "03", "06", "09", "10", "13", "18", "21", "22")


@dataclass
class Known:
    """An installation that exists or is about to."""

    meter_id: int
    point_id: int
    installed_at: datetime
    removed_at: datetime | None
    multiplier: Decimal
    id: int = 0

    def overlaps(self, other: Known) -> bool:
        """Tell whether the two times have a moment in common."""
        return (other.removed_at is None or self.installed_at < other.removed_at) and (
            self.removed_at is None or other.installed_at < self.removed_at
        )


@dataclass
class Board:
    """Installations by their meter and by their point."""

    by_meter: dict[int, list[Known]] = field(default_factory=lambda: defaultdict(list))
    by_point: dict[int, list[Known]] = field(default_factory=lambda: defaultdict(list))

    def add(self, known: Known) -> None:
        """Put an installation on the board."""
        self.by_meter[known.meter_id].append(known)
        self.by_point[known.point_id].append(known)

    def same_as(self, wanted: Known) -> Known | None:
        """The installation with the same meter, point and start."""
        for each in self.by_meter[wanted.meter_id]:
            if (each.point_id, each.installed_at) == (wanted.point_id, wanted.installed_at):
                return each
        return None


def load_installations(session: Session, chunk: Chunk) -> None:
    """Hang meters at points and take them down, with the readings of those moments."""
    meters = ids_of(session, Meter, "serial", chunk.values("meter_serial"))
    points = ids_of(session, ServicePoint, "point_no", chunk.values("point_no"))
    chunk.require("meter_serial", meters, "meter")
    chunk.require("point_no", points, "service_point")
    _check_ends(session, chunk, meters)
    board = _board(session, set(meters.values()), set(points.values()))
    new: list[Known] = []
    closed: dict[int, Known] = {}
    for row in sorted(chunk.rows, key=lambda row: row["installed_at"]):
        wanted = Known(
            meters[row["meter_serial"]],
            points[row["point_no"]],
            row["installed_at"],
            row["removed_at"],
            row["multiplier"],
        )
        _settle(chunk, row, wanted, board, new, closed)
    _write(session, chunk, new, closed)
    hanging = timeline.hangings(session, list(points.values()))
    before = chunk.tally.added, chunk.tally.changed, chunk.tally.unchanged
    timeline.bring_in(session, chunk, list(_ends(chunk, hanging, points)))
    chunk.tally.added, chunk.tally.changed, chunk.tally.unchanged = before
    touched = [*new, *closed.values()]
    chunk.tally.added += len(new)
    chunk.tally.changed += len(closed)
    chunk.tally.unchanged += max(0, len(chunk.rows) - len(touched))
    touch_points(session, (each.point_id for each in touched))


def _check_ends(session: Session, chunk: Chunk, meters: dict[Any, int]) -> None:
    """Refuse rows whose first or last readings their meter cannot have shown."""
    dials: dict[int, dict[str, Dial]] = defaultdict(dict)
    wanted = Register.meter_id.in_(meters.values())
    for register in session.execute(select(Register).where(wanted)).scalars():
        dial = Dial(register.kind, register.integer_digits, register.decimals)
        dials[register.meter_id][register.kind] = dial
    for row in chunk.rows:
        if row["final"] and row["removed_at"] is None:
            chunk.refuse(row, "final", "import.period", "needs removed_at")
        for column in ("initial", "final"):
            for kind, value in (row[column] or {}).items():
                dial_of_kind = dials[meters[row["meter_serial"]]].get(kind)
                if dial_of_kind is None:
                    reason = f"names the dial {kind}, which the meter does not have"
                    chunk.refuse(row, column, "import.unknown_register", reason)
                elif not dial_of_kind.shows(value):
                    chunk.refuse(row, column, "import.digits", "cannot be shown by the dial")


def _board(session: Session, meters: set[int], points: set[int]) -> Board:
    """The installations of these meters and of these points."""
    board = Board()
    rows = session.execute(
        select(Installation).where(
            or_(
                Installation.meter_id.in_(sorted(meters)),
                Installation.service_point_id.in_(sorted(points)),
            )
        )
    ).scalars()
    for row in rows:
        board.add(
            Known(
                row.meter_id,
                row.service_point_id,
                row.installed_at,
                row.removed_at,
                row.multiplier,
                row.id,
            )
        )
    return board


def _settle(
    chunk: Chunk,
    row: Row,
    wanted: Known,
    board: Board,
    new: list[Known],
    closed: dict[int, Known],
) -> None:
    """Find out what a row is: known already, the end of a known one, new, or a mistake."""
    end = wanted.removed_at
    if end is not None and end < wanted.installed_at:
        chunk.refuse(row, "removed_at", "import.period", "lies before installed_at")
        return
    same = board.same_as(wanted)
    if same is not None:
        if same.multiplier != wanted.multiplier:
            reason = f"cannot change: uses stand on {same.multiplier.normalize():f}"
            chunk.refuse(row, "multiplier", "import.installation_differs", reason)
        elif same.removed_at is not None and same.removed_at != end:
            reason = "cannot change: the meter has been taken down already"
            chunk.refuse(row, "removed_at", "import.installation_differs", reason)
        elif same.removed_at != end:
            same.removed_at = end
            closed[same.id] = same
    elif any(each.overlaps(wanted) for each in board.by_meter[wanted.meter_id]):
        chunk.refuse(row, "meter_serial", "import.overlap", "hangs elsewhere at that time")
    elif any(each.overlaps(wanted) for each in board.by_point[wanted.point_id]):
        chunk.refuse(row, "point_no", "import.overlap", "has another meter at that time")
    else:
        board.add(wanted)
        new.append(wanted)


def _write(session: Session, chunk: Chunk, new: list[Known], closed: dict[int, Known]) -> None:
    """Close first, so that a point whose meter is exchanged never has two."""
    update_rows(
        session,
        Installation,
        ("id",),
        [{"id": number, "removed_at": each.removed_at} for number, each in closed.items()],
    )
    ids = take_ids(session, {Installation: len(new)}).get(Installation, [])
    insert_rows(
        session,
        Installation,
        [
            {
                "id": number,
                "created_at": chunk.now,
                "meter_id": each.meter_id,
                "service_point_id": each.point_id,
                "multiplier": each.multiplier,
                "installed_at": each.installed_at,
                "removed_at": each.removed_at,
            }
            for number, each in zip(ids, new, strict=True)
        ],
    )


def _ends(
    chunk: Chunk, hanging: dict[int, list[Hanging]], points: dict[Any, int]
) -> Iterator[Past]:
    """The first and the last readings of the installations in a chunk."""
    for row in chunk.rows:
        found = next(
            each
            for each in hanging[points[row["point_no"]]]
            if each.serial == row["meter_serial"] and each.installed_at == row["installed_at"]
        )
        for column, at, reason in (
            ("initial", row["installed_at"], INSTALLED),
            ("final", row["removed_at"], REMOVED),
        ):
            for kind, value in (row[column] or {}).items() if at is not None else ():
                billed = row["billed"] if reason == REMOVED else True
                yield Past(row, column, found, kind, value, at, reason, "regular", billed)


def load_readings(session: Session, chunk: Chunk) -> None:
    """Store what dials showed; the meter is the one that hung at the point at that time."""
    points = ids_of(session, ServicePoint, "point_no", chunk.values("point_no"))
    chunk.require("point_no", points, "service_point")
    hanging = timeline.hangings(session, list(points.values()))
    readings = []
    for row in chunk.rows:
        if row["read_at"] > chunk.now:
            chunk.refuse(row, "read_at", "import.future", "lies in the future")
            continue
        found = _hanging_at(hanging.get(points[row["point_no"]], []), row)
        if found is None:
            reason = "had no such meter at that time"
            chunk.refuse(row, "point_no", "import.not_installed", reason)
        elif row["register"] not in found.dials:
            reason = f"is no dial of the meter {found.serial}"
            chunk.refuse(row, "register", "import.unknown_register", reason)
        else:
            readings.append(
                Past(
                    row,
                    "value",
                    found,
                    row["register"],
                    row["value"],
                    row["read_at"],
                    row["reason"],
                    row["quality"],
                    row["billed"],
                )
            )
    timeline.bring_in(session, chunk, readings)


def _hanging_at(hanging: list[Hanging], row: Row) -> Hanging | None:
    """The installation a reading belongs to; at the moment of an exchange the new meter's."""
    fitting = [
        each
        for each in hanging
        if each.covers(row["read_at"]) and row["meter_serial"] in (None, each.serial)
    ]
    return fitting[-1] if fitting else None


INSTALLATIONS = Subject(
    "installations.csv",
    "Which meter hangs at which point, from when to when, with the readings of those moments",
    (
        Column("meter_serial", fields.text(40), "The meter.", "DDS20140001", required=True),
        Column("point_no", fields.text(40), "The point.", "M00001", required=True),
        Column(
            "multiplier",
            fields.number(6, Decimal("0.000001")),
            "Units of supply for each unit of the dial (CT × PT).",
            "1",
            default=Decimal(1),
        ),
        Column("installed_at", fields.instant, "When it was hung.", "2024-01-01", required=True),
        Column(
            "initial",
            fields.dial_values(REGISTER_KINDS),
            "What the dials showed then: one number, or kind=number by semicolons.",
            "12",
        ),
        Column("removed_at", fields.instant, "When it was taken down.", "2026-05-01 09:30"),
        Column("final", fields.dial_values(REGISTER_KINDS), "What the dials showed then.", "11990"),
        Column(
            "billed", fields.yes_no, "Whether the use up to `final` is billed.", "yes", default=True
        ),
    ),
    ("meter_serial", "point_no", "installed_at"),
    load_installations,
)

READINGS = Subject(
    "readings.csv",
    "What dials showed in the past; fastest when the rows of a point stand together",
    (
        Column("point_no", fields.text(40), "The point.", "M00001", required=True),
        Column("meter_serial", fields.text(40), "Its meter, where it matters.", "DDS20140001"),
        Column("register", fields.choice(REGISTER_KINDS), "The dial.", "total", default="total"),
        Column("value", fields.number(6, Decimal(0)), "What it showed.", "11500", required=True),
        Column("read_at", fields.instant, "When.", "2026-04-22 08:23", required=True),
        Column("reason", fields.choice(REASONS), "Why it was read.", "01", default="01"),
        Column(
            "quality", fields.choice(QUALITIES), "How good it is.", "regular", default="regular"
        ),
        Column("billed", fields.yes_no, "Whether the use up to it is billed.", "yes", default=True),
    ),
    ("point_no", "meter_serial", "register", "read_at"),
    load_readings,
)
