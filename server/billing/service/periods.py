"""Accounting periods: months of the operator's calendar, open until somebody closes them.

A month can be closed an hour after its end at the earliest. Whoever posts "now" is therefore never
in a closed period and needs no look at the table; who posts into an earlier month holds the
month's row, so that closing waits for him.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from server import clock
from server.billing.models import AccountingPeriod
from server.db import Session, among_texts, insert_rows
from server.errors import Conflict
from server.operator import current

GRACE = timedelta(hours=1)


def period_of(at: datetime, zone: ZoneInfo) -> str:
    """The period (YYYY-MM) an instant belongs to, in the operator's zone."""
    return f"{at.astimezone(zone):%Y-%m}"


def guard_open(session: Session, instants: Iterable[datetime | None]) -> None:
    """Refuse instants in closed periods; None is now, which is always open.

    Raises:
        Conflict: ``ledger.period_closed`` with the periods.
    """
    given = [at for at in instants if at is not None]
    if not given:
        return
    zone = current(session).zone
    newest_open = period_of(clock.now() - GRACE, zone)
    early = {period for at in given if (period := period_of(at, zone)) < newest_open}
    closed = sorted(hold(session, early)) if early else []
    if closed:
        raise Conflict(
            "ledger.period_closed",
            f"The accounting period {closed[0]} is closed.",
            {"periods": closed},
        )


def hold(session: Session, periods: Iterable[str]) -> set[str]:
    """Keep periods as they are until the transaction ends; returns those that are closed."""
    names = sorted(periods)
    rows = [{"created_at": clock.now(), "period": name, "status": "open"} for name in names]
    insert_rows(session, AccountingPeriod, rows, on_conflict=("period",))
    found = session.execute(
        select(AccountingPeriod.period, AccountingPeriod.status)
        .where(among_texts(AccountingPeriod.period, names))
        .order_by(AccountingPeriod.period)
        .with_for_update(read=True)
    )
    return {period for period, status in found if status == "closed"}
