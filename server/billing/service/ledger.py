"""Posting to the ledger: journals of lines, the cached balances they change, reversals.

Whoever posts to accounts locks them first with :func:`lock_accounts`, always in the order of the
ids; then no two changes of a balance meet and no two of them wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from server import audit, clock
from server.accounts.models import Account
from server.billing.models import AccountBalance, Journal, LedgerLine
from server.billing.rules.chart import CHART, RECEIVABLE
from server.billing.service.periods import guard_open
from server.db import (
    Session,
    among,
    among_texts,
    bulk_upsert,
    insert_rows,
    many_ids,
    many_texts,
    run,
    take_ids,
)
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor

ZERO = Decimal(0)

_LOCK = (
    select(Account.id)
    .where(among(Account.id, many_ids("ids")))
    .order_by(Account.id)
    .with_for_update(key_share=True)
)
_KNOWN_KEYS = select(Journal.source_key, Journal.id).where(
    among_texts(Journal.source_key, many_texts("keys"))
)
_BALANCES = select(AccountBalance.account_id, AccountBalance.unit, AccountBalance.balance).where(
    among(AccountBalance.account_id, many_ids("ids"))
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a journal; ``unit`` is the currency, ``points``, or ``product:<id>``."""

    ledger: str
    account_id: int | None
    unit: str
    debit: Decimal = ZERO
    credit: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Posting:
    """A journal to be posted; ``source_key`` names its cause and exists once for ever.

    ``posted_at`` decides the accounting period; without it the journal is posted now.
    """

    source_key: str
    kind: str
    lines: tuple[Entry, ...]
    posted_at: datetime | None = None
    reverses_id: int | None = None


@dataclass(slots=True)
class Rows:
    """The rows of postings whose keys are taken, ready to be written."""

    journals: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[tuple[int, str], tuple[Decimal, int]] = field(default_factory=dict)


def lock_accounts(session: Session, ids: Iterable[int]) -> list[int]:
    """Lock accounts until the transaction ends, ascending; returns those that exist."""
    return [row[0] for row in run(session, _LOCK, {"ids": sorted(set(ids))})]


def posted(session: Session, keys: Collection[str]) -> dict[str, int]:
    """The journals that exist already, by their source keys: what must not be posted again."""
    return dict(run(session, _KNOWN_KEYS, {"keys": sorted(keys)})) if keys else {}


def balances(session: Session, ids: Iterable[int], unit: str) -> dict[int, Decimal]:
    """The cached balances in the customer's eyes (below zero: owes) of accounts that have one."""
    rows = run(session, _BALANCES, {"ids": sorted(set(ids))})
    return {account_id: balance for account_id, of, balance in rows if of == unit}


def post(session: Session, postings: Sequence[Posting]) -> list[int]:
    """Post journals with a fixed number of statements and return their ids, in the same order.

    The accounts must be locked and the source keys be new: see :func:`posted`.

    Raises:
        Invalid: ``ledger.unbalanced`` when debits and credits of a unit differ, ``ledger.unknown``
            for a ledger that the chart does not have.
        Conflict: ``ledger.period_closed``.
    """
    if not postings:
        return []
    guard_open(session, (posting.posted_at for posting in postings))
    count = sum(len(posting.lines) for posting in postings)
    ids = take_ids(session, {Journal: len(postings), LedgerLine: count})
    write(session, rows_of(postings, ids[Journal], ids.get(LedgerLine, []), clock.now()))
    return ids[Journal]


def rows_of(
    postings: Sequence[Posting], journal_ids: Sequence[int], line_ids: Sequence[int], now: datetime
) -> Rows:
    """The rows of checked postings; for callers that take the keys with others of their own."""
    rows = Rows()
    numbers = iter(line_ids)
    for posting, journal_id in zip(postings, journal_ids, strict=True):
        check(posting)
        rows.journals.append(
            {
                "id": journal_id,
                "created_at": now,
                "source_key": posting.source_key,
                "kind": posting.kind,
                "posted_at": posting.posted_at or now,
                "reverses_id": posting.reverses_id,
            }
        )
        for entry in posting.lines:
            _add_line(rows, entry, next(numbers), journal_id, now)
    return rows


def _add_line(rows: Rows, entry: Entry, line_id: int, journal_id: int, now: datetime) -> None:
    rows.lines.append(
        {
            "id": line_id,
            "created_at": now,
            "journal_id": journal_id,
            "ledger": entry.ledger,
            "account_id": entry.account_id,
            "unit": entry.unit,
            "debit": entry.debit,
            "credit": entry.credit,
        }
    )
    if entry.ledger == RECEIVABLE and entry.account_id is not None:
        key = entry.account_id, entry.unit
        before, last = rows.changes.get(key, (ZERO, 0))
        rows.changes[key] = before + entry.credit - entry.debit, max(last, line_id)


def write(session: Session, rows: Rows) -> None:
    """Write journals and lines and add what they change to the cached balances."""
    insert_rows(session, Journal, rows.journals)
    insert_rows(session, LedgerLine, rows.lines)
    cached = [
        {"account_id": account_id, "unit": unit, "balance": change, "last_line_id": last}
        for (account_id, unit), (change, last) in sorted(rows.changes.items())
    ]
    bulk_upsert(session, AccountBalance, cached, ("account_id", "unit"), add=("balance",))


def check(posting: Posting) -> None:
    """Refuse a journal that does not balance in every unit, or names an unknown ledger.

    Raises:
        Invalid: ``ledger.unbalanced``, ``ledger.unknown``.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in posting.lines:
        if entry.ledger not in CHART:
            raise Invalid("ledger.unknown", f"There is no ledger {entry.ledger!r}.")
        sums[entry.unit] += entry.debit - entry.credit
    wrong = {unit: str(difference) for unit, difference in sums.items() if difference}
    if wrong or not posting.lines:
        raise Invalid(
            "ledger.unbalanced", f"The journal {posting.source_key} does not balance.", wrong
        )


def mirrored(lines: Iterable[LedgerLine]) -> tuple[Entry, ...]:
    """The lines of a journal with their sides exchanged."""
    return tuple(
        Entry(line.ledger, line.account_id, line.unit, line.credit, line.debit) for line in lines
    )


def reverse(session: Session, journal_id: int, actor: Actor, reason: str) -> int:
    """Post the mirror of a journal, now, and return its id; both stay for ever.

    Raises:
        NotFound: ``ledger.no_journal``.
        Conflict: ``ledger.reversed`` when it has been reversed already.
        Invalid: ``ledger.reason`` without a reason.
    """
    if not reason.strip():
        raise Invalid("ledger.reason", "A reversal needs a reason.")
    if session.get(Journal, journal_id) is None:
        raise NotFound("ledger.no_journal", f"There is no journal {journal_id}.")
    lines = session.scalars(
        select(LedgerLine).where(LedgerLine.journal_id == journal_id).order_by(LedgerLine.id)
    ).all()
    lock_accounts(session, {line.account_id for line in lines if line.account_id is not None})
    key = f"reversal:{journal_id}"
    if posted(session, [key]):
        raise Conflict("ledger.reversed", f"Journal {journal_id} has been reversed already.")
    posting = Posting(key, "reversal", mirrored(lines), reverses_id=journal_id)
    [reversal] = post(session, [posting])
    after = {"journal": reversal, "reason": reason.strip()}
    audit.record(session, actor, "ledger.reverse", "journal", journal_id, after=after)
    return reversal
