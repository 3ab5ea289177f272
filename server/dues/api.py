"""Payments and dues over the JSON API."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_smorest import Blueprint
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from server.accounts.models import Account
from server.db import Session, carry_out, snapshot
from server.dues import queries
from server.dues.models import Payment
from server.dues.schemas import DuesOut, PaymentIn, PaymentOut, ReasonIn
from server.dues.service import NewPayment, Receipt, receive_one, reverse_payment
from server.dues.service import payments as taking
from server.errors import Invalid, NotFound
from server.identity.actor import Actor
from server.identity.bearer import bearer_required, current_actor
from server.rounds.scope import scope_of

blueprint = Blueprint(
    "payments",
    __name__,
    url_prefix="/api/v1",
    description="Payments made elsewhere, and what accounts owe.",
)


@blueprint.route("/payments", methods=["POST"])
@bearer_required
@blueprint.arguments(
    PaymentIn,
    example={"external_ref": "wx-20261120-1", "account_no": "10000001", "amount": "123.45"},
)
@blueprint.response(201, PaymentOut)
def take(given: dict[str, Any]) -> Any:
    """Take a payment in.

    The same ``external_ref`` with the same content answers with the same payment and 200; with
    other content it is refused (409 ``payment.ref_reused``). An ``Idempotency-Key`` header, if
    there is one, must be the ``external_ref``.
    """
    actor = current_actor()
    actor.require("payment", "receive")
    key = request.headers.get("Idempotency-Key")
    if key is not None and key != given["external_ref"]:
        raise Invalid("payment.other_key", "The Idempotency-Key must be the external_ref.")
    try:
        receipt = carry_out(lambda session: _take(session, actor, given))
    except IntegrityError:
        # Somebody told the same reference at the same moment: now it is known.
        receipt = carry_out(lambda session: _take(session, actor, given))
    body = _body(receipt)
    return (body, 200) if receipt.replayed else body


def _take(session: Session, actor: Actor, given: dict[str, Any]) -> Receipt:
    numbers = queries.accounts_by_no(session, [given["account_no"]])
    account_id = numbers.get(given["account_no"])
    if account_id is None and not given["suspense"]:
        raise NotFound(
            "payment.unknown_account",
            f"There is no account {given['account_no']}; nothing was taken.",
            {"account_no": given["account_no"]},
        )
    bill_id = None
    if given["bill_no"]:
        found = queries.bills_by_no(session, [given["bill_no"]]).get(given["bill_no"])
        if found is None or found[1] != account_id:
            raise NotFound("bill.unknown", f"The account has no bill {given['bill_no']}.")
        bill_id = found[0]
    payment = NewPayment(
        external_ref=f"api:{given['external_ref']}",
        channel="api",
        method=given["method"],
        amount=given["amount"],
        account_id=account_id,
        account_no=given["account_no"],
        said_at=given["paid_at"],
        bill_id=bill_id,
        payer=given["payer"],
        note=given["note"],
    )
    return receive_one(session, payment, actor)


@blueprint.route("/payments/<int:payment_id>")
@bearer_required
@blueprint.response(200, PaymentOut)
def one(payment_id: int) -> Any:
    """One payment as it stands."""
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "payment", "view")
        row = session.execute(
            select(Payment)
            .outerjoin(Account, Account.id == Payment.account_id)
            .where(Payment.id == payment_id, seen.accounts())
        ).scalar_one_or_none()
        if row is None:
            raise NotFound("payment.unknown", f"There is no payment {payment_id}.")
        return _body(taking.receipt_of(session, row))


@blueprint.route("/payments/<int:payment_id>/reversal", methods=["POST"])
@bearer_required
@blueprint.arguments(ReasonIn)
@blueprint.response(200, PaymentOut)
def reverse(given: dict[str, Any], payment_id: int) -> Any:
    """Take a payment back that was none, such as a bounced cheque."""
    actor = current_actor()

    def work(session: Session) -> Receipt:
        return taking.receipt_of(
            session, reverse_payment(session, actor, payment_id, given["reason"])
        )

    return _body(carry_out(work))


@blueprint.route("/accounts/<account_no>/dues")
@bearer_required
@blueprint.response(200, DuesOut)
def dues(account_no: str) -> Any:
    """What an account owes today, bill by bill, late fees so far included."""
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "dues", "view")
        account_id = session.scalar(
            select(Account.id).where(Account.account_no == account_no, seen.accounts())
        )
        if account_id is None:
            raise NotFound("account.unknown", f"There is no account {account_no}.")
        position = queries.position(session, account_id)
    names = ("balance", "to_pay", "overdue", "earlier", "credit", "owing")
    return {"account_no": account_no, **{name: getattr(position, name) for name in names}}


def _body(receipt: Receipt) -> dict[str, Any]:
    """The receipt as the API tells it; the reference without the mark of its road."""
    with snapshot() as session:
        account_no = session.scalar(
            select(Account.account_no).where(Account.id == receipt.account_id)
        )
    return {
        "payment_id": receipt.payment_id,
        "receipt_no": receipt.receipt_no,
        "external_ref": receipt.external_ref.removeprefix("api:"),
        "status": receipt.status,
        "account_no": account_no,
        "amount": receipt.amount,
        "settled": receipt.settled,
        "credit": receipt.credit,
        "earlier": receipt.earlier,
        "replayed": receipt.replayed,
    }
