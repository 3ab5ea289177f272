"""Hard budgets of categories: what may be queued in a day and a month, counted when it is queued.

The count is raised in the transaction that queues the messages, by a statement that does nothing above
the limit, so that no number of senders at once can pass it. What is withdrawn later is not given back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from server import clock
from server.db import Session, insert_rows
from server.errors import Conflict
from server.notify.consent import Rules, load_rules
from server.notify.models import BudgetUse

_B = BudgetUse


def charge(session: Session, rules: Rules, costs: Iterable[tuple[str, Decimal]]) -> None:
    """Count what messages of these categories will cost against the budgets of today and the month.

    Raises Conflict `notify.over_budget`; the caller's transaction must then end without a commit.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for category, cost in costs:
        if cost:
            sums[category] += cost
    for category, cost in sums.items():
        for period, limit in limits(rules, category, clock.now()).items():
            _charge(session, category, period, cost, limit)


def limits(rules: Rules, category: str, now: datetime) -> dict[str, Decimal]:
    """The budgets of a category by period: `2026-11` the month, `2026-11-22` the day."""
    local = now.astimezone(ZoneInfo(rules.home))
    policy = rules.policy(category)
    found = {f"{local:%Y-%m}": policy.budget_month, f"{local:%Y-%m-%d}": policy.budget_day}
    return {period: limit for period, limit in found.items() if limit is not None}


def require(session: Session, category: str, cost: Decimal) -> None:
    """Refuse early what the budgets of a category do not bear now; nothing is counted yet.

    Raises Conflict `notify.over_budget`.
    """
    rules = load_rules(session)
    for period, limit in limits(rules, category, clock.now()).items():
        used = _used(session, category, period)
        if used + cost > limit:
            raise _over(category, period, cost, limit - used)


def spent(session: Session, rules: Rules, now: datetime) -> dict[tuple[str, str], Decimal]:
    """What of every budget is used up: by category and `day` or `month`."""
    local = now.astimezone(ZoneInfo(rules.home))
    periods = {f"{local:%Y-%m}": "month", f"{local:%Y-%m-%d}": "day"}
    rows = session.execute(
        select(_B.category, _B.period, _B.amount).where(_B.period.in_(list(periods)))
    )
    return {(row.category, periods[row.period]): row.amount for row in rows}


def _charge(session: Session, category: str, period: str, cost: Decimal, limit: Decimal) -> None:
    row = {"created_at": clock.now(), "category": category, "period": period, "amount": Decimal(0)}
    insert_rows(session, _B, [row], on_conflict=("category", "period"))
    charged = session.execute(
        update(_B)
        .where(_B.category == category, _B.period == period, _B.amount <= limit - cost)
        .values(amount=_B.amount + cost)
        .returning(_B.amount)
    ).scalar()
    if charged is None:
        raise _over(category, period, cost, limit - _used(session, category, period))


def _used(session: Session, category: str, period: str) -> Decimal:
    used = session.scalar(select(_B.amount).where(_B.category == category, _B.period == period))
    return used or Decimal(0)


def _over(category: str, period: str, cost: Decimal, left: Decimal) -> Conflict:
    return Conflict(
        "notify.over_budget",
        f"The budget of {category} for {period} does not bear another {cost}.",
        {"period": period, "needed": str(cost), "left": str(left)},
    )
