"""Categories of notices: how urgent each is, who may refuse it, when it keeps quiet, what it may cost.

A category is what a customer refuses and what an operator rules. Service categories (bills, outages,
jobs) are apart from promotions: whoever refuses promotions still hears that the power goes off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Literal

from server.errors import Invalid

DeliveryClass = Literal["at_least_once", "at_most_once"]
DELIVERY_CLASSES = ("at_least_once", "at_most_once")


@dataclass(frozen=True)
class Category:
    """One category. A lower `priority` leaves first; `refusable` says whether a phone may refuse it."""

    name: str
    priority: int
    delivery: DeliveryClass
    refusable: bool


@dataclass(frozen=True)
class Policy:
    """What an operator rules about a category.

    Between `quiet_from` and `quiet_to` of the recipient's clock (across midnight when the first is the
    later) nothing is sent, with `quiet_holidays` not on a holiday either; what was held is released
    within `spread_minutes`. A phone gets at most `cap_count` of the category in `cap_hours`. The
    budgets bound what may be queued in a day and in a month, in the operator's currency.
    """

    quiet_from: time | None = None
    quiet_to: time | None = None
    quiet_holidays: bool = False
    spread_minutes: int = 30
    cap_count: int | None = None
    cap_hours: int = 24
    budget_day: Decimal | None = None
    budget_month: Decimal | None = None

    @property
    def has_budget(self) -> bool:
        """Whether what is queued of the category is counted against a budget."""
        return self.budget_day is not None or self.budget_month is not None


_TABLE: Mapping[str, Category] = {
    one.name: one
    for one in (
        Category("safety", 1, "at_least_once", refusable=False),
        Category("reply", 5, "at_most_once", refusable=False),
        Category("outage", 10, "at_least_once", refusable=True),
        Category("job", 25, "at_least_once", refusable=True),
        Category("service", 30, "at_most_once", refusable=False),
        Category("order", 40, "at_most_once", refusable=False),
        Category("dues", 45, "at_least_once", refusable=False),
        Category("bill", 50, "at_least_once", refusable=True),
        Category("staff", 60, "at_most_once", refusable=False),
        Category("promotion", 90, "at_most_once", refusable=True),
    )
}
CATEGORIES = tuple(_TABLE)
REFUSABLE = tuple(name for name, one in _TABLE.items() if one.refusable)
# Danger and the answer to a person's own text pass at any hour.
ALWAYS_PASS = ("safety", "reply")

# Outages and safety pass at any hour; the other services too until an operator rules otherwise.
# Nobody is asked for money at night or on a holiday.
DEFAULT_POLICIES: Mapping[str, Policy] = {
    **dict.fromkeys(CATEGORIES, Policy()),
    "dues": Policy(quiet_from=time(20), quiet_to=time(8), quiet_holidays=True),
    "promotion": Policy(quiet_from=time(21), quiet_to=time(8), cap_count=2, cap_hours=24),
}


def category(name: str) -> Category:
    """The category `name`. Raises Invalid `notify.unknown_category`."""
    if name not in _TABLE:
        raise Invalid(
            "notify.unknown_category", f"There is no category {name}.", {"category": name}
        )
    return _TABLE[name]
