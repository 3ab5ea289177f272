"""What an operator rules about categories: quiet hours, caps, budgets; and the holidays."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, time
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select

from server import audit, clock
from server.db import Session, bulk_upsert
from server.errors import Invalid
from server.notify import consent, setup
from server.notify.models import Holiday, NoticePolicy
from server.notify.rules.categories import ALWAYS_PASS, Policy, category

MOST_MONEY = Decimal(10) ** 12


def put_policy(session: Session, actor: audit.Acting, name: str, policy: Policy) -> None:
    """Rule a category; holds from now on, for messages that wait too.

    Raises Invalid `notify.unknown_category`, or `notify.bad_policy` with every problem.
    """
    wrong = _problems(category(name).name, policy)
    if wrong:
        problems = list(wrong.values())
        raise Invalid(
            "notify.bad_policy",
            f"{'; '.join(problems)}.",
            {"problems": problems, "codes": list(wrong)},
        )
    row = session.scalar(select(NoticePolicy).where(NoticePolicy.category == name))
    before = None if row is None else _plain(consent.policy_of(row))
    if row is None:
        row = NoticePolicy(category=name)
        session.add(row)
    for field, value in asdict(policy).items():
        setattr(row, field, value)
    setup.changed(session)
    audit.record(session, actor, "notify.policy", "notice_policy", name, before, _plain(policy))


def _problems(name: str, policy: Policy) -> dict[str, str]:
    """Everything that is wrong with a policy: a sentence for each code."""
    wrong: dict[str, str] = {}
    if (policy.quiet_from is None) != (policy.quiet_to is None):
        wrong["policy.half_hours"] = "quiet hours need a beginning and an end"
    quiet = policy.quiet_from is not None or policy.quiet_holidays
    if quiet and name in ALWAYS_PASS:
        wrong["policy.must_pass"] = f"{name} must pass at any hour"
    if not 0 <= policy.spread_minutes <= 720:
        wrong["policy.spread"] = "the spread must be 0 to 720 minutes"
    if policy.cap_count is not None and not 0 <= policy.cap_count <= 1000:
        wrong["policy.cap"] = "the cap must be 0 to 1000 messages"
    if not 1 <= policy.cap_hours <= 24 * 92:
        wrong["policy.cap_hours"] = "the period of the cap must be 1 to 2208 hours"
    amounts = (policy.budget_day, policy.budget_month)
    if any(amount is not None and not 0 <= amount < MOST_MONEY for amount in amounts):
        wrong["policy.budget"] = "a budget must be 0 or more"
    return wrong


def _plain(policy: Policy) -> dict[str, Any]:
    """A policy as the audit trail keeps it."""
    return {
        name: str(value) if isinstance(value, time | Decimal) else value
        for name, value in asdict(policy).items()
    }


def put_holidays(session: Session, actor: audit.Acting, days: dict[date, str]) -> None:
    """Name days as holidays; a day that is one already gets the new name."""
    rows = [
        {"created_at": clock.now(), "day": day, "name": name.strip()[:60]}
        for day, name in sorted(days.items())
    ]
    bulk_upsert(session, Holiday, rows, ("day",))
    setup.changed(session)
    what = {str(day): name for day, name in sorted(days.items())}
    audit.record(session, actor, "notify.holidays", "holiday", "", after=what)


def drop_holidays(session: Session, actor: audit.Acting, days: list[date]) -> int:
    """Make ordinary days of holidays; how many were."""
    gone = session.scalars(
        delete(Holiday).where(Holiday.day.in_(days)).returning(Holiday.day)
    ).all()
    setup.changed(session)
    what = {"days": [str(day) for day in sorted(gone)]}
    audit.record(session, actor, "notify.holidays_dropped", "holiday", "", before=what)
    return len(gone)
