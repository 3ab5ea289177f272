"""What the server stored of the tracks, read from its database.

No face hands out raw points in bulk, and a count would not tell a lost point from a doubled one.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

_POINTS = (
    "SELECT device_id, fix_ms, lat_e7, lon_e7 FROM track_point"
    " UNION ALL SELECT device_id, fix_ms, lat_e7, lon_e7 FROM quarantined_point"
)
_KEPT = "SELECT device_id, code, body FROM capture_reject"


@dataclass
class Tracks:
    """The points by device and time: how often each stands in a track, and all of its places.

    ``shown`` are those of tracks that joined none and wait for the office; ``reasons`` says how many
    such tracks there are under each reason.
    """

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    places: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    shown: set[tuple[int, int]] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


def read_tracks(database_url: str) -> Tracks:
    """Read the points that a server's database holds."""
    found = Tracks()
    for device_id, fix_ms, *place in _rows(database_url, _POINTS):
        found.counts[device_id, fix_ms] += 1
        found.places[device_id, fix_ms] = (place[0], place[1])
    for device_id, code, body in _rows(database_url, _KEPT):
        points = _points_of(body)
        found.shown |= {(device_id, point[0]) for point in points}
        found.reasons[code] += bool(points)
    return found


def count_points(database_url: str) -> dict[int, int]:
    """How many points of each device stand in a track."""
    counted = "SELECT device_id, count(*) FROM track_point GROUP BY device_id"
    return {device_id: number for device_id, number in _rows(database_url, counted)}


def _points_of(body: str) -> list[list[int]]:
    """The points of a track that was kept as it came; none when the body is something else."""
    try:
        track = json.loads(body)
    except ValueError:
        return []
    return track.get("points") or [] if isinstance(track, dict) else []


def _rows(database_url: str, statement: str) -> Iterator[Any]:
    if database_url.startswith("sqlite:///"):
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as db:
            yield from db.execute(statement)
        return
    import psycopg  # noqa: PLC0415  # only a run on PostgreSQL needs it

    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as connection:
        yield from connection.execute(statement)
