"""The figures of the day: is it going well?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select

from server import clock
from server.accounts.models import Account
from server.billing.models import Bill
from server.console.queries import periods, readings
from server.console.queries.since import rows_since
from server.console.show import midnight
from server.db import Session
from server.identity.models import Staff
from server.metering.models import Reading, ReadOrder
from server.review import ReviewItem
from server.rounds.models import Route
from server.rounds.scope import Scope


@dataclass(frozen=True)
class Orders:
    """Read orders of a period by state."""

    period: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """All that are to be read."""
        return sum(n for status, n in self.counts.items() if status != "cancelled")

    @property
    def read(self) -> int:
        """Those with a confirmed reading."""
        return self.counts.get("done", 0)


def orders(session: Session, seen: Scope) -> Orders:
    """Read orders of the current period on visible routes by state."""
    period = periods.current(session)
    rows = session.execute(
        select(ReadOrder.status, func.count())
        .select_from(Route)
        .join(ReadOrder, (ReadOrder.route_id == Route.id) & (ReadOrder.period == period))
        .where(seen.routes())
        .group_by(ReadOrder.status)
    )
    return Orders(period, {status: n for status, n in rows})


def readings_today(session: Session, seen: Scope) -> dict[str, int]:
    """Readings that people took today, by state; found through who took them."""
    rows = session.execute(
        select(Reading.status, func.count())
        .select_from(Staff)
        .join(Reading, (Reading.staff_id == Staff.id) & (Reading.read_at >= midnight()))
        .where(readings.visible(seen))
        .group_by(Reading.status)
    )
    return {status: n for status, n in rows}


def waiting(session: Session, seen: Scope) -> list[Any]:
    """What waits in review by reason: how many, since when, and how many for over a day."""
    old = clock.now() - timedelta(days=1)
    return list(
        session.execute(
            select(
                ReviewItem.reason,
                func.count().label("n"),
                func.min(ReviewItem.created_at).label("since"),
                func.sum(case((ReviewItem.created_at < old, 1), else_=0)).label("old"),
            )
            .where(ReviewItem.status == "open", seen.review_items())
            .group_by(ReviewItem.reason)
            .order_by(func.count().desc(), ReviewItem.reason)
        )
    )


def bills_today(session: Session, seen: Scope) -> tuple[int, Decimal]:
    """Bills issued today and their sum."""
    statement = select(func.count(), func.sum(Bill.total)).where(
        rows_since(session, Bill.id, Bill.issued_at, midnight()), Bill.status == "issued"
    )
    if not seen.sees_all:
        statement = statement.join(Account, Account.id == Bill.account_id).where(seen.accounts())
    n, total = session.execute(statement).one()
    return n, total or Decimal(0)


def route_progress(session: Session, seen: Scope, period: str, limit: int = 200) -> list[Any]:
    """Each route of the period with its reader and how far it is."""

    def with_status(*statuses: str) -> Any:
        return func.sum(case((ReadOrder.status.in_(statuses), 1), else_=0))

    return list(
        session.execute(
            select(
                Route.id,
                Route.book_no,
                Route.name,
                Route.reader_id,
                Staff.name.label("reader"),
                func.count(ReadOrder.id).label("planned"),
                with_status("done").label("done"),
                with_status("held").label("held"),
                with_status("skipped").label("skipped"),
                func.min(ReadOrder.due).label("due"),
            )
            .join(ReadOrder, ReadOrder.route_id == Route.id)
            .outerjoin(Staff, Staff.id == Route.reader_id)
            .where(ReadOrder.period == period, ReadOrder.status != "cancelled", seen.routes())
            .group_by(Route.id, Route.book_no, Route.name, Route.reader_id, Staff.name)
            .order_by(Route.book_no)
            .limit(limit)
        )
    )
