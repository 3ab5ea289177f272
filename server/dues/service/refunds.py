"""Refunds: credit goes back to the customer; above a limit a second person says yes first."""

from __future__ import annotations

from decimal import Decimal

from server import audit, clock
from server.billing.rules.chart import CASH_COUNTER, CLEARING_BANK, RECEIVABLE
from server.billing.service import ledger
from server.db import Session, insert_rows
from server.dues.models import Allocation, Refund
from server.dues.models.payments import METHODS
from server.dues.service import known, payments, settling, tills
from server.dues.service.known import ZERO
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.operator import current


def refundable(session: Session, account_id: int) -> Decimal:
    """What can be paid back: the credit of an account that settles nothing."""
    return max(known.balances(session, [account_id]).get(account_id, ZERO), ZERO)


def ask_refund(
    session: Session, actor: Actor, account_id: int, amount: Decimal, method: str, reason: str
) -> Refund:
    """Pay credit back, or above the limit leave it to a second person.

    Raises:
        NotFound: ``payment.unknown_account``.
        Conflict: ``refund.too_much``, ``till.none_open`` for cash without a till.
        Invalid: ``refund.reason``, ``refund.method``, ``payment.amount``.
    """
    actor.require("payment", "refund")
    payments.check_amount(amount)
    if not reason.strip():
        raise Invalid("refund.reason", "A refund needs a reason.")
    if method not in METHODS:
        raise Invalid("refund.method", f"There is no way {method!r:.20} to pay back.")
    _guard(session, account_id, amount)
    opened = tills.own_session(session, actor) if method == "cash" else None
    refund = Refund(
        account_id=account_id,
        amount=amount,
        method=method,
        reason=reason.strip()[:255],
        asked_by_id=actor.staff_id,
        till_session_id=opened.id if opened else None,
    )
    session.add(refund)
    session.flush()
    told = {"amount": str(amount), "method": method, "reason": refund.reason}
    audit.record(session, actor, "refund.ask", "refund", refund.id, after=told)
    if amount <= known.rules(session).refund_limit:
        _pay(session, actor, refund)
    return refund


def decide_refund(session: Session, actor: Actor, refund_id: int, *, yes: bool) -> Refund:
    """Say yes or no to a refund that waits, as somebody else than who asked.

    Cash leaves the till of whoever says yes.

    Raises:
        NotFound: ``refund.unknown``.
        Conflict: ``refund.decided``, ``refund.too_much``, ``till.none_open``.
        Forbidden: ``refund.same_person``.
    """
    actor.require("payment", "approve")
    refund = session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("refund.unknown", f"There is no refund {refund_id}.")
    _lock(session, refund.account_id)
    session.refresh(refund, with_for_update=True)
    if refund.status != "asked":
        raise Conflict("refund.decided", "Somebody has decided about this already.")
    if refund.asked_by_id == actor.staff_id:
        raise Forbidden("refund.same_person", "Somebody else must decide about this.")
    if yes:
        _guard(session, refund.account_id, refund.amount)
        if refund.method == "cash":
            refund.till_session_id = tills.own_session(session, actor).id
        _pay(session, actor, refund)
    else:
        refund.status, refund.decided_by_id, refund.decided_at = (
            "refused",
            actor.staff_id,
            clock.now(),
        )
    audit.record(session, actor, f"refund.{refund.status}", "refund", refund.id)
    session.flush()
    return refund


def _guard(session: Session, account_id: int, amount: Decimal) -> None:
    _lock(session, account_id)
    settling.settle(session, [account_id])
    free = refundable(session, account_id)
    if amount > free:
        raise Conflict(
            "refund.too_much", f"The account has {free:.2f} to give back.", {"credit": str(free)}
        )


def _lock(session: Session, account_id: int) -> None:
    if not ledger.lock_accounts(session, [account_id]):
        raise NotFound("payment.unknown_account", "There is no such account.")


def _pay(session: Session, actor: Actor, refund: Refund) -> None:
    """Post the mirror of a payment and take it from the payments that are free, the newest first."""
    unit = current(session).currency
    source = CASH_COUNTER if refund.method == "cash" else CLEARING_BANK
    sides = (
        ledger.Entry(RECEIVABLE, refund.account_id, unit, debit=refund.amount),
        ledger.Entry(source, refund.account_id, unit, credit=refund.amount),
    )
    [journal] = ledger.post(session, [ledger.Posting(f"refund:{refund.id}", "refund", sides)])
    refund.status, refund.journal_id = "paid", journal
    refund.decided_by_id, refund.decided_at = actor.staff_id, clock.now()
    session.flush()
    day = clock.now().astimezone(known.zone_of(session)).date()
    left, rows = refund.amount, []
    free = known.credits(session, [refund.account_id]).get(refund.account_id, [])
    for payment_id, most in [*((c.payment_id, c.free) for c in reversed(free)), (None, left)]:
        share = min(left, most)
        if share > 0:
            rows.append(
                {
                    "created_at": clock.now(),
                    "account_id": refund.account_id,
                    "payment_id": payment_id,
                    "refund_id": refund.id,
                    "part": "refund",
                    "amount": share,
                    "day": day,
                }
            )
            left -= share
    insert_rows(session, Allocation, rows)
