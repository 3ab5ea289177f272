"""Taking an own capture back: which stored rows go, and which requests have to be held.

A rep may take his own capture back as long as its use is on no bill; the office may correct what
is held. After the bill it is a
request: the new capture is held, and a second person cancels and bills again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from server.db import Session
from server.metering.rules.findings import difference
from server.metering.service.captures import EXCHANGE_REASONS, NewReading
from server.metering.service.context import Target, load_targets


@dataclass(slots=True)
class Undo:
    """What a batch takes back.

    ``withdrawn`` are captures taken back by a later one of the same batch, ``problems`` the
    captures that may not take back what they name, ``rows`` the stored readings that go,
    ``replaces`` the reading each capture's registers replace, or would replace when a person grants
    the request; ``requests`` are the readings such a capture asks to replace.
    """

    withdrawn: set[int] = field(default_factory=set)
    problems: dict[int, str] = field(default_factory=dict)
    rows: list[Target] = field(default_factory=list)
    replaces: dict[int, dict[str, int]] = field(default_factory=dict)
    followers: dict[int, int] = field(default_factory=dict)
    requests: dict[int, list[Target]] = field(default_factory=dict)

    @property
    def times(self) -> list[datetime]:
        """When the readings that go were read."""
        return [target.read_at for target in self.rows]

    def figures(self, index: int, reading: NewReading, multiplier: Decimal) -> dict[str, str]:
        """What a request would change about its first register that can be compared."""
        for target in self.requests.get(index, ()):
            for entry in reading.registers:
                if entry.kind == target.register_kind and target.value is not None:
                    return difference(target.value, entry.value, multiplier)
        return {}

    def stored(self, index: int, readings: dict[str, int]) -> None:
        """Remember the rows of a withdrawn capture for the one that takes it back."""
        if index in self.followers:
            self.replaces[self.followers[index]] = readings


def undo(session: Session, readings: Sequence[NewReading]) -> Undo:
    """Find out what the captures of a batch take back; one statement at most."""
    found = Undo(withdrawn={i for i, reading in enumerate(readings) if reading.withdrawn})
    asking = {i: r.supersedes for i, r in enumerate(readings) if r.supersedes is not None}
    if not asking:
        return found
    here = {r.capture_uuid: i for i, r in enumerate(readings) if r.capture_uuid is not None}
    stored = load_targets(session, [uuid for uuid in asking.values() if uuid not in here])
    taken: set[UUID] = set()
    for index, uuid in asking.items():
        if uuid in here:
            _within_batch(found, readings, index, here[uuid])
        elif uuid in stored and uuid not in taken:
            _stored(found, readings[index], index, stored[uuid])
            taken.add(uuid)
    return found


def refusal(staff_id: int | None, targets: Sequence[Target], *, by_office: bool) -> str | None:
    """Why somebody may not take stored readings back; None when he may.

    The office may replace what is held, whoever captured it: it counts for nothing yet.
    """
    if any(target.reason in EXCHANGE_REASONS for target in targets):
        return "reading.exchange"
    if any(target.bill_id is not None for target in targets):
        return "reading.billed"
    own = all(target.staff_id == staff_id for target in targets)
    waits = by_office and all(target.status in ("held", "superseded") for target in targets)
    return None if own or waits else "reading.not_own"


def _within_batch(found: Undo, readings: Sequence[NewReading], index: int, other: int) -> None:
    if readings[other].staff_id == readings[index].staff_id and other != index:
        found.withdrawn.add(other)
        found.followers[other] = index
    else:
        found.problems[index] = "reading.not_own"


def _stored(found: Undo, reading: NewReading, index: int, targets: Sequence[Target]) -> None:
    problem = refusal(reading.staff_id, targets, by_office=reading.source == "office")
    if problem == "reading.exchange":
        found.problems[index] = problem
        return
    live = [target for target in targets if target.status in ("held", "confirmed")]
    found.replaces[index] = {target.register_kind: target.reading_id for target in live}
    if problem is not None:
        found.problems[index], found.requests[index] = problem, live
    else:
        found.rows.extend(live)
