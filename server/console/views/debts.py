"""Debts: what is proposed to be cut, what is in dispute, and deciding about both."""

from __future__ import annotations

from datetime import datetime

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.console import entry, paging, scope, words
from server.console.queries import payments
from server.console.show import zone
from server.console.views import cashier
from server.db import carry_out, snapshot
from server.dues.models import DisconnectProposal
from server.dues.service import holds
from server.errors import DomainError, Invalid


def page(wrong: str | None = None) -> str:
    """Proposals to disconnect and debts in dispute."""
    with snapshot() as session:
        seen = scope.of(session, "dues", "view")
        found = paging.page(session, payments.proposals(seen), DisconnectProposal.id)
        contested = payments.disputes(session, seen)
    return render_template("console/debts.html", page=found, contested=contested, wrong=wrong)


def order(proposal_id: int) -> Response | tuple[str, int]:
    """Make an order of a proposal, or take it back."""
    sent = request.form
    try:
        if sent.get("what") == "withdraw":
            why = sent.get("why", "")
            carry_out(
                lambda session: holds.withdraw_proposal(session, entry.actor(), proposal_id, why)
            )
        else:
            at = _instant(sent.get("planned_at", ""))
            carry_out(
                lambda session: holds.order_disconnect(session, entry.actor(), proposal_id, at)
            )
    except DomainError as error:
        return page(words.sentence(error)), error.status
    return redirect(url_for("console.dues_debts"))


def dispute(account_id: int) -> Response | tuple[str, int]:
    """Hold the ladder of a bill or of an account."""
    sent = request.form
    bill = sent.get("bill", "")
    try:
        carry_out(
            lambda session: holds.open_dispute(
                session,
                entry.actor(),
                account_id,
                int(bill) if bill.isdigit() else None,
                sent.get("reason", ""),
            )
        )
    except DomainError as error:
        return cashier.account(account_id, words.sentence(error)), error.status
    return redirect(url_for("console.dues_account", account_id=account_id))


def end_dispute(dispute_id: int) -> Response | tuple[str, int]:
    """End a dispute with its outcome."""
    outcome = request.form.get("outcome", "")
    try:
        carry_out(lambda session: holds.close_dispute(session, entry.actor(), dispute_id, outcome))
    except DomainError as error:
        return page(words.sentence(error)), error.status
    return redirect(url_for("console.dues_debts"))


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone())
    except ValueError:
        raise Invalid("proposal.too_soon", "Say when the cut is planned.") from None
