"""Conditions on people and devices that several readers share."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from server import clock
from server.db import Session
from server.identity.models import Device, Staff


def silent_since(hours: int) -> Any:
    """Condition on ``device``: in use and not heard for so many hours; enrolling counts as heard."""
    limit = clock.now() - timedelta(hours=hours)
    heard = func.coalesce(Device.last_contact_at, Device.created_at)
    return (Device.status == "active") & (heard < limit)


def teams_of(session: Session, staff_ids: Collection[int | None]) -> dict[int, int]:
    """The units of several members of staff, of those who have one; no statement for nobody."""
    wanted = sorted(number for number in staff_ids if number is not None)
    if not wanted:
        return {}
    rows = session.execute(select(Staff.id, Staff.org_unit_id).where(Staff.id.in_(wanted)))
    return {number: unit for number, unit in rows if unit is not None}


def team_of(session: Session, staff_id: int) -> int | None:
    """The unit a member of staff belongs to: whose review queue his captures go to."""
    return session.scalar(select(Staff.org_unit_id).where(Staff.id == staff_id))
