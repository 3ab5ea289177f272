"""The invariants of a run: what the witness saw against what a server or a device holds.

Every id the device called saved is held exactly once, with equal content; an id whose capture was cut
short is held once or not at all; nothing is held that no witness saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from device_sim.store import Kept, Store
from device_sim.witness import Witnessed, digest, read_witness


@dataclass(frozen=True)
class Held:
    """One item held by the other side: its id and, when known, the hash of its data and of its photos."""

    id: str
    digest: str | None = None
    attachments: frozenset[str] | None = None


@dataclass
class Report:
    """What is wrong; all lists empty means the run kept every promise."""

    witnessed: int = 0
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    without_photos: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        wrong = (self.missing, self.twice, self.different, self.unknown, self.without_photos)
        return not any(wrong)


def compare(witnessed: Iterable[Witnessed], held: Iterable[Held]) -> Report:
    """Compare witnessed captures with what is held; ``held`` may name an id more than once."""
    seen = {entry.id: entry for entry in witnessed}
    rows = list(held)
    counts = Counter(row.id for row in rows)
    return Report(
        witnessed=len(seen),
        missing=[i for i, entry in seen.items() if entry.saved and not counts[i]],
        twice=[i for i in seen if counts[i] > 1],
        different=[
            row.id
            for row in rows
            if row.id in seen and row.digest and row.digest != seen[row.id].digest
        ],
        unknown=[i for i in counts if i not in seen],
        without_photos=[
            row.id
            for row in rows
            if row.id in seen
            and row.attachments is not None
            and not row.attachments >= set(seen[row.id].attachments)
        ],
    )


def witness_files(state: Path) -> list[Path]:
    """The witness files under a state folder (of one handheld, or of a fleet)."""
    return sorted(state.rglob("witness.jsonl"))


def acknowledged(folder: Path) -> list[Held]:
    """What a server acknowledged to the device whose folder this is."""
    store = Store(folder / "device.sqlite3")
    try:
        here = {sha256 for sha256, state in store.photos().items() if state != "waiting"}
        return [_held(item, here) for item in store.items() if item.state == "done"]
    finally:
        store.close()


def _held(item: Kept, photos: set[str]) -> Held:
    named = {file["sha256"] for file in item.body.get("attachments") or []}
    return Held(item.id, digest(item.body["data"]), frozenset(named & photos))


def check_device(folder: Path) -> Report:
    """Whether every witnessed capture of a device was acknowledged by a server."""
    return compare(read_witness(folder / "witness.jsonl"), acknowledged(folder))
