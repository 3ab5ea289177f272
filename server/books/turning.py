"""A turn of an account as a form or a document says it: which act, with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from server import clock
from server.accounts.models import Account, Customer
from server.billing.rules.classes import BillingRules
from server.books import accounts as turns
from server.db import Session
from server.errors import Invalid, NotFound
from server.identity.actor import Actor
from server.rounds.scope import Scope

ACTS = ("close", "hand_over", "suspend", "resume", "change_class")


def turn_of(asked: Mapping[str, Any], dials: turns.Dials, rules: BillingRules) -> turns.Turn:
    """The turn that was asked for; without a time it is now."""
    at = asked.get("at") or clock.now()
    return turns.Turn(at, asked["reason"], dials, bool(asked.get("sure")), rules)


def account_of(session: Session, account_no: str, seen: Scope) -> int:
    """The id of an account in scope.

    Raises:
        NotFound: ``account.unknown``.
    """
    account_id = session.scalar(
        select(Account.id).where(Account.account_no == account_no, seen.accounts())
    )
    if account_id is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours.")
    return account_id


def carry_out(
    session: Session,
    actor: Actor,
    account_id: int,
    turn: turns.Turn,
    asked: Mapping[str, Any],
    seen: Scope,
) -> turns.Turned:
    """Carry out the act ``asked["act"]`` with its own fields.

    Raises:
        Invalid: ``account.act`` for an unknown one, ``account.missing`` when it lacks a field.
        DomainError: what the act itself raises.
    """
    act = asked.get("act")
    if act == "close":
        number = asked.get("balance_to")
        to = account_of(session, number, seen) if number else None
        return turns.close_account(session, actor, account_id, turn, balance_to=to)
    if act == "hand_over":
        return turns.hand_over(
            session,
            actor,
            account_id,
            turn,
            customer_id=_customer(session, _given(asked, "customer_no")),
            account_no=_given(asked, "account_no"),
            with_balance=bool(asked.get("with_balance")),
        )
    if act == "suspend":
        return turns.suspend(session, actor, account_id, turn)
    if act == "resume":
        return turns.resume(session, actor, account_id, turn)
    if act == "change_class":
        return turns.change_class(
            session,
            actor,
            account_id,
            turn,
            account_class=_given(asked, "account_class"),
            tariff_code=_given(asked, "tariff"),
        )
    raise Invalid("account.act", f"There is no act {act!r}.")


def _given(asked: Mapping[str, Any], name: str) -> str:
    value = str(asked.get(name) or "").strip()
    if not value:
        raise Invalid("account.missing", f"{name} is needed.", {"field": name})
    return value


def _customer(session: Session, number: str) -> int:
    found = session.scalar(select(Customer.id).where(Customer.customer_no == number))
    if found is None:
        raise NotFound("customer.unknown", f"There is no customer {number}.")
    return found
