"""Shifts of reps: their track counts only inside one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from server.capture.items import APPLIED, Item, Sender, Verdict
from server.db import Session
from server.tracking.service import ShiftChange, record_shifts


def handle(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``shift.v1``; start and end may come in any order."""
    record_shifts(session, [_change(item, sender) for item in items])
    return {item.uuid: APPLIED for item in items}


def _change(item: Item, sender: Sender) -> ShiftChange:
    return ShiftChange(
        uuid=item.data["shift"],
        staff_id=sender.staff_id,
        device_id=sender.device_id,
        state=item.data["state"],
        at=item.true_time(sender),
    )
