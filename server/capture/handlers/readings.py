"""Meter readings and skips of handhelds: judged by metering, billed on read-and-bill routes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from server.capture.handlers.held import raise_held
from server.capture.items import Item, Sender, Verdict
from server.capture.settle import billing_rules, settle_readings
from server.db import Session
from server.metering.rules.messages import MESSAGES
from server.metering.service import (
    DevicePlace,
    DialEntry,
    Judged,
    NewReading,
    NewSkip,
    skip,
    withdraw,
)
from server.rounds.service import Stop, Visit, note_visits


def handle_readings(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``meter_reading.v1``: judge the set, bill what may be billed at once."""
    judged = settle_readings(
        session, [_reading(item, sender) for item in items], billing_rules(sender.settings)
    )
    _note_stops(session, sender, items, judged, "served")
    return {item.uuid: _verdict(j) for item, j in zip(items, judged, strict=True)}


def handle_skips(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``meter_skip.v1``: the order ends without a reading and says why.

    A skip that supersedes the rep's own reading takes it back; one that may not is held.
    """
    held = _withdraw(session, sender, items)
    good = [item for item in items if item.uuid not in held]
    judged = skip(session, [_skip(item, sender) for item in good])
    _note_stops(session, sender, good, judged, "skipped")
    return held | {item.uuid: _verdict(j) for item, j in zip(good, judged, strict=True)}


def _withdraw(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Take back what skips supersede; the verdicts of those that may not."""
    asking = {item.uuid: item.supersedes for item in items if item.supersedes is not None}
    if not asking:
        return {}
    problems = withdraw(session, dict.fromkeys(asking.values(), sender.staff_id))
    held = {
        uuid: Verdict("held", code, MESSAGES[code], "supersedes")
        for uuid, target in asking.items()
        if (code := problems.get(target)) is not None
    }
    raise_held(session, sender, [item for item in items if item.uuid in held], held)
    return held


def _note_stops(
    session: Session,
    sender: Sender,
    items: Sequence[Item],
    judged: Sequence[Judged],
    outcome: str,
) -> None:
    """Tell the rounds which stops these captures prove; a held reading was a visit all the same."""
    note_visits(
        session,
        [
            Visit(
                capture_uuid=item.uuid,
                stop=Stop("service_point", item.data["service_point"]),
                staff_id=sender.staff_id,
                outcome=outcome,
                visited_at=item.true_time(sender),
                reason=item.data.get("skip"),
            )
            for item, verdict in zip(items, judged, strict=True)
            if verdict.verdict != "conflict"
        ],
    )


def _reading(item: Item, sender: Sender) -> NewReading:
    data = item.data
    return NewReading(
        service_point_id=data["service_point"],
        meter_serial=data["meter_serial"],
        registers=tuple(
            DialEntry(r["kind"], r["value"], r["second_entry"]) for r in data["registers"]
        ),
        read_at=item.true_time(sender),
        source="device",
        order_id=data["read_order"],
        reason=data["reason"],
        capture_uuid=item.uuid,
        staff_id=sender.staff_id,
        place=_place(item, sender),
        trouble=data["trouble"],
        note=data["note"],
        supersedes=item.supersedes,
        withdrawn=item.taken_back,
    )


def _skip(item: Item, sender: Sender) -> NewSkip:
    data = item.data
    return NewSkip(
        service_point_id=data["service_point"],
        skip_code=data["skip"],
        skipped_at=item.true_time(sender),
        order_id=data["read_order"],
        note=data["note"],
        capture_uuid=item.uuid,
        staff_id=sender.staff_id,
        place=_place(item, sender),
    )


def _place(item: Item, sender: Sender) -> DevicePlace:
    skew = sender.skew_ms / 1000 if sender.skew_ms is not None else None
    gps = item.gps
    if gps is None:
        return DevicePlace(absent="unknown", clock_skew_s=skew)
    return DevicePlace(
        lat_e7=gps.lat_e7,
        lon_e7=gps.lon_e7,
        accuracy_m=gps.accuracy_m,
        mock=gps.mock,
        absent=gps.absent,
        clock_skew_s=skew,
    )


def _verdict(judged: Judged) -> Verdict:
    return Verdict(judged.verdict, judged.code, judged.message, judged.field)
