"""Taking over from an earlier system: opening balances and the use of the year so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from server import clock
from server.billing.models import UsageYear
from server.billing.rules.chart import OPENING, RECEIVABLE
from server.billing.service.ledger import Entry, Posting, lock_accounts, post, posted
from server.db import Session, bulk_upsert
from server.operator import current

_SLICE = 2000


@dataclass(frozen=True, slots=True)
class OpeningBalance:
    """The balance an account comes with, in the customer's eyes: below zero he owes."""

    account_id: int
    amount: Decimal


def post_opening_balance(
    session: Session, rows: Sequence[OpeningBalance], posted_at: datetime | None = None
) -> int:
    """Post opening balances and return how many were new; an account has one for ever.

    Any number of rows, with a fixed number of statements for every two thousand.
    """
    posted = 0
    for start in range(0, len(rows), _SLICE):
        posted += _post(session, rows[start : start + _SLICE], posted_at or clock.now())
    return posted


def _post(session: Session, rows: Sequence[OpeningBalance], at: datetime) -> int:
    wanted = {row.account_id: row.amount for row in rows}
    unit = current(session).currency
    lock_accounts(session, wanted)
    known = posted(session, [_key(account_id) for account_id in wanted])
    new = [_posting(i, wanted[i], unit, at) for i in sorted(wanted) if _key(i) not in known]
    return len(post(session, new))


def _posting(account_id: int, amount: Decimal, unit: str, at: datetime) -> Posting:
    credit, debit = max(amount, Decimal(0)), max(-amount, Decimal(0))
    lines = (
        Entry(RECEIVABLE, account_id, unit, debit, credit),
        Entry(OPENING, account_id, unit, credit, debit),
    )
    return Posting(_key(account_id), "opening", lines, posted_at=at)


def post_opening_usage(session: Session, used: Mapping[tuple[int, int], Decimal]) -> None:
    """Set what accounts had used in a year before this system: {(account id, year): quantity}.

    Setting it again corrects it: the difference goes into the year's quantity.
    """
    keys = sorted(used)
    for start in range(0, len(keys), _SLICE):
        part = keys[start : start + _SLICE]
        accounts = {account_id for account_id, _ in part}
        lock_accounts(session, accounts)
        rows = session.execute(
            select(UsageYear.account_id, UsageYear.year, UsageYear.opening).where(
                UsageYear.account_id.in_(sorted(accounts))
            )
        )
        before = {(account_id, year): opening for account_id, year, opening in rows}
        changes = [
            {
                "account_id": account_id,
                "year": year,
                "opening": used[account_id, year] - before.get((account_id, year), Decimal(0)),
                "quantity": used[account_id, year] - before.get((account_id, year), Decimal(0)),
            }
            for account_id, year in part
        ]
        adding = ("opening", "quantity")
        bulk_upsert(session, UsageYear, changes, ("account_id", "year"), add=adding)


def _key(account_id: int) -> str:
    return f"opening:{account_id}"
