"""What billing does differently for each class of account, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ClassRule:
    """The rule of one account class.

    ``due_days`` is the time from issue to due date; a bill is announced when the balance after
    its issue is below ``notice_below`` (None: never).
    """

    due_days: int = 15
    notice_below: Decimal | None = Decimal(0)

    def announces(self, balance: Decimal) -> bool:
        """Tell whether a bill that leaves this balance is announced to the customer."""
        return self.notice_below is not None and balance < self.notice_below


@dataclass(frozen=True, slots=True)
class BillingRules:
    """The rules of every account class; a class that is not named has the default."""

    default: ClassRule = field(default_factory=ClassRule)
    by_class: Mapping[str, ClassRule] = field(default_factory=dict)

    def of(self, account_class: str) -> ClassRule:
        """The rule of a class."""
        return self.by_class.get(account_class, self.default)
