"""Handhelds: who carries them, how they are, what is missing from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from config.settings import Settings
from server import clock
from server.capture.models import CaptureEvent, DeviceSequence
from server.db import Session
from server.identity.models import Device, Enrolment, Staff
from server.identity.queries import silent_since
from server.rounds.scope import Scope


def listed(seen: Scope, state: str | None, settings: Settings) -> Select[*tuple[Any, ...]]:
    """The list; ``state`` is a status or ``silent``."""
    statement = (
        select(Device, Staff.name.label("carrier"))
        .join(Staff, Staff.id == Device.staff_id)
        .where(seen.devices())
    )
    if state == "silent":
        statement = statement.where(silent_since(settings.device_silent_hours))
    elif state:
        statement = statement.where(Device.status == state)
    return statement


def one(session: Session, seen: Scope, device_id: int) -> Any:
    """One visible device with its carrier, or None."""
    replacement = aliased(Device)
    return session.execute(
        select(Device, Staff.name.label("carrier"), replacement.name.label("replacement"))
        .join(Staff, Staff.id == Device.staff_id)
        .outerjoin(replacement, replacement.id == Device.replaced_by_id)
        .where(Device.id == device_id, seen.devices())
    ).first()


def gaps(session: Session, device_ids: list[int]) -> dict[int, list[tuple[int, int]]]:
    """Item numbers that never came, by device: runs (first, last) between what did come."""
    runs: dict[int, list[tuple[int, int]]] = {}
    rows = session.execute(
        select(DeviceSequence)
        .where(DeviceSequence.device_id.in_(device_ids))
        .order_by(DeviceSequence.device_id, DeviceSequence.first)
    ).scalars()
    for row in rows:
        runs.setdefault(row.device_id, []).append((row.first, row.last))
    return {device_id: _between(known) for device_id, known in runs.items()}


def _between(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    missing, expected = [], 1
    for first, last in runs:
        if first > expected:
            missing.append((expected, first - 1))
        expected = last + 1
    return missing


def recent(session: Session, device_id: int, limit: int = 30) -> list[CaptureEvent]:
    """The last items a device sent, newest first."""
    return list(
        session.scalars(
            select(CaptureEvent)
            .where(CaptureEvent.device_id == device_id)
            .order_by(CaptureEvent.seq.desc(), CaptureEvent.id.desc())
            .limit(limit)
        )
    )


def open_codes(session: Session, seen: Scope) -> list[Any]:
    """Enrolment codes that can still be used."""
    return list(
        session.execute(
            select(Enrolment, Staff.name.label("carrier"))
            .join(Staff, Staff.id == Enrolment.staff_id)
            .where(Enrolment.used_at.is_(None), Enrolment.expires_at > clock.now(), seen.staff())
            .order_by(Enrolment.id.desc())
            .limit(20)
        )
    )
