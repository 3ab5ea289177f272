"""Watching the handhelds: who is silent, and which of their items have not come.

Both become review items that close by themselves when the device is heard again or the missing
items arrive, and the manager of the rep's team gets a text, once for each silence and gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from config.settings import Settings
from server import clock, review
from server.capture.models import DeviceSequence
from server.db import Session
from server.identity.actor import SYSTEM
from server.identity.models import Device, OrgUnit, Role, Staff, staff_role
from server.identity.queries import silent_since
from server.notify.service import Notice, enqueue
from server.review import ReviewItem
from server.sync.sequences import Run, gaps

SILENT, GAP = "device.silent", "device.gap"
MANAGER = "manager"
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """Something wrong with a device: the key of its review item, and what to say about it."""

    key: str
    reason: str
    device: Device
    org_unit_id: int | None
    detail: dict[str, Any]
    words: dict[str, str]


def watch_devices(session: Session, settings: Settings) -> int:
    """Raise what is wrong now, close what is mended, and tell managers of what is new.

    Returns:
        How many silences and gaps stand.
    """
    now = clock.now()
    found = [
        *_silent(session, now, settings.device_silent_hours),
        *_gaps(session, now, timedelta(minutes=settings.gap_minutes)),
    ]
    known = _open_keys(session)
    _close_mended(session, known, {finding.key for finding in found})
    review.raise_items(session, [_item(finding) for finding in found])
    _tell_managers(session, [finding for finding in found if finding.key not in known])
    return len(found)


def _silent(session: Session, now: datetime, hours_allowed: int) -> Iterable[Finding]:
    rows = session.execute(
        select(Device, Staff.org_unit_id)
        .join(Staff, Staff.id == Device.staff_id)
        .where(silent_since(hours_allowed))
        .order_by(Device.id)
    )
    for device, org_unit_id in rows:
        heard = device.last_contact_at or device.created_at
        detail: dict[str, Any] = {
            "last_contact_at": clock.to_iso(heard),
            "unsent": device.unsent,
            "oldest_unsent_at": _iso(device.oldest_unsent_at),
        }
        hours = str(int((now - heard) / timedelta(hours=1)))
        words = {"device": device.name, "hours": hours, "unsent": str(device.unsent or 0)}
        key = f"{SILENT}:{device.id}:{clock.to_ms(heard)}"
        yield Finding(key, SILENT, device, org_unit_id, detail, words)


def _gaps(session: Session, now: datetime, limit: timedelta) -> Iterable[Finding]:
    rows = session.execute(
        select(Device, Staff.org_unit_id, DeviceSequence)
        .join(Staff, Staff.id == Device.staff_id)
        .join(DeviceSequence, DeviceSequence.device_id == Device.id)
        .order_by(Device.id, DeviceSequence.first)
    )
    runs: dict[int, list[DeviceSequence]] = {}
    carriers: dict[int, tuple[Device, int | None]] = {}
    for device, org_unit_id, run in rows:
        runs.setdefault(device.id, []).append(run)
        carriers[device.id] = (device, org_unit_id)
    for device_id, sequence in runs.items():
        old = [run for run in sequence if run.since <= now - limit]
        missing = gaps([(run.first, run.last) for run in old])
        if missing:
            yield _gap(*carriers[device_id], missing)


def _gap(device: Device, org_unit_id: int | None, missing: Sequence[Run]) -> Finding:
    items = ", ".join(_words(first, last) for first, last in missing[:_SHOWN])
    if len(missing) > _SHOWN:
        items += " …"
    detail = {"gaps": [list(gap) for gap in missing]}
    key = f"{GAP}:{device.id}:{missing[0][0]}"
    return Finding(key, GAP, device, org_unit_id, detail, {"device": device.name, "items": items})


def _words(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _iso(instant: datetime | None) -> str | None:
    return clock.to_iso(instant) if instant else None


def _item(finding: Finding) -> review.NewItem:
    return review.NewItem(
        key=finding.key,
        kind="device",
        reason=finding.reason,
        subject_type="device",
        subject_id=finding.device.id,
        detail=finding.detail,
        org_unit_id=finding.org_unit_id,
    )


def _open_keys(session: Session) -> dict[str, int]:
    rows = session.execute(
        select(ReviewItem.key, ReviewItem.id).where(
            ReviewItem.kind == "device", ReviewItem.status == "open"
        )
    )
    return {row.key: row.id for row in rows}


def _close_mended(session: Session, known: dict[str, int], standing: set[str]) -> None:
    for key, item_id in known.items():
        if key not in standing:
            why = "heard again" if key.startswith(SILENT) else "the missing items have come"
            review.close(session, SYSTEM, item_id, "closed", why)


def _tell_managers(session: Session, findings: Sequence[Finding]) -> None:
    """One text per finding and manager; the nearest team upwards that has a manager is told."""
    units = {finding.org_unit_id for finding in findings if finding.org_unit_id is not None}
    if not units:
        return
    managers = _managers(session)
    parents = {
        row.id: row.parent_id for row in session.execute(select(OrgUnit.id, OrgUnit.parent_id))
    }
    notices = [
        Notice(
            event=finding.reason,
            key=f"{finding.key}:{phone}",
            phone=phone,
            language=language,
            data=finding.words,
        )
        for finding in findings
        for phone, language in _nearest(finding.org_unit_id, parents, managers)
    ]
    enqueue(session, notices)


def _managers(session: Session) -> dict[int, list[tuple[str, str]]]:
    """(phone, language) of the managers who have a phone, by unit."""
    rows = session.execute(
        select(Staff.org_unit_id, Staff.phone, Staff.language)
        .join(staff_role, staff_role.c.staff_id == Staff.id)
        .join(Role, Role.id == staff_role.c.role_id)
        .where(Role.name == MANAGER, Staff.active.is_(True), Staff.phone.is_not(None))
        .order_by(Staff.id)
    )
    found: dict[int, list[tuple[str, str]]] = {}
    for unit_id, phone, language in rows:
        if unit_id is not None and phone is not None:
            found.setdefault(unit_id, []).append((phone, language))
    return found


def _nearest(
    unit_id: int | None,
    parents: dict[int, int | None],
    managers: dict[int, list[tuple[str, str]]],
) -> list[tuple[str, str]]:
    while unit_id is not None:
        if unit_id in managers:
            return managers[unit_id]
        unit_id = parents.get(unit_id)
    return []
