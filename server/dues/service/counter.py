"""Taking money at the counter: into an open till, for what the cashier has seen on his page."""

from __future__ import annotations

from decimal import Decimal

from server.billing.models import AccountBalance
from server.billing.service.ledger import lock_accounts
from server.db import Session
from server.dues.models import Payment
from server.dues.models.payments import METHODS
from server.dues.service import payments, tills
from server.dues.service.payments import NewPayment, Receipt
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor
from server.operator import current


def last_line(session: Session, account_id: int) -> int:
    """The newest ledger line in an account's balance; 0 when nothing was ever posted."""
    row = session.get(AccountBalance, (account_id, current(session).currency))
    return row.last_line_id if row is not None else 0


def take(
    session: Session,
    actor: Actor,
    account_id: int,
    amount: Decimal,
    method: str,
    key: str,
    *,
    seen: int | None = None,
    bill_id: int | None = None,
    payer: str | None = None,
) -> Receipt:
    """Take money in at the counter.

    Args:
        key: names this form; sent twice it is one payment.
        seen: the newest ledger line the cashier's page was made from. When the account has moved
            since (another clerk took the money), nothing is taken.

    Raises:
        Conflict: ``payment.account_moved``, ``till.none_open``, ``payment.ref_reused``.
        NotFound: ``payment.unknown_account``.
        Invalid: ``payment.amount``, ``payment.method``.
    """
    actor.require("payment", "receive")
    if method not in METHODS:
        raise Invalid("payment.method", f"There is no way {method!r:.20} to pay.")
    if not lock_accounts(session, [account_id]):
        raise NotFound("payment.unknown_account", "There is no such account.")
    opened = tills.own_session(session, actor)
    payment = NewPayment(
        external_ref=f"counter:{key}",
        channel="counter",
        method=method,
        amount=amount,
        account_id=account_id,
        bill_id=bill_id,
        payer=payer or None,
        staff_id=actor.staff_id,
        till_session_id=opened.id,
    )
    known_already = (
        session.query(Payment.id).filter(Payment.external_ref == payment.external_ref).first()
    )
    if known_already is None and seen is not None and seen != last_line(session, account_id):
        raise Conflict(
            "payment.account_moved",
            "Something was posted to this account meanwhile. Nothing was taken: look again.",
        )
    return payments.receive_one(session, payment, actor)
