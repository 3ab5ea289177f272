"""The counter: find an account, see what it owes, take money, hand out a receipt."""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from server.console import entry, scope, words
from server.console.queries import payments
from server.db import Session, carry_out, snapshot
from server.dues import queries
from server.dues.models.payments import METHODS
from server.dues.service import assign, counter, refunds, reverse_payment, tills
from server.dues.service import payments as taking
from server.errors import DomainError, Invalid


def page() -> str | Response:
    """Find the account of whoever stands at the counter."""
    wanted = request.args.get("q", "").strip()[:80]
    with snapshot() as session:
        seen = scope.of(session, "payment", "view")
        found = queries.find_accounts(session, wanted, seen.accounts()) if wanted else []
        opened = tills.session_of(session, entry.actor())
    if len(found) == 1:
        return redirect(url_for("console.dues_account", account_id=found[0][0].id))
    return render_template("console/cashier.html", wanted=wanted, found=found, opened=opened)


def account(account_id: int, wrong: str | None = None) -> str:
    """What an account owes, the form that takes money, and what was done about its debts."""
    with snapshot() as session:
        seen = scope.of(session, "payment", "view")
        row = scope.found(payments.account(session, seen, account_id), "account")
        position = queries.position(session, account_id)
        chased = queries.chased(session, account_id)
        opened = tills.session_of(session, entry.actor())
        line = counter.last_line(session, account_id)
        paid = payments.of_account(session, account_id)
    return render_template(
        "console/cashier_account.html",
        row=row,
        position=position,
        chased=chased,
        bills={one.bill_id: one.bill_no for one in position.owing},
        opened=opened,
        line=line,
        key=uuid.uuid4().hex,
        paid=paid,
        methods=METHODS,
        wrong=wrong,
    )


def pay(account_id: int) -> Response | tuple[str, int]:
    """Take money; with cash the receipt says what to give back."""
    actor, sent = entry.actor(), request.form
    try:
        amount, given = _amount("amount"), _amount("given", optional=True)
        if given and given < amount:
            raise Invalid("payment.given", "Less was given than is to be paid.")
        bill_id = int(sent.get("bill") or 0) or None

        def work(session: Session) -> int:
            seen = scope.of(session, "payment", "receive")
            scope.found(payments.account(session, seen, account_id), "account")
            return counter.take(
                session,
                actor,
                account_id,
                amount,
                sent.get("method", "cash"),
                sent.get("key", "")[:64],
                seen=int(sent.get("seen") or 0),
                bill_id=bill_id,
            ).payment_id

        payment_id = carry_out(work)
    except (DomainError, ValueError) as error:
        return account(account_id, _said(error)), 422
    back = given - amount if given else None
    return redirect(url_for("console.dues_receipt", payment_id=payment_id, back=back))


def receipt(payment_id: int) -> str:
    """A receipt on the screen: what was settled, what to give back, who comes next."""
    return _receipt(payment_id, "console/receipt.html")


def receipt_print(payment_id: int) -> str:
    """The receipt on a slip of paper."""
    return _receipt(payment_id, "console/receipt_print.html")


def _receipt(payment_id: int, template: str, wrong: str | None = None) -> str:
    with snapshot() as session:
        seen = scope.of(session, "payment", "view")
        row = scope.found(payments.one(session, seen, payment_id), "payment")
        told = taking.receipt_of(session, row.Payment)
        balance = None
        if row.Account is not None:
            balance = queries.position(session, row.Account.id).balance
    return render_template(
        template,
        row=row,
        p=row.Payment,
        told=told,
        balance=balance,
        back=_given_back(),
        wrong=wrong,
    )


def reverse(payment_id: int) -> Response | tuple[str, int]:
    """Take a payment back that was none."""
    reason = request.form.get("reason", "")
    try:
        carry_out(lambda session: reverse_payment(session, entry.actor(), payment_id, reason))
    except DomainError as error:
        return _receipt(payment_id, "console/receipt.html", words.sentence(error)), error.status
    flash(_("Taken back; what it had settled is open again."), "message")
    return redirect(url_for("console.dues_receipt", payment_id=payment_id))


def refund(account_id: int) -> Response | tuple[str, int]:
    """Pay credit back, or ask for it above the limit."""
    sent = request.form
    try:
        amount = _amount("amount")
        asked = carry_out(
            lambda session: (
                refunds.ask_refund(
                    session,
                    entry.actor(),
                    account_id,
                    amount,
                    sent.get("method", ""),
                    sent.get("reason", ""),
                ).status
            )
        )
    except DomainError as error:
        return account(account_id, words.sentence(error)), error.status
    flash(_("Paid back.") if asked == "paid" else _("A second person decides."), "message")
    return redirect(url_for("console.dues_account", account_id=account_id))


def suspense(wrong: str | None = None) -> str:
    """Money that waits for its account, and refunds that wait for a second person."""
    with snapshot() as session:
        seen = scope.of(session, "payment", "view")
        waiting = session.execute(payments.listed(seen, "suspense").limit(200)).all()
        asked = payments.refunds(session, seen)
    return render_template("console/suspense.html", waiting=waiting, asked=asked, wrong=wrong)


def put(payment_id: int) -> Response | tuple[str, int]:
    """Give money in suspense to its account."""
    number, reason = request.form.get("account_no", "").strip(), request.form.get("reason", "")

    def work(session: Session) -> None:
        account_id = queries.accounts_by_no(session, [number]).get(number)
        assign(session, entry.actor(), payment_id, account_id or 0, reason)

    try:
        carry_out(work)
    except DomainError as error:
        return suspense(words.sentence(error)), error.status
    flash(_("The money has found its account."), "message")
    return redirect(url_for("console.dues_suspense"))


def decide_refund(refund_id: int) -> Response | tuple[str, int]:
    """Say yes or no to a refund."""
    yes = request.form.get("what") == "yes"
    try:
        carry_out(lambda session: refunds.decide_refund(session, entry.actor(), refund_id, yes=yes))
    except DomainError as error:
        return suspense(words.sentence(error)), error.status
    return redirect(url_for("console.dues_suspense"))


def _said(error: Exception) -> str:
    if isinstance(error, DomainError):
        return words.sentence(error)
    return str(_("An amount cannot be read."))


def _amount(name: str, *, optional: bool = False) -> Decimal:
    """An amount of the form; 0 for an empty one that may be.

    Raises:
        Invalid: ``payment.amount``.
    """
    text = request.form.get(name, "").strip().replace(",", "")
    if optional and not text:
        return Decimal(0)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise Invalid("payment.amount", "An amount cannot be read.") from None
    if not amount.is_finite():
        raise Invalid("payment.amount", "An amount cannot be read.")
    return amount


def _given_back() -> Decimal | None:
    try:
        back = Decimal(request.args.get("back", ""))
    except InvalidOperation:
        return None
    return back if back.is_finite() and 0 <= back < 10**9 else None
