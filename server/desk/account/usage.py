"""What an account has used, by the month in which it was read: this year beside the last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import select, union

from server.billing.models import Bill
from server.db import Session, among
from server.metering.models import Consumption

MONTHS = 12
_YEARS = timedelta(days=2 * 366 + 31)
_MOST = 5000
_PARTS = ("sharp", "peak", "flat", "valley")


@dataclass(frozen=True)
class Month:
    """The use of a calendar month, and of the same month a year before; None where nothing was read."""

    year: int
    month: int
    this: Decimal | None
    last: Decimal | None


def by_month(
    session: Session, account_id: int, point_ids: Collection[int], zone: ZoneInfo, now: datetime
) -> list[Month]:
    """Twelve months up to the newest with use, oldest first; nothing when nothing was ever used.

    Reads what the account's points used while they were its own, and what its bills charged: a point
    that has gone to another account stays in the history of this one.
    """
    kept = (Consumption.status != "superseded") & (Consumption.to_at > now - _YEARS)
    columns = (
        Consumption.id,
        Consumption.to_at,
        Consumption.register_kind,
        Consumption.quantity,
    )
    own = select(*columns).where(
        among(Consumption.service_point_id, point_ids), Consumption.account_id == account_id, kept
    )
    bills = select(Bill.id).where(Bill.account_id == account_id)
    billed = select(*columns).where(Consumption.bill_id.in_(bills), kept)
    rows = session.execute(union(own, billed).limit(_MOST)).all()
    return months(((to_at, kind, quantity) for _, to_at, kind, quantity in rows), zone)


def months(uses: Iterable[tuple[datetime, str, Decimal]], zone: ZoneInfo) -> list[Month]:
    """Uses (until when, register kind, quantity) as months.

    The total register counts; in months without one its parts (sharp, peak, flat, valley) do.
    """
    totals: dict[int, Decimal] = defaultdict(Decimal)
    parts: dict[int, Decimal] = defaultdict(Decimal)
    for to_at, kind, quantity in uses:
        local = to_at.astimezone(zone)
        if kind == "total":
            totals[local.year * 12 + local.month - 1] += quantity
        elif kind in _PARTS:
            parts[local.year * 12 + local.month - 1] += quantity
    used = {**parts, **totals}
    if not used:
        return []
    newest = max(used)
    return [
        Month(index // 12, index % 12 + 1, used.get(index), used.get(index - 12))
        for index in range(newest - MONTHS + 1, newest + 1)
    ]
