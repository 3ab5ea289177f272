"""Judging held captures again when it becomes known which meter hung at their point.

Captures arrive in any order: a reader may send what he read on the new meter before the crew sends
that it hung it. What is true is decided by the time of capture, so the exchange takes up what
was held for want of it, in its own transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import and_, or_, select, update

from server import review
from server.db import Session
from server.identity.actor import Actor
from server.metering.models import Reading
from server.metering.rules.limits import LimitBook
from server.metering.service.captures import DevicePlace, DialEntry, Judged, NewReading
from server.metering.service.context import Plant
from server.metering.service.record import record

WHY = "judged anew: the meter was exchanged"


def rejudge_held(
    session: Session, actor: Actor, old: Plant, new: Plant, limits: LimitBook
) -> list[Judged]:
    """Judge again what was read after an exchange and is held.

    Those are readings of the new meter, which was not known then, and readings under the old one's
    number, which hung there no more. The old rows stay as they were written and are superseded.
    """
    captures = _held(session, old, new)
    if not captures:
        return []
    ids = [row.id for rows in captures for row in rows]
    session.execute(
        update(Reading)
        .where(Reading.id.in_(ids))
        .values(status="superseded", released_why=WHY)
        .execution_options(synchronize_session=False)
    )
    review.close_for(session, actor, "reading", ids, "corrected", WHY)
    return record(session, [as_captured(rows) for rows in captures], limits)


def _held(session: Session, old: Plant, new: Plant) -> list[list[Reading]]:
    """The held captures an exchange concerns, each with all its registers, in the order they were read."""
    of_new = and_(Reading.code == "reading.not_installed", Reading.meter_serial == new.serial)
    found = session.scalars(
        select(Reading)
        .where(
            Reading.service_point_id == new.service_point_id,
            Reading.status == "held",
            Reading.read_at >= new.installed_at,
            or_(of_new, Reading.installation_id == old.installation_id),
        )
        .order_by(Reading.read_at, Reading.capture_uuid, Reading.id)
        .with_for_update()
    )
    grouped = groupby(found, key=lambda row: row.capture_uuid or row.id)
    captures = [list(rows) for _, rows in grouped]
    return [rows for rows in captures if all(row.value is not None for row in rows)]


def as_captured(rows: Sequence[Reading]) -> NewReading:
    """A stored capture as it came, to be judged again in place of its rows."""
    first = rows[0]
    placed = first.lat_e7 is not None
    return NewReading(
        service_point_id=first.service_point_id,
        meter_serial=first.meter_serial,
        registers=tuple(
            DialEntry(row.register_kind, row.value) for row in rows if row.value is not None
        ),
        read_at=first.read_at,
        source=first.source,
        order_id=first.order_id,
        reason=first.reason,
        quality=first.quality,
        capture_uuid=first.capture_uuid,
        staff_id=first.staff_id,
        place=DevicePlace(first.lat_e7, first.lon_e7, first.accuracy_m) if placed else None,
        trouble=first.trouble,
        note=first.note,
        replaces={row.register_kind: row.id for row in rows},
    )
