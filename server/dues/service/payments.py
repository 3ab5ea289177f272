"""Taking money in: one road for the counter, the API, the field and bank files.

A payment is named by its ``external_ref`` for ever: told again with the same content it is the same
payment, told with other content it is refused.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select

from server import clock
from server.billing.models import Bill
from server.billing.rules.chart import (
    CASH_COUNTER,
    CASH_FIELD,
    CLEARING_API,
    CLEARING_BANK,
    RECEIVABLE,
    SUSPENSE,
)
from server.billing.service.ledger import Entry, Posting, lock_accounts, post
from server.db import Session, among, among_texts, insert_rows, many_ids, many_texts, run, take_ids
from server.dues.models import Allocation, Payment
from server.dues.service import hooks, known, settling
from server.dues.service.known import ZERO
from server.errors import Conflict, Invalid
from server.identity.actor import Actor
from server.operator import current

REF_USED = "payment.ref_reused"


@dataclass(frozen=True, slots=True)
class NewPayment:
    """Money that came in; without ``account_id`` it waits in suspense until somebody assigns it.

    ``said_at`` is when the customer paid, as far as the teller says; else it is now. ``bill_id`` is
    the bill the payer names.
    """

    external_ref: str
    channel: str
    method: str
    amount: Decimal
    account_id: int | None
    account_no: str | None = None
    said_at: datetime | None = None
    bill_id: int | None = None
    payer: str | None = None
    note: str | None = None
    device_receipt: str | None = None
    capture_uuid: UUID | None = None
    staff_id: int | None = None
    till_session_id: int | None = None

    @property
    def content_hash(self) -> str:
        """The hash of what is said: the same payment told again has the same."""
        said = [
            self.channel,
            self.method,
            str(self.amount.normalize()),
            self.account_no if self.account_id is None else self.account_id,
            self.said_at.isoformat() if self.said_at else None,
            self.bill_id,
            self.device_receipt,
        ]
        return hashlib.sha256(orjson.dumps(said)).hexdigest()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bill that a payment has settled."""

    bill_id: int
    bill_no: str
    part: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment as it stands; ``replayed`` when it was there already.

    ``credit`` is what has settled nothing yet, ``earlier`` what went to debt without a bill.
    ``problem`` is the code of a refusal: nothing was
    taken then, and the receipt is that of the earlier payment.
    """

    payment_id: int
    receipt_no: str
    external_ref: str
    status: str
    account_id: int | None
    amount: Decimal
    settled: tuple[Part, ...] = ()
    credit: Decimal = ZERO
    earlier: Decimal = ZERO
    replayed: bool = False
    problem: str | None = None


_KNOWN = select(
    Payment.id,
    Payment.receipt_no,
    Payment.external_ref,
    Payment.status,
    Payment.account_id,
    Payment.amount,
    Payment.content_hash,
).where(among_texts(Payment.external_ref, many_texts("refs")))

_PARTS = (
    select(
        Allocation.payment_id,
        Bill.id,
        Bill.bill_no,
        Allocation.part,
        func.sum(Allocation.amount, type_=Allocation.amount.type),
    )
    .join(Bill, Bill.id == Allocation.bill_id)
    .where(among(Allocation.payment_id, many_ids("ids")))
    .group_by(Allocation.payment_id, Bill.id, Bill.bill_no, Allocation.part)
    .order_by(Bill.id, Allocation.part)
)

_CASH = {"counter": CASH_COUNTER, "field": CASH_FIELD}
_CLEARING = {"counter": CLEARING_BANK, "field": CLEARING_BANK, "bank": CLEARING_BANK}


def receive(session: Session, payments: Sequence[NewPayment], actor: Actor) -> list[Receipt]:
    """Take payments in and let them settle what is open; receipts in the order of the payments.

    The number of statements does not grow with the payments. The same reference twice in one call
    is one payment.

    Raises:
        Invalid: ``payment.amount`` for an amount that is no money.
    """
    for payment in payments:
        check_amount(payment.amount)
    lock_accounts(session, {p.account_id for p in payments if p.account_id is not None})
    earlier = _hashes(session, payments)
    fresh: dict[str, NewPayment] = {}
    for payment in payments:
        if payment.external_ref not in earlier:
            fresh.setdefault(payment.external_ref, payment)
    ids = _store(session, list(fresh.values()), actor)
    touched = sorted({p.account_id for p in fresh.values() if p.account_id is not None})
    settling.settle(session, touched)
    hooks.announce(
        session,
        [(i, p.account_id, p.amount) for i, p in ids.values() if p.account_id is not None],
    )
    hooks.after_receipt(session, touched)
    return _receipts(session, payments, set(ids))


def receive_one(session: Session, payment: NewPayment, actor: Actor) -> Receipt:
    """Take one payment in.

    Raises:
        Conflict: ``payment.ref_reused`` when the reference stands for other content.
        Invalid: ``payment.amount``.
    """
    [receipt] = receive(session, [payment], actor)
    if receipt.problem:
        raise Conflict(
            REF_USED,
            f"The reference {payment.external_ref} stands for another payment.",
            {"external_ref": payment.external_ref, "receipt_no": receipt.receipt_no},
        )
    return receipt


def check_amount(amount: Decimal) -> None:
    """Refuse what is no amount of money.

    Raises:
        Invalid: ``payment.amount``.
    """
    if not amount.is_finite() or amount <= 0 or amount >= Decimal(10) ** 12:
        raise Invalid("payment.amount", "An amount is above 0.", {"amount": str(amount)})
    if amount != amount.quantize(Decimal("0.01")):
        raise Invalid("payment.amount", "An amount has two decimals.", {"amount": str(amount)})


def cash_ledger(channel: str, method: str) -> str:
    """The ledger that money of a channel and method comes in through."""
    if method == "cash" and channel in _CASH:
        return _CASH[channel]
    return _CLEARING.get(channel, CLEARING_API)


# --- storing ------------------------------------------------------------------------------


def _hashes(session: Session, payments: Sequence[NewPayment]) -> dict[str, str]:
    return {row[2]: row[6] for row in _rows(session, payments)}


def _rows(session: Session, payments: Sequence[NewPayment]) -> list[tuple[Any, ...]]:
    refs = sorted({payment.external_ref for payment in payments})
    return run(session, _KNOWN, {"refs": refs}) if refs else []


def _store(
    session: Session, payments: Sequence[NewPayment], actor: Actor
) -> dict[str, tuple[int, NewPayment]]:
    """Post and keep payments that are new; (id, payment) by reference."""
    if not payments:
        return {}
    now, zone, unit = clock.now(), known.zone_of(session), current(session).currency
    ids = take_ids(session, {Payment: len(payments)})[Payment]
    journals = post(
        session,
        [
            Posting(f"payment:{number}", "payment", _sides(payment, unit))
            for number, payment in zip(ids, payments, strict=True)
        ],
    )
    month = f"{now.astimezone(zone):%Y%m}"
    rows = [
        {
            "id": number,
            "created_at": now,
            "receipt_no": f"R{month}{number:09d}",
            "account_id": payment.account_id,
            "channel": payment.channel,
            "method": payment.method,
            "status": "suspense" if payment.account_id is None else "received",
            "amount": payment.amount,
            "unit": unit,
            "external_ref": payment.external_ref,
            "content_hash": payment.content_hash,
            "paid_at": payment.said_at or now,
            "bill_id": payment.bill_id,
            "payer": payment.payer,
            "note": payment.note,
            "given_account_no": payment.account_no,
            "device_receipt": payment.device_receipt,
            "capture_uuid": payment.capture_uuid,
            "staff_id": payment.staff_id if payment.staff_id is not None else actor.staff_id,
            "till_session_id": payment.till_session_id,
            "journal_id": journal,
        }
        for number, payment, journal in zip(ids, payments, journals, strict=True)
    ]
    insert_rows(session, Payment, rows)
    return {p.external_ref: (number, p) for number, p in zip(ids, payments, strict=True)}


def _sides(payment: NewPayment, unit: str) -> tuple[Entry, Entry]:
    source = cash_ledger(payment.channel, payment.method)
    account_id = payment.account_id
    target = SUSPENSE if account_id is None else RECEIVABLE
    return (
        Entry(source, account_id, unit, debit=payment.amount),
        Entry(target, account_id, unit, credit=payment.amount),
    )


# --- receipts -----------------------------------------------------------------------------


def _receipts(
    session: Session, payments: Sequence[NewPayment], fresh: Collection[str]
) -> list[Receipt]:
    """The receipt of each payment; the second of a reference is a replay of the first."""
    rows = {row[2]: row for row in _rows(session, payments)}
    settled = parts(session, [row[0] for row in rows.values()])
    free = _free(session, [row[4] for row in rows.values() if row[4] is not None])
    told = set(rows) - set(fresh)
    receipts = []
    for payment in payments:
        number, receipt_no, ref, status, account_id, amount, content = rows[payment.external_ref]
        own = settled.get(number, ())
        credit, earlier = free.get(number, (ZERO, ZERO))
        is_same = content == payment.content_hash
        receipts.append(
            Receipt(
                payment_id=number,
                receipt_no=receipt_no,
                external_ref=ref,
                status=status,
                account_id=account_id,
                amount=amount,
                settled=own,
                credit=credit,
                earlier=earlier,
                replayed=ref in told and is_same,
                problem=None if is_same else REF_USED,
            )
        )
        told.add(payment.external_ref)
    return receipts


def receipt_of(session: Session, payment: Payment) -> Receipt:
    """The receipt of a payment that is there."""
    own = parts(session, [payment.id]).get(payment.id, ())
    ids = [payment.account_id] if payment.account_id is not None else []
    credit, earlier = _free(session, ids).get(payment.id, (ZERO, ZERO))
    return Receipt(
        payment.id,
        payment.receipt_no,
        payment.external_ref,
        payment.status,
        payment.account_id,
        payment.amount,
        own,
        credit,
        earlier,
    )


def _free(session: Session, account_ids: Collection[int]) -> dict[int, tuple[Decimal, Decimal]]:
    """(credit, for debt without a bill) of what payments have not settled; the newest is credit."""
    found = {}
    debts = known.debts(session, account_ids)
    balances = known.balances(session, account_ids)
    for account_id, paid in known.credits(session, account_ids).items():
        left = known.usable(balances.get(account_id, ZERO), debts.get(account_id, ()))
        for one in reversed(paid):
            credit = min(left, one.free)
            found[one.payment_id] = credit, one.free - credit
            left -= credit
    return found


def parts(session: Session, payment_ids: Iterable[int]) -> dict[int, tuple[Part, ...]]:
    """What payments have settled, by payment; what was freed again is left out."""
    found: dict[int, list[Part]] = defaultdict(list)
    for payment_id, *about in run(session, _PARTS, {"ids": sorted(set(payment_ids))}):
        if about[3]:
            found[payment_id].append(Part(*about))
    return {payment_id: tuple(listed) for payment_id, listed in found.items()}
