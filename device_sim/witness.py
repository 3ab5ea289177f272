"""The witness: an append-only file that knows every id a device ever captured.

It is written and synced to disk *before* the outbox, and it decides at the end, not the device. A line
``begin`` says that the capture was attempted; a line ``saved`` says that the person was told "saved".
A begun capture without ``saved`` died in between: it may be on the server once, or not at all. Points of
the track are written the same way, some at a time: ``passing`` before the store has them, ``passed`` after.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from device_sim.steps import Step, pass_by

# A line is written in two parts, so that a battery can be pulled in its middle.
TORN_AT = 24


@dataclass(frozen=True)
class Witnessed:
    """One captured id: its type, a hash of its data, whether it was called saved, its photos."""

    id: str
    type: str
    digest: str
    saved: bool
    attachments: tuple[str, ...] = ()


def digest(data: Any) -> str:
    """SHA-256 of an item's data in one canonical spelling, to compare content across databases."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Witness:
    """Appends to one device's witness file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.step: Step = pass_by
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._end_torn_line()

    def begin(self, item: dict[str, Any], *, synced: bool = True) -> None:
        """Write the id of an item about to be stored, and wait until it is on disk.

        Where nobody pulls a battery, many items may be begun and only the last waited for.
        """
        self.step("witness.begin")
        self._write(
            {
                "begin": item["id"],
                "seq": item["seq"],
                "type": item["type"],
                "captured_at": item["captured_at"],
                "digest": digest(item["data"]),
                "attachments": [file["sha256"] for file in item.get("attachments") or []],
            }
        )
        if synced:
            os.fsync(self._fd)
        self.step("witness.begun")

    def saved(self, item_id: str) -> None:
        """Write that the outbox holds the item. Not synced: a killed process cannot lose a write."""
        self._write({"saved": item_id})
        self.step("witness.saved")

    def passing(self, points: Sequence[Sequence[int]]) -> None:
        """Write the track rows about to be stored: time and place of each."""
        self._write({"passing": [list(point[:3]) for point in points]})
        os.fsync(self._fd)

    def passed(self) -> None:
        """Write that the store holds the track rows written last."""
        self._write({"passed": True})

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _write(self, line: dict[str, Any]) -> None:
        raw = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        os.write(self._fd, raw[:TORN_AT])
        self.step("witness.torn")
        os.write(self._fd, raw[TORN_AT:])

    def _end_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size and self.path.read_bytes()[-1:] != b"\n":
            os.write(self._fd, b"\n")


def read_witness(path: Path) -> list[Witnessed]:
    """Every id of one witness file in order of capture; a line torn by a power cut is skipped."""
    begun: dict[str, dict[str, Any]] = {}
    saved: set[str] = set()
    for line in _lines(path):
        if "begin" in line:
            begun[line["begin"]] = line
        elif "saved" in line:
            saved.add(line["saved"])
    return [
        Witnessed(
            item_id,
            line["type"],
            line["digest"],
            item_id in saved,
            tuple(line.get("attachments") or ()),
        )
        for item_id, line in begun.items()
    ]


@dataclass(frozen=True)
class Passed:
    """The points of one time in a track: a device keeps one of them; ``kept`` says that it has.

    Places are (latitude, longitude) in 1e-7 degrees.
    """

    places: frozenset[tuple[int, int]] = frozenset()
    kept: bool = False


def read_passed(path: Path) -> dict[int, Passed]:
    """Every track point of one witness file by its time in milliseconds since 1970."""
    found: dict[int, Passed] = defaultdict(Passed)
    last: list[list[int]] = []
    for line in _lines(path):
        if "passing" in line:
            last = line["passing"]
            for fix_ms, *place in last:
                before = found[fix_ms]
                found[fix_ms] = replace(before, places=before.places | {(place[0], place[1])})
        elif "passed" in line:
            for fix_ms, *_ in last:
                found[fix_ms] = replace(found[fix_ms], kept=True)
    return dict(found)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for raw in path.read_bytes().splitlines():
        try:
            value = json.loads(raw)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
