"""Accounting periods: months of the operator's calendar, open until somebody closes them.

A month can be closed an hour after its end at the earliest. Whoever posts "now" is therefore never
in a closed period and needs no look at the table; who posts into an earlier month holds the
month's row, so that closing waits for him.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from server import audit, clock
from server.billing.models import AccountingPeriod, Journal
from server.billing.service.reconcile import Difference
from server.db import Session, among_texts, insert_rows
from server.errors import Conflict, Invalid
from server.identity.actor import Actor
from server.operator import current

GRACE = timedelta(hours=1)
_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")

Proof = Callable[[Session], Iterator[Difference]]
"""What finds differences in the books; a period is closed when it finds none."""


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


def bounds(period: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first instant of a period and the first after it.

    Raises:
        Invalid: ``ledger.period`` for what is not YYYY-MM.
    """
    if not _PERIOD.fullmatch(period):
        raise Invalid("ledger.period", f"A period is YYYY-MM, not {period!r}.")
    year, month = int(period[:4]), int(period[5:])
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def close(session: Session, actor: Actor, period: str, proof: Proof) -> None:
    """Close a period: from now on nothing is posted into it. Closing a closed one changes nothing.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        Invalid: ``ledger.period``.
        Conflict: ``ledger.period_running`` before it has ended, ``ledger.period_order`` when an
            earlier one with postings is open, ``ledger.not_clean`` with what differs in the books.
    """
    actor.require("ledger", "close")
    start, end = bounds(period, current(session).zone)
    if clock.now() < end + GRACE:
        raise Conflict("ledger.period_running", f"{period} has not ended, or only just.")
    row = _row(session, period)
    if row.status == "closed":
        return
    _refuse_earlier(session, start)
    wrong = [each for each, _ in zip(proof(session), range(5), strict=False)]
    if wrong:
        told = {each.what: each.subject for each in wrong}
        raise Conflict("ledger.not_clean", "The books do not agree: see flask reconcile.", told)
    row.status, row.closed_at, row.closed_by_id = "closed", clock.now(), actor.staff_id
    audit.record(session, actor, "period.close", "accounting_period", period)


def reopen(session: Session, actor: Actor, period: str, reason: str) -> None:
    """Open a closed period again, by a right of its own.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        Invalid: ``ledger.period``, ``ledger.reason`` without a reason.
        Conflict: ``ledger.period_open``, ``ledger.period_order`` when a later one is closed.
    """
    actor.require("ledger", "reopen")
    bounds(period, current(session).zone)
    if not reason.strip():
        raise Invalid("ledger.reason", "Opening a closed period needs a reason.")
    row = _row(session, period)
    if row.status == "open":
        raise Conflict("ledger.period_open", f"{period} is open.")
    later = select(AccountingPeriod.period).where(
        AccountingPeriod.period > period, AccountingPeriod.status == "closed"
    )
    if (found := session.scalar(later.limit(1))) is not None:
        raise Conflict("ledger.period_order", f"{found} is closed: open it first.")
    row.status, row.closed_at, row.closed_by_id = "open", None, None
    after = {"reason": reason.strip()[:255]}
    audit.record(session, actor, "period.reopen", "accounting_period", period, after=after)


def _row(session: Session, period: str) -> AccountingPeriod:
    """The row of a period, held alone: whoever posts into it now is waited for."""
    row = {"created_at": clock.now(), "period": period, "status": "open"}
    insert_rows(session, AccountingPeriod, [row], on_conflict=("period",))
    return session.scalars(
        select(AccountingPeriod)
        .where(AccountingPeriod.period == period)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _refuse_earlier(session: Session, start: datetime) -> None:
    """Months are closed one after the other, those without postings aside."""
    zone = current(session).zone
    last = session.scalar(select(func.max(Journal.posted_at)).where(Journal.posted_at < start))
    if last is None:
        return
    earlier = period_of(last, zone)
    status = select(AccountingPeriod.status).where(AccountingPeriod.period == earlier)
    if session.scalar(status) != "closed":
        raise Conflict("ledger.period_order", f"{earlier} is open: close it first.")
