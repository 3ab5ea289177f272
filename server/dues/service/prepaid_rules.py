"""What the operator rules about low balances, by account class and mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import select

from server import audit, clock
from server.accounts.models import ACCOUNT_MODES, Account
from server.db import Session, bulk_upsert
from server.dues.models import BalanceRule
from server.dues.rules.prepaid import BASES, CUTS, DEFAULT_RULES, Rule, steps_of
from server.errors import Invalid, NotFound
from server.identity.actor import Actor

LARGEST = Decimal(10) ** 9
_B = BalanceRule


@dataclass(frozen=True)
class Rules:
    """The rules of all classes; a class without one has the default of its mode."""

    own: Mapping[tuple[str, str], Rule]

    def of(self, account_class: str, mode: str, threshold: Decimal | None) -> Rule:
        """The rule of an account; a threshold of its own stands before that of its class."""
        rule = self.own.get((account_class, mode)) or DEFAULT_RULES[mode]
        return rule if threshold is None else replace(rule, low_balance=threshold)


def load(session: Session) -> Rules:
    """The rules as they are now."""
    rows = session.scalars(select(_B))
    return Rules(
        {
            (row.account_class, row.mode): Rule(
                row.low_balance,
                row.cut,
                row.cut_below,
                row.alarm_basis,
                steps_of(row.alarm_steps),
            )
            for row in rows
        }
    )


def put(session: Session, actor: Actor, account_class: str, mode: str, rule: Rule) -> None:
    """Rule about a class from now on; the act is audited.

    Raises:
        Invalid: ``balance_rule.invalid`` with every bad field in the details.
    """
    actor.require("settings", "edit")
    problems = {
        "account_class": not 0 < len(account_class) <= 40 and "must have 1 to 40 characters",
        "mode": mode not in ACCOUNT_MODES and f"must be one of {', '.join(ACCOUNT_MODES)}",
        "low_balance": _amount(rule.low_balance),
        "cut": rule.cut not in CUTS and f"must be one of {', '.join(CUTS)}",
        "cut_below": _amount(rule.cut_below),
        "basis": rule.basis not in (None, *BASES) and f"must be one of {', '.join(BASES)}",
        "steps": _steps(rule),
    }
    wrong = {name: problem for name, problem in problems.items() if problem}
    if wrong:
        raise Invalid("balance_rule.invalid", "The rule cannot be used.", wrong)
    row = {
        "account_class": account_class,
        "mode": mode,
        "low_balance": rule.low_balance,
        "cut": rule.cut,
        "cut_below": rule.cut_below,
        "alarm_basis": rule.basis,
        "alarm_steps": [str(step) for step in rule.steps],
    }
    stamped = {"created_at": clock.now(), **row}
    bulk_upsert(session, _B, [stamped], ("account_class", "mode"))
    told = {name: str(value) for name, value in row.items()}
    audit.record(session, actor, "balance_rule.put", "balance_rule", account_class, after=told)


def put_threshold(
    session: Session, actor: Actor, account_no: str, threshold: Decimal | None
) -> None:
    """Give one account a threshold of its own, or with None that of its class again.

    Raises:
        NotFound: ``account.unknown``.
        Invalid: ``balance_rule.invalid``.
    """
    actor.require("accounts", "edit")
    if wrong := _amount(threshold):
        raise Invalid("balance_rule.invalid", "The threshold cannot be used.", {"threshold": wrong})
    account = session.scalar(select(Account).where(Account.account_no == account_no))
    if account is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours to see.")
    before, account.alert_threshold = account.alert_threshold, threshold
    audit.record(
        session,
        actor,
        "account.threshold",
        "account",
        account.id,
        before={"alert_threshold": None if before is None else str(before)},
        after={"alert_threshold": None if threshold is None else str(threshold)},
    )


def _amount(value: Decimal | None) -> str | None:
    if value is None or (value.is_finite() and abs(value) < LARGEST):
        return None
    return "must be an amount"


def _steps(rule: Rule) -> str | None:
    if bool(rule.steps) != (rule.basis is not None):
        return "go together with a basis"
    if any(not step.is_finite() or not 0 < step <= 1000 for step in rule.steps):
        return "must be above 0"
    return None
