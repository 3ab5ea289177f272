"""The ladder of a debt: reminder, demand, notice of disconnection, proposal to disconnect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

Kind = Literal["notice", "proposal"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: taken once for a debt, after the step before it.

    ``after_due`` days after the due date at the earliest and ``wait`` days after the step before.
    A ``notice`` is the event of that name. ``notice_days`` lie between a notice of disconnection and
    the first day on which the supply may be cut; a proposal waits for that day.
    """

    name: str
    kind: Kind
    after_due: int
    wait: int = 0
    event: str | None = None
    notice_days: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken: when, and from which day on it allows to cut."""

    day: date
    cut_from: date | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps of a class of accounts; debts below ``least`` are not chased."""

    steps: tuple[Step, ...]
    least: Decimal = Decimal(0)
    last_notice_hours: int | None = None

    def next(self, due: date, today: date, taken: Mapping[str, Taken]) -> Step | None:
        """The step to take today for a debt, at most one; none when it is not time yet."""
        before: Taken | None = None
        for step in self.steps:
            if step.name in taken:
                before = taken[step.name]
                continue
            return step if _is_time(step, due, today, before) else None
        return None


def _is_time(step: Step, due: date, today: date, before: Taken | None) -> bool:
    if today < due + timedelta(days=max(step.after_due, 1)):
        return False
    if before is None:
        return True
    if today < before.day + timedelta(days=max(step.wait, 1)):
        return False
    return before.cut_from is None or today >= before.cut_from


def cut_day(today: date, notice_days: int, holidays: Collection[date]) -> date:
    """The first day on which the supply may be cut: after the full notice, on no holiday."""
    day = today + timedelta(days=notice_days)
    while day in holidays:
        day += timedelta(days=1)
    return day


def _residential() -> tuple[Step, ...]:
    return (
        Step("reminder", "notice", after_due=3, event="dues.reminder"),
        Step("demand", "notice", after_due=15, wait=7, event="dues.demand"),
        Step(
            "cut_notice",
            "notice",
            after_due=31,
            wait=7,
            event="dues.cut_notice",
            notice_days=7,
        ),
        Step("disconnect", "proposal", after_due=31),
    )


def _others() -> tuple[Step, ...]:
    steps = list(_residential())
    steps[2] = Step(
        "cut_notice", "notice", after_due=31, wait=7, event="dues.cut_notice", notice_days=3
    )
    return tuple(steps)


LAW_OVERDUE_DAYS = 30
LAW_NOTICE_DAYS = {"residential": 7}
LAW_NOTICE_DAYS_OTHERS = 3
DEFAULT_LADDERS: Mapping[str, Ladder] = {
    "default": Ladder(_others(), least=Decimal(1), last_notice_hours=1),
    "residential": Ladder(_residential(), least=Decimal(1)),
}


def unlawful(account_class: str, steps: Sequence[Step]) -> list[str]:
    """What the law of supply forbids about a ladder that ends in a cut, one sentence each."""
    names = [step.name for step in steps]
    proposals = [step for step in steps if step.kind == "proposal"]
    if not proposals:
        return []
    wrong = []
    notices = [step for step in steps if step.notice_days is not None]
    least = LAW_NOTICE_DAYS.get(account_class, LAW_NOTICE_DAYS_OTHERS)
    if not notices or names.index(notices[-1].name) > names.index(proposals[0].name):
        wrong.append("a notice of disconnection must come before the proposal")
    if any((step.notice_days or 0) < least for step in notices):
        wrong.append(f"the notice of disconnection must be {least} days or longer")
    if any(step.after_due <= LAW_OVERDUE_DAYS for step in (*notices, *proposals)):
        wrong.append(f"nothing is cut before a debt is overdue for {LAW_OVERDUE_DAYS} days")
    earlier = [step for step in steps if step.kind == "notice" and step.notice_days is None]
    if notices and not any(names.index(s.name) < names.index(notices[0].name) for s in earlier):
        wrong.append("a demand must come before the notice of disconnection")
    return wrong
