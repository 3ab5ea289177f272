"""The balance of the sender's accounts, told only to a phone that belongs to their customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, select

from server.accounts.models import Account
from server.billing.models import AccountBalance
from server.commands.calls import Call, Outcome, Reply
from server.commands.rules.replies import shortened
from server.db import Session, among
from server.operator import Operator

NOT_YOURS = "commands.not_your_account"
NO_ACCOUNT = "commands.no_account"
# Accounts whose balances are told at once, so that the answer stays one text.
_LISTED = 3
_ROOM = 36


def balance(session: Session, calls: Sequence[Call]) -> list[Outcome]:
    """Answer with the balance; several accounts are listed, and asked for when they are many."""
    accounts = _accounts(session, {one for call in calls for one in call.sender.customer_ids})
    return [
        _outcome(call, [row for one in call.sender.customer_ids for row in accounts[one]])
        for call in calls
    ]


def _accounts(session: Session, customers: set[int]) -> dict[int, list[Any]]:
    """The open accounts of customers with their balances."""
    unit = select(Operator.currency).scalar_subquery()
    rows = session.execute(
        select(Account.id, Account.account_no, Account.customer_id, AccountBalance.balance)
        .outerjoin(
            AccountBalance,
            and_(AccountBalance.account_id == Account.id, AccountBalance.unit == unit),
        )
        .where(among(Account.customer_id, customers), Account.status != "closed")
        .order_by(Account.account_no)
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.customer_id].append(row)
    return found


def _outcome(call: Call, accounts: list[Any]) -> Outcome:
    wanted = call.arguments.get("account_no")
    chosen = [row for row in accounts if wanted in (None, row.account_no.upper())]
    if not accounts:
        return Outcome(Reply("reply.no_account"), NO_ACCOUNT)
    if not chosen:
        use = call.command.use[call.sender.language]
        return Outcome(Reply("reply.refused", {"token": wanted, "use": use}), NOT_YOURS)
    if len(chosen) == 1:
        data = {"no": chosen[0].account_no, "bal": _amount(chosen[0])}
        return Outcome(Reply("reply.balance", data, chosen[0].id))
    if len(chosen) <= _LISTED:
        told = [f"{row.account_no} {_amount(row):.2f}" for row in chosen]
        return Outcome(Reply("reply.balances", {"list": "; ".join(told)}))
    numbers = shortened([row.account_no for row in chosen], ", ", _ROOM)
    use = call.command.use[call.sender.language]
    return Outcome(Reply("reply.which", {"n": str(len(chosen)), "list": numbers, "use": use}))


def _amount(row: Any) -> Decimal:
    return row.balance if row.balance is not None else Decimal(0)
