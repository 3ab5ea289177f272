"""Taking back: a bill is cancelled, a payment turns out not to be one, money finds its account."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import func, select

from server import audit, clock, review
from server.billing.rules.chart import RECEIVABLE, SUSPENSE
from server.billing.rules.classes import BillingRules
from server.billing.service import corrections, ledger
from server.billing.service.bills import DEFAULT_RULES
from server.billing.service.corrections import Corrected
from server.db import Session, among
from server.dues.models import Allocation, LateFee, Payment
from server.dues.service import hooks, known, settling
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor


def free_bills(session: Session, bill_ids: Sequence[int]) -> None:
    """Make credit again of what settled these bills, and take their late fees back.

    Their accounts must be locked. What is free settles other bills with the next settling.
    """
    settling.release(session, among(Allocation.bill_id, bill_ids))
    charged = session.execute(
        select(
            LateFee.account_id,
            LateFee.bill_id,
            func.max(LateFee.through),
            func.sum(LateFee.amount),
        )
        .where(among(LateFee.bill_id, bill_ids))
        .group_by(LateFee.account_id, LateFee.bill_id)
        .order_by(LateFee.bill_id)
    )
    settling.charge(
        session,
        [
            {
                "created_at": clock.now(),
                "account_id": account_id,
                "bill_id": bill_id,
                "through": through,
                "amount": -amount,
                "detail": [],
            }
            for account_id, bill_id, through, amount in charged
            if amount
        ],
    )


def cancel_bill(
    session: Session,
    actor: Actor,
    bill_id: int,
    reason: str,
    *,
    again: bool = False,
    limit: Decimal | None = None,
    rules: BillingRules = DEFAULT_RULES,
) -> Corrected:
    """Cancel a bill as :func:`corrections.cancel_bill` does; what settled it becomes credit.

    The credit settles what was billed again, or what else is open, in the same transaction.
    """
    done = corrections.cancel_bill(
        session, actor, bill_id, reason, again=again, limit=limit, free=free_bills, rules=rules
    )
    _settle_again(session, done.cancelled)
    return done


def decide_correction(
    session: Session, actor: Actor, item_id: int, why: str, rules: BillingRules = DEFAULT_RULES
) -> Corrected:
    """Carry out a correction that waited for a second person, see :func:`corrections.decide`."""
    done = corrections.decide(session, actor, item_id, why, free=free_bills, rules=rules)
    _settle_again(session, (*done.cancelled, *done.notes))
    return done


def credit_bill(
    session: Session,
    actor: Actor,
    bill_id: int,
    amount: Decimal,
    reason: str,
    *,
    limit: Decimal | None = None,
) -> Corrected:
    """Give a part of a bill back as :func:`corrections.credit` does; what it freed settles the rest."""
    done = corrections.credit(session, actor, bill_id, amount, reason, limit=limit)
    _settle_again(session, done.notes)
    return done


def _settle_again(session: Session, bill_ids: Sequence[int]) -> None:
    if not bill_ids:
        return
    ids = known.accounts_of_bills(session, bill_ids)
    settling.settle(session, ids)
    hooks.after_receipt(session, ids)


def reverse_payment(session: Session, actor: Actor, payment_id: int, reason: str) -> Payment:
    """Take a payment back that was none (a bounced cheque): what it settled is open again.

    Late fees run as if it had never been made.

    Raises:
        NotFound: ``payment.unknown``.
        Conflict: ``payment.reversed``, ``payment.refunded`` when a part of it was paid back.
        Invalid: ``ledger.reason`` without a reason.
    """
    actor.require("payment", "reverse")
    payment = locked(session, payment_id)
    if payment.status == "reversed":
        raise Conflict("payment.reversed", f"Payment {payment.receipt_no} was taken back already.")
    if _is_refunded(session, payment_id):
        raise Conflict("payment.refunded", "A part of this payment was paid back to the customer.")
    journals = [payment.journal_id]
    assigned = ledger.posted(session, [_assigned(payment_id)])
    journals += assigned.values()
    for journal_id in reversed(journals):
        ledger.reverse(session, journal_id, actor, reason)
    settling.release(session, Allocation.payment_id == payment_id)
    before, payment.status = payment.status, "reversed"
    audit.record(
        session,
        actor,
        "payment.reverse",
        "payment",
        payment_id,
        before={"status": before},
        after={"status": "reversed", "reason": reason.strip()},
    )
    session.flush()
    if payment.account_id is not None:
        settling.settle(session, [payment.account_id])
    return payment


def assign(
    session: Session, actor: Actor, payment_id: int, account_id: int, reason: str
) -> Payment:
    """Give money that waits in suspense to the account it was meant for.

    Raises:
        NotFound: ``payment.unknown``, ``payment.unknown_account``.
        Conflict: ``payment.not_in_suspense``.
        Invalid: ``payment.reason`` without a reason.
    """
    actor.require("payment", "assign")
    if not reason.strip():
        raise Invalid("payment.reason", "Say why the money belongs there.")
    if not ledger.lock_accounts(session, [account_id]):
        raise NotFound("payment.unknown_account", "There is no such account.")
    payment = locked(session, payment_id)
    if payment.status != "suspense":
        raise Conflict("payment.not_in_suspense", f"Payment {payment.receipt_no} has its account.")
    sides = (
        ledger.Entry(SUSPENSE, None, payment.unit, debit=payment.amount),
        ledger.Entry(RECEIVABLE, account_id, payment.unit, credit=payment.amount),
    )
    ledger.post(session, [ledger.Posting(_assigned(payment_id), "assignment", sides)])
    payment.account_id, payment.status = account_id, "received"
    told = {"account_id": account_id, "reason": reason.strip()}
    audit.record(session, actor, "payment.assign", "payment", payment_id, after=told)
    session.flush()
    review.close_for(session, actor, "payment", [payment_id], "corrected", reason.strip())
    settling.settle(session, [account_id])
    hooks.announce(session, [(payment_id, account_id, payment.amount)])
    hooks.after_receipt(session, [account_id])
    return payment


def locked(session: Session, payment_id: int) -> Payment:
    """A payment, its account and itself locked.

    Raises:
        NotFound: ``payment.unknown``.
    """
    payment = session.get(Payment, payment_id)
    if payment is None:
        raise NotFound("payment.unknown", f"There is no payment {payment_id}.")
    if payment.account_id is not None:
        ledger.lock_accounts(session, [payment.account_id])
    return session.get_one(Payment, payment_id, with_for_update=True, populate_existing=True)


def _is_refunded(session: Session, payment_id: int) -> bool:
    refunded = session.scalar(
        select(func.sum(Allocation.amount)).where(
            Allocation.payment_id == payment_id, Allocation.part == "refund"
        )
    )
    return bool(refunded)


def _assigned(payment_id: int) -> str:
    return f"payment:{payment_id}:assigned"
