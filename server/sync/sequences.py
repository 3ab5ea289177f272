"""Which item numbers a device has handed in; what is missing in between is a gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, select

from server import clock
from server.capture.models import DeviceSequence
from server.db import Session, bulk_upsert, run
from server.identity.models import Device

Run = tuple[int, int]


def merge(runs: Iterable[Run]) -> list[Run]:
    """Join runs of numbers that touch or overlap; the result is sorted and has gaps between."""
    merged: list[Run] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def received_through(runs: Sequence[Run]) -> int:
    """The highest number below the first gap; 0 when number 1 is missing."""
    return runs[0][1] if runs and runs[0][0] == 1 else 0


def gaps(runs: Sequence[Run], limit: int = 50) -> list[Run]:
    """The runs of numbers that are missing below the highest one received."""
    found = []
    expected = 1
    for first, last in runs:
        if first > expected:
            found.append((expected, first - 1))
        expected = last + 1
    return found[:limit]


_LOCK = select(Device.id).where(Device.id == bindparam("device_id")).with_for_update(key_share=True)
_RUNS = (
    select(DeviceSequence.first, DeviceSequence.last, DeviceSequence.since)
    .where(DeviceSequence.device_id == bindparam("device_id"))
    .order_by(DeviceSequence.first)
)


def note_received(session: Session, device_id: int, numbers: Iterable[int]) -> list[Run]:
    """Add numbers to what a device has handed in and return all its runs.

    The device's row is locked first: of two pushes at once neither may overwrite what the other
    has added. The lock lets foreign keys to the row pass: both pushes have stored items of it, and
    a stronger lock would have them wait for each other.
    """
    device = {"device_id": device_id}
    run(session, _LOCK, device)
    rows = run(session, _RUNS, device)
    known = [(first, last) for first, last, _ in rows]
    since = {first: since for first, _, since in rows}
    merged = merge([*known, *((n, n) for n in numbers)])
    if merged == known:
        return known
    gone = {first for first, _ in known} - {first for first, _ in merged}
    if gone:
        session.execute(
            delete(DeviceSequence).where(
                DeviceSequence.device_id == device_id, DeviceSequence.first.in_(gone)
            )
        )
    now = clock.now()
    changed = [
        {"device_id": device_id, "first": first, "last": last, "since": since.get(first, now)}
        for first, last in merged
        if (first, last) not in known
    ]
    bulk_upsert(session, DeviceSequence, changed, ("device_id", "first"))
    return merged
