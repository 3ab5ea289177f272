"""The daily statistics as pages and files show them: summed over a time by what one asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server.db import Session
from server.notify.models import Gateway, MessageDay

_D = MessageDay
# What the rows of a table may stand for, in this order.
GROUPS = ("day", "gateway", "event", "category", "carrier")


@dataclass(frozen=True)
class StatisticsRow:
    """One row: `names` by the groups asked for, then counts; `cost` in the operator's currency."""

    names: dict[str, Any]
    messages: int
    segments: int
    accepted: int
    delivered: int
    failed: int
    cost: Decimal


def statistics(
    session: Session, first: date, last: date, groups: tuple[str, ...] = GROUPS
) -> list[StatisticsRow]:
    """What was sent from `first` through `last`, summed by the named of `GROUPS`; none is the total."""
    columns = {
        "day": _D.day,
        "gateway": Gateway.name,
        "event": _D.event,
        "category": _D.category,
        "carrier": _D.carrier,
    }
    wanted = [columns[name] for name in GROUPS if name in groups]
    names = [name for name in GROUPS if name in groups]
    sums = (_D.messages, _D.segments, _D.accepted, _D.delivered, _D.failed, _D.cost)
    statement = (
        select(*wanted, *(func.sum(column) for column in sums))
        .join(Gateway, Gateway.id == _D.gateway_id)
        .where(_D.day >= first, _D.day <= last)
        .group_by(*wanted)
        .order_by(*wanted)
    )
    return [_row(names, tuple(row)) for row in session.execute(statement)]


def _row(names: list[str], values: tuple[Any, ...]) -> StatisticsRow:
    messages, segments, accepted, delivered, failed, cost = values[len(names) :]
    return StatisticsRow(
        dict(zip(names, values, strict=False)),
        *(int(messages or 0), int(segments or 0), int(accepted or 0)),
        *(int(delivered or 0), int(failed or 0), cost or Decimal(0)),
    )
