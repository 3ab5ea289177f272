"""Statistics of messages: how many, how well, for how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask import Response, render_template, request

from server import clock
from server.console import paging, scope
from server.console.look import look
from server.console.queries import message_statistics as statistics
from server.console.show import zone
from server.errors import Forbidden

DAYS = 30


def page() -> str:
    """The figures of a time, grouped as the address says."""
    by, begin, end = _asked()
    with look() as session:
        _require_all(session)
        rows = statistics.figures(session, by, begin, end)
        course = statistics.course(session, begin, end)
    total = {name: _sum(rows, name) for name in statistics.FIGURES}
    return render_template(
        "console/message_statistics.html",
        rows=rows,
        total=total,
        course=[n for _day, n in course],
        by=by,
        begin=begin,
        end=end,
        groups=statistics.GROUPS,
        most=max((row.segments for row in rows), default=1) or 1,
    )


def export() -> Response:
    """The same as CSV."""
    by, begin, end = _asked()
    with look() as session:
        _require_all(session)
    return paging.csv_answer(
        "message-statistics", [by, *statistics.FIGURES], lambda: _rows(by, begin, end)
    )


def _rows(by: str, begin: date, end: date) -> Iterable[Sequence[Any]]:
    with look() as session:
        yield from (tuple(row) for row in statistics.figures(session, by, begin, end))


def _require_all(session: Any) -> None:
    """Sums are over everybody, so they are for those who may see everybody."""
    if not scope.of(session, "messages", "view").sees_all:
        raise Forbidden("identity.forbidden", "These figures are about all customers.")


def _asked() -> tuple[str, date, date]:
    by = request.args.get("by", "day")
    today = clock.now().astimezone(zone()).date()
    end = _day("to") or today
    begin = _day("from") or end - timedelta(days=DAYS - 1)
    return by if by in statistics.GROUPS else "day", begin, max(begin, end)


def _day(name: str) -> date | None:
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return found if 1900 < found.year < 2200 else None


def _sum(rows: Sequence[Any], name: str) -> Any:
    return sum((getattr(row, name) for row in rows), Decimal(0) if name == "cost" else 0)
