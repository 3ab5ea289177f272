"""The ledger for an accounting system: sums by period and account of the chart, or every line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from server.accounts.models import Account
from server.billing.models import Journal, LedgerLine
from server.billing.rules.chart import CHART
from server.billing.service.periods import bounds
from server.db import Session
from server.errors import Invalid
from server.operator import current

SUM_COLUMNS = ("period", "number", "ledger", "kind", "unit", "lines", "debit", "credit")
LINE_COLUMNS = (
    "journal",
    "posted_at",
    "journal_kind",
    "source_key",
    "reverses",
    "number",
    "ledger",
    "account_no",
    "unit",
    "debit",
    "credit",
)
_UTC = ZoneInfo("UTC")
_MOST_PERIODS = 120
_AT_ONCE = 2000


def periods_between(first: str, last: str) -> list[str]:
    """The periods from one to another, both included.

    Raises:
        Invalid: ``ledger.period`` for what is no period, the wrong way round, or over ten years.
    """
    for period in (first, last):
        bounds(period, _UTC)
    start, end = (int(p[:4]) * 12 + int(p[5:]) - 1 for p in (first, last))
    if not 0 <= end - start < _MOST_PERIODS:
        raise Invalid("ledger.period", "The periods must follow each other, within ten years.")
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(start, end + 1)]


def sums(session: Session, first: str, last: str) -> Iterator[tuple[Any, ...]]:
    """Debits and credits of every ledger in every unit, period by period.

    After each period stands a line ``total`` for each unit; its two sides are equal.
    """
    zone = current(session).zone
    for period in periods_between(first, last):
        start, end = bounds(period, zone)
        totals: dict[str, list[Any]] = {}
        rows = _sums(session, start, end)
        for ledger, unit, count, debit, credit in sorted(rows, key=_by_number):
            chart = CHART[ledger]
            yield period, chart.number, ledger, chart.kind, unit, count, debit, credit
            total = totals.setdefault(unit, [0, Decimal(0), Decimal(0)])
            total[0], total[1], total[2] = total[0] + count, total[1] + debit, total[2] + credit
        for unit, total in sorted(totals.items()):
            yield (period, "", "total", "", unit, *total)


def _sums(session: Session, start: datetime, end: datetime) -> list[Any]:
    return list(
        session.execute(
            select(
                LedgerLine.ledger,
                LedgerLine.unit,
                func.count(),
                func.sum(LedgerLine.debit),
                func.sum(LedgerLine.credit),
            )
            .join(Journal, Journal.id == LedgerLine.journal_id)
            .where(Journal.posted_at >= start, Journal.posted_at < end)
            .group_by(LedgerLine.ledger, LedgerLine.unit)
        )
    )


def _by_number(row: Any) -> tuple[str, str]:
    return CHART[row[0]].number, row[1]


def lines(session: Session, first: str, last: str) -> Iterator[tuple[Any, ...]]:
    """Every line of the periods in the order it was posted, read in slices as it is asked for."""
    zone = current(session).zone
    names = periods_between(first, last)
    start, end = bounds(names[0], zone)[0], bounds(names[-1], zone)[1]
    rows = session.execute(
        select(
            Journal.id,
            Journal.posted_at,
            Journal.kind,
            Journal.source_key,
            Journal.reverses_id,
            LedgerLine.ledger,
            Account.account_no,
            LedgerLine.unit,
            LedgerLine.debit,
            LedgerLine.credit,
        )
        .join(LedgerLine, LedgerLine.journal_id == Journal.id)
        .outerjoin(Account, Account.id == LedgerLine.account_id)
        .where(Journal.posted_at >= start, Journal.posted_at < end)
        .order_by(Journal.id, LedgerLine.id)
        .execution_options(yield_per=_AT_ONCE)
    )
    for row in rows:
        at = row[1].astimezone(zone).isoformat(timespec="seconds")
        yield (row[0], at, *row[2:5], CHART[row[5]].number, *row[5:])
