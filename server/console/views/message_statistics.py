"""Statistics of messages: how many, how well, for how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask import Response, render_template, request

from server import clock
from server.console import paging, scope
from server.console.show import zone
from server.db import Session, snapshot
from server.errors import Forbidden
from server.notify import queries
from server.notify.queries.statistics import GROUPS, StatisticsRow

DAYS = 30
FIGURES = ("messages", "segments", "accepted", "delivered", "failed", "cost")


def page() -> str:
    """The figures of a time, grouped as the address says."""
    by, begin, end = _asked()
    with snapshot() as session:
        _require_all(session)
        rows = _figures(session, by, begin, end)
        days = queries.statistics(session, begin, end, ("day",))
    total = {name: _sum(rows, name) for name in FIGURES}
    return render_template(
        "console/message_statistics.html",
        rows=rows,
        total=total,
        course=[row.segments for row in days],
        by=by,
        begin=begin,
        end=end,
        groups=GROUPS,
        most=max((row.segments for row in rows), default=1) or 1,
    )


def export() -> Response:
    """The same as CSV."""
    by, begin, end = _asked()
    with snapshot() as session:
        _require_all(session)
    return paging.csv_answer("message-statistics", [by, *FIGURES], lambda: _rows(by, begin, end))


def _rows(by: str, begin: date, end: date) -> Iterable[Sequence[Any]]:
    with snapshot() as session:
        for row in _figures(session, by, begin, end):
            yield row.names[by], *(getattr(row, name) for name in FIGURES)


def _figures(session: Session, by: str, begin: date, end: date) -> list[StatisticsRow]:
    """Days newest first, others by their size."""
    rows = queries.statistics(session, begin, end, (by,))
    if by == "day":
        return rows[::-1]
    return sorted(rows, key=lambda row: -row.segments)


def _require_all(session: Session) -> None:
    """Sums are over everybody, so they are for those who may see everybody."""
    if not scope.of(session, "messages", "view").sees_all:
        raise Forbidden("identity.forbidden", "These figures are about all customers.")


def _asked() -> tuple[str, date, date]:
    by = request.args.get("by", "day")
    today = clock.now().astimezone(zone()).date()
    end = _day("to") or today
    begin = _day("from") or end - timedelta(days=DAYS - 1)
    return by if by in GROUPS else "day", begin, max(begin, end)


def _day(name: str) -> date | None:
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return found if 1900 < found.year < 2200 else None


def _sum(rows: Sequence[StatisticsRow], name: str) -> Any:
    return sum((getattr(row, name) for row in rows), Decimal(0) if name == "cost" else 0)
