"""Taking over from an earlier system: opening balances and the use of the year so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from server import clock
from server.accounts.models import Account
from server.billing.models import (
    OPENING,
    RECEIVABLE,
    AccountBalance,
    Journal,
    LedgerLine,
    UsageYear,
)
from server.billing.service.context import load_balances
from server.db import Session, bulk_upsert, insert_rows, take_ids
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
    wanted = {row.account_id: row for row in rows}
    unit = current(session).currency
    _lock(session, wanted)
    keys = [_key(account_id) for account_id in wanted]
    known = set(session.scalars(select(Journal.source_key).where(Journal.source_key.in_(keys))))
    new = [wanted[i] for i in sorted(wanted) if _key(i) not in known]
    ids = take_ids(session, {Journal: len(new), LedgerLine: 2 * len(new)})
    balances = load_balances(session, [row.account_id for row in new], unit)
    journals, lines, cached = [], [], []
    for index, row in enumerate(new):
        journal_id = ids[Journal][index]
        own, other = ids[LedgerLine][2 * index : 2 * index + 2]
        credit, debit = max(row.amount, Decimal(0)), max(-row.amount, Decimal(0))
        journals.append(
            {
                "id": journal_id,
                "created_at": clock.now(),
                "source_key": _key(row.account_id),
                "kind": "opening",
                "posted_at": at,
            }
        )
        sides = ((own, RECEIVABLE, debit, credit), (other, OPENING, credit, debit))
        for line_id, ledger, left, right in sides:
            lines.append(
                {
                    "id": line_id,
                    "created_at": clock.now(),
                    "journal_id": journal_id,
                    "ledger": ledger,
                    "account_id": row.account_id,
                    "unit": unit,
                    "debit": left,
                    "credit": right,
                }
            )
        before, _ = balances.get(row.account_id, (Decimal(0), 0))
        cached.append(
            {
                "account_id": row.account_id,
                "unit": unit,
                "balance": before + row.amount,
                "last_line_id": own,
            }
        )
    insert_rows(session, Journal, journals)
    insert_rows(session, LedgerLine, lines)
    bulk_upsert(session, AccountBalance, cached, ("account_id", "unit"))
    return len(new)


def post_opening_usage(session: Session, used: Mapping[tuple[int, int], Decimal]) -> None:
    """Set what accounts had used in a year before this system: {(account id, year): quantity}.

    Setting it again corrects it: the difference goes into the year's quantity.
    """
    keys = sorted(used)
    for start in range(0, len(keys), _SLICE):
        part = keys[start : start + _SLICE]
        accounts = {account_id for account_id, _ in part}
        _lock(session, accounts)
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


def _lock(session: Session, account_ids: Iterable[int]) -> None:
    session.execute(
        select(Account.id)
        .where(Account.id.in_(sorted(account_ids)))
        .order_by(Account.id)
        .with_for_update(key_share=True)
    ).all()


def _key(account_id: int) -> str:
    return f"opening:{account_id}"
