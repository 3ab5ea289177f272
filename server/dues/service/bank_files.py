"""Bank files: taken in once by their hash, then matched a slice at a time.

Whatever stops the work, it goes on with the rows that have no outcome yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server import audit, clock
from server.db import Session, insert_rows, transaction, update_rows
from server.dues import queries
from server.dues.models import BankFile, BankRow
from server.dues.rules.bank_csv import BankLine, read_lines, read_text
from server.dues.service import known
from server.dues.service.known import ZERO
from server.dues.service.payments import NewPayment, Receipt, receive
from server.errors import Conflict, Invalid
from server.identity.actor import SYSTEM, Actor

SLICE = 500
MOST_BYTES = 40_000_000


def take_file(session: Session, actor: Actor, name: str, content: bytes) -> BankFile:
    """Keep the rows of a bank file; :func:`match_files` posts them.

    Raises:
        Conflict: ``bank_file.known`` when the same bytes came before.
        Invalid: ``bank_file.encoding``, ``bank_file.columns``, ``bank_file.too_long``,
            ``bank_file.empty``.
    """
    actor.require("payment", "receive")
    if len(content) > MOST_BYTES:
        raise Invalid("bank_file.too_long", "The file is larger than 40 MB.")
    sha256 = hashlib.sha256(content).hexdigest()
    earlier = session.scalar(select(BankFile).where(BankFile.sha256 == sha256))
    if earlier is not None:
        raise Conflict(
            "bank_file.known",
            f"This file came before, as {earlier.name}.",
            {"bank_file": earlier.id},
        )
    lines = list(read_lines(read_text(content)))
    if not lines:
        raise Invalid("bank_file.empty", "The file has no rows.")
    kept = BankFile(name=name[:160], sha256=sha256, rows=len(lines), staff_id=actor.staff_id)
    session.add(kept)
    session.flush()
    insert_rows(session, BankRow, [_row(kept.id, line) for line in lines])
    told = {"name": kept.name, "rows": len(lines)}
    audit.record(session, actor, "bank_file.take", "bank_file", kept.id, after=told)
    return kept


def match_files(most_slices: int | None = None) -> int:
    """Post what waits of all files, a slice in each transaction; returns how many rows."""
    done = slices = 0
    while most_slices is None or slices < most_slices:
        with transaction() as session:
            count = match_slice(session)
        if not count:
            break
        done += count
        slices += 1
    return done


def match_slice(session: Session) -> int:
    """Post the next rows of the oldest file that is not finished; returns how many."""
    unfinished = select(BankFile).where(BankFile.finished_at.is_(None)).order_by(BankFile.id)
    file = session.scalar(unfinished.limit(1).with_for_update())
    if file is None:
        return 0
    rows = session.scalars(
        select(BankRow)
        .where(BankRow.bank_file_id == file.id, BankRow.outcome.is_(None))
        .order_by(BankRow.position)
        .limit(SLICE)
    ).all()
    outcomes = _match(session, rows) if rows else []
    update_rows(session, BankRow, ("id",), outcomes)
    left = select(func.count()).where(BankRow.bank_file_id == file.id, BankRow.outcome.is_(None))
    if not session.scalar(left):
        file.finished_at = clock.now()
    return len(rows)


def outcomes(session: Session, file_id: int) -> dict[str, int]:
    """How many rows of a file came to each outcome; ``waiting`` for those without one."""
    rows = session.execute(
        select(BankRow.outcome, func.count())
        .where(BankRow.bank_file_id == file_id)
        .group_by(BankRow.outcome)
    )
    return {outcome or "waiting": count for outcome, count in rows}


def _row(file_id: int, line: BankLine) -> dict[str, Any]:
    return {
        "created_at": clock.now(),
        "bank_file_id": file_id,
        "position": line.position,
        "reference": line.reference,
        "account_no": line.account_no,
        "amount": line.amount,
        "fields": {
            "paid_on": line.paid_on.isoformat() if line.paid_on else None,
            "payer": line.payer,
            "bill_no": line.bill_no,
        },
        "outcome": "invalid" if line.problem else None,
        "problem": line.problem,
    }


def _match(session: Session, rows: Sequence[BankRow]) -> list[dict[str, Any]]:
    accounts = queries.accounts_by_no(session, [row.account_no for row in rows])
    bills = queries.bills_by_no(session, [row.fields.get("bill_no") for row in rows])
    asked = _open_of(session, accounts.values())
    payments = [_payment(session, row, accounts, bills) for row in rows]
    receipts = receive(session, payments, SYSTEM)
    return [
        {
            "id": row.id,
            "outcome": _outcome(payment, receipt, asked),
            "payment_id": receipt.payment_id,
        }
        for row, payment, receipt in zip(rows, payments, receipts, strict=True)
    ]


def _open_of(session: Session, account_ids: Iterable[int]) -> Mapping[int, tuple[Decimal, Decimal]]:
    """What each open bill asks for today."""
    today = clock.now().astimezone(known.zone_of(session)).date()
    rules = known.rules(session).late_fee
    return {
        debt.bill_id: (debt.principal, debt.principal + debt.fee_so_far(today, rules))
        for debts in known.debts(session, list(account_ids)).values()
        for debt in debts
    }


def _outcome(
    payment: NewPayment, receipt: Receipt, asked: Mapping[int, tuple[Decimal, ...]]
) -> str:
    if receipt.problem:
        return "conflict"
    if receipt.replayed:
        return "duplicate"
    if receipt.status == "suspense":
        return "unknown_account"
    if payment.bill_id is not None and payment.amount not in asked.get(payment.bill_id, (ZERO,)):
        return "wrong_amount"
    return "matched"


def _payment(
    session: Session,
    row: BankRow,
    accounts: Mapping[str, int],
    bills: Mapping[str, tuple[int, int]],
) -> NewPayment:
    account_id = accounts.get(row.account_no or "")
    bill_id, owner = bills.get(row.fields.get("bill_no") or "", (None, None))
    return NewPayment(
        external_ref=f"bank:{row.reference}",
        channel="bank",
        method="transfer",
        amount=row.amount or ZERO,
        account_id=account_id,
        account_no=row.account_no,
        said_at=_noon(session, row.fields.get("paid_on")),
        bill_id=bill_id if owner == account_id else None,
        payer=row.fields.get("payer"),
    )


def _noon(session: Session, day: str | None) -> datetime | None:
    """A day of the bank's calendar as an instant of it, never after now."""
    if not day:
        return None
    noon = datetime.combine(datetime.fromisoformat(day), time(12), known.zone_of(session))
    return min(noon, clock.now())
