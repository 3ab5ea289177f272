"""Meter exchanges from the field: rare, so each is settled by itself in a savepoint of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from server import review
from server.accounts.models import Installation, Meter
from server.capture.items import APPLIED, Item, Sender, Verdict
from server.db import Session
from server.errors import DomainError
from server.identity.actor import Actor
from server.identity.queries import team_of
from server.metering.service import NewRegister, exchange_meter
from server.rounds.service import Stop, Visit, note_visits


def handle(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``meter_exchange.v1``; what metering refuses is held with its reason."""
    verdicts = {item.uuid: _settle(session, sender, item) for item in items}
    note_visits(session, [_visit(item, sender) for item in items if verdicts[item.uuid] == APPLIED])
    return verdicts


def _settle(session: Session, sender: Sender, item: Item) -> Verdict:
    data = item.data
    hanging = _hanging_serial(session, data["service_point"], item.true_time(sender))
    if hanging is not None and hanging != data["old_meter_serial"]:
        return _held(
            session,
            sender,
            item,
            "exchange.other_meter",
            f"{hanging} hung there then, not {data['old_meter_serial']}.",
        )
    actor = Actor(kind="device", id=sender.device_id, name="device", staff_id=sender.staff_id)
    try:
        with session.begin_nested():
            exchange_meter(
                session,
                actor,
                data["service_point"],
                finals={final["kind"]: final["value"] for final in data["finals"]},
                serial=data["new_meter_serial"],
                registers=[
                    NewRegister(r["kind"], r["value"], r["integer_digits"], r["decimals"])
                    for r in data["initials"]
                ],
                at=item.true_time(sender),
                multiplier=data["multiplier"],
            )
    except DomainError as error:
        return _held(session, sender, item, error.code, error.message)
    return APPLIED


def _hanging_serial(session: Session, point_id: int, at: datetime) -> str | None:
    """The serial number of the meter that hung at the point at the time of the exchange."""
    return session.scalar(
        select(Meter.serial)
        .join(Installation, Installation.meter_id == Meter.id)
        .where(
            Installation.service_point_id == point_id,
            Installation.installed_at < at,
            (Installation.removed_at.is_(None)) | (Installation.removed_at > at),
        )
    )


def _held(session: Session, sender: Sender, item: Item, code: str, message: str) -> Verdict:
    review.raise_item(
        session,
        key=f"capture:{item.uuid}",
        kind="capture",
        reason=code,
        subject_type="capture",
        subject_id=item.uuid,
        detail={"type": item.type, "message": message},
        org_unit_id=team_of(session, sender.staff_id),
        lat_e7=item.gps.lat_e7 if item.gps else None,
        lon_e7=item.gps.lon_e7 if item.gps else None,
    )
    return Verdict("held", code, message)


def _visit(item: Item, sender: Sender) -> Visit:
    stop = Stop("service_point", item.data["service_point"])
    return Visit(item.uuid, stop, sender.staff_id, "served", item.true_time(sender))
