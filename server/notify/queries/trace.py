"""The whole story of one message: every submission, answer, report and unusual step, and what it cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from server.db import Session, among
from server.errors import NotFound
from server.notify.models import (
    DeliveryReport,
    OutboxMessage,
    OutboxSegment,
    OutboxTransition,
)
from server.notify.queries.gateways import gateway_names
from server.notify.statistics import CHARGED, COST

_S = OutboxSegment


@dataclass(frozen=True)
class Step:
    """One thing that happened. `what` is written, submitted, answered, reported, moved or stands.

    `part` and `copy` name the segment, `state` is what it or the message became, `code` the carrier's
    or our own reason, `carrier_id` the carrier's name for the segment.
    """

    at: datetime
    what: str
    state: str
    part: int | None = None
    copy: int = 0
    gateway: str | None = None
    code: str | None = None
    carrier_id: str | None = None
    source: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def trace(session: Session, message_id: int) -> dict[str, Any]:
    """One message with every submission, report and unusual step. Raises NotFound `notify.no_message`."""
    message = session.get(OutboxMessage, message_id)
    if message is None:
        raise NotFound("notify.no_message", f"There is no message {message_id}.")
    segments = session.scalars(
        select(OutboxSegment)
        .where(OutboxSegment.message_id == message_id)
        .order_by(OutboxSegment.part, OutboxSegment.copy, OutboxSegment.id)
    ).all()
    reports = session.scalars(
        select(DeliveryReport)
        .where(among(DeliveryReport.segment_id, [segment.id for segment in segments]))
        .order_by(DeliveryReport.id)
    ).all()
    transitions = session.scalars(
        select(OutboxTransition)
        .where(OutboxTransition.message_id == message_id)
        .order_by(OutboxTransition.id)
    ).all()
    return {
        "message": _columns(message),
        "segments": [_columns(segment) for segment in segments],
        "reports": [_columns(report) for report in reports],
        "transitions": [_columns(step) for step in transitions],
    }


def steps(session: Session, message_id: int) -> list[Step]:
    """What happened to a message, in order. Raises NotFound `notify.no_message`."""
    found = trace(session, message_id)
    names = gateway_names(session)
    message = found["message"]
    told = [Step(message["created_at"], "written", "queued")]
    parts: dict[int, tuple[int, int]] = {}
    for row in found["segments"]:
        parts[row["id"]] = row["part"], row["copy"]
        told += _of_segment(row, names)
    for row in found["reports"]:
        part, copy = parts[row["segment_id"]]
        told.append(
            Step(
                row["created_at"],
                "reported",
                row["state"],
                part,
                copy,
                names.get(row["gateway_id"]),
                row["error"].strip("0") and row["error"],
                row["carrier_id"],
                detail={"stamp": row["stamp"]} if row["stamp"] else {},
            )
        )
    for row in found["transitions"]:
        told.append(
            Step(
                row["created_at"],
                "moved",
                row["target"],
                gateway=names.get(row["gateway_id"] or 0),
                code=row["reason"],
                source=row["source"],
                detail=row["detail"] or {},
            )
        )
    told.sort(key=lambda step: step.at)
    last = Step(message["status_at"], "stands", message["status"], code=message["error"])
    return [*told, last]


def _of_segment(row: dict[str, Any], names: dict[int, str]) -> list[Step]:
    where = row["part"], row["copy"], names.get(row["gateway_id"])
    told = [Step(row["submitted_at"], "submitted", "submitted", *where)]
    if row["answered_at"] is not None:
        error = row["error"] or ""
        refused = bool(error) and not error.startswith("report.")
        state, code = (row["status"], error) if refused else ("accepted", None)
        told.append(Step(row["answered_at"], "answered", state, *where, code, row["carrier_id"]))
    return told


def parts(session: Session, message_id: int) -> list[dict[str, Any]]:
    """The segments of a message as other systems are told of them."""
    names = gateway_names(session)
    rows = session.scalars(
        select(OutboxSegment)
        .where(OutboxSegment.message_id == message_id)
        .order_by(OutboxSegment.part, OutboxSegment.copy, OutboxSegment.id)
    )
    return [{**_columns(row), "gateway": names.get(row.gateway_id)} for row in rows]


def costs(session: Session, message_ids: Collection[int]) -> dict[int, Decimal]:
    """What carriers charge for messages: the price of every accepted segment when it was submitted."""
    rows = session.execute(
        select(_S.message_id, COST)
        .where(among(_S.message_id, message_ids), CHARGED)
        .group_by(_S.message_id)
    )
    return {number: amount for number, amount in rows if amount is not None}


def _columns(row: Any) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}
