"""What people decide about debts: disputes, proposals to disconnect, the rules themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from server import audit, clock
from server.billing.models import Bill
from server.billing.service import ledger
from server.db import Session
from server.dues.models import DisconnectProposal, Dispute, DuesRules
from server.dues.rules.settings import Rules, parse
from server.dues.service import hooks, known
from server.dues.service.known import ZERO
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor
from server.notify.service import Notice, enqueue


def open_dispute(
    session: Session, actor: Actor, account_id: int, bill_id: int | None, reason: str
) -> Dispute:
    """Hold the ladder for a bill, or without one for all debts of an account.

    What still waits to be sent is withdrawn; late fees go on, and a credit note takes them back.

    Raises:
        NotFound: ``payment.unknown_account``, ``bill.unknown`` when it is not the account's.
        Conflict: ``dispute.open`` when there is one already.
        Invalid: ``dispute.reason``.
    """
    actor.require("dues", "dispute")
    if not reason.strip():
        raise Invalid("dispute.reason", "Say what the customer contests.")
    if not ledger.lock_accounts(session, [account_id]):
        raise NotFound("payment.unknown_account", "There is no such account.")
    if bill_id is not None:
        owner = session.scalar(select(Bill.account_id).where(Bill.id == bill_id))
        if owner != account_id:
            raise NotFound("bill.unknown", "The account has no such bill.")
    same = Dispute.bill_id.is_(None) if bill_id is None else Dispute.bill_id == bill_id
    is_open = Dispute.account_id == account_id, Dispute.closed_at.is_(None)
    if session.scalar(select(Dispute.id).where(*is_open, same)) is not None:
        raise Conflict("dispute.open", "This is in dispute already.")
    dispute = Dispute(
        account_id=account_id,
        bill_id=bill_id,
        reason=reason.strip()[:255],
        opened_by_id=actor.staff_id,
    )
    session.add(dispute)
    session.flush()
    hooks.stop_ladder(session, [account_id], "dispute")
    told = {"bill_id": bill_id, "reason": dispute.reason}
    audit.record(session, actor, "dispute.open", "account", account_id, after=told)
    return dispute


def close_dispute(session: Session, actor: Actor, dispute_id: int, outcome: str) -> Dispute:
    """End a dispute; the ladder goes on with the next step.

    Raises:
        NotFound: ``dispute.unknown``.
        Conflict: ``dispute.closed``.
        Invalid: ``dispute.outcome``.
    """
    actor.require("dues", "dispute")
    if not outcome.strip():
        raise Invalid("dispute.outcome", "Say how the dispute ended.")
    dispute = session.get(Dispute, dispute_id, with_for_update=True)
    if dispute is None:
        raise NotFound("dispute.unknown", f"There is no dispute {dispute_id}.")
    if dispute.closed_at is not None:
        raise Conflict("dispute.closed", "This dispute has ended already.")
    dispute.closed_at, dispute.closed_by_id = clock.now(), actor.staff_id
    dispute.outcome = outcome.strip()[:255]
    told = {"outcome": dispute.outcome}
    audit.record(session, actor, "dispute.close", "account", dispute.account_id, after=told)
    return dispute


def order_disconnect(
    session: Session, actor: Actor, proposal_id: int, planned_at: datetime
) -> DisconnectProposal:
    """Make an order of a proposal; where the class asks for it the customer hears again before.

    Raises:
        NotFound: ``proposal.unknown``.
        Conflict: ``proposal.closed``, ``proposal.dispute``.
        Invalid: ``proposal.too_soon`` when the last notice could not be given in time.
    """
    actor.require("dues", "order")
    proposal = _locked(session, proposal_id)
    if proposal.state != "proposed":
        raise Conflict("proposal.closed", f"This proposal is {proposal.state}.")
    account = known.accounts(session, [proposal.account_id])[proposal.account_id]
    if session.scalar(
        select(Dispute.id).where(Dispute.account_id == account.id, Dispute.closed_at.is_(None))
    ):
        raise Conflict("proposal.dispute", "A debt of this account is in dispute.")
    hours = known.rules(session).ladder(account.account_class).last_notice_hours
    if planned_at < clock.now() + timedelta(hours=hours or 0):
        raise Invalid("proposal.too_soon", f"Plan the cut {hours or 0} h ahead or more.")
    proposal.state, proposal.planned_at = "ordered", planned_at
    if hours:
        _tell_again(session, proposal, account, planned_at, planned_at - timedelta(hours=hours))
    told = {"planned_at": planned_at.isoformat()}
    audit.record(session, actor, "proposal.order", "account", account.id, after=told)
    session.flush()
    return proposal


def withdraw_proposal(session: Session, actor: Actor, proposal_id: int, why: str) -> None:
    """Take a proposal or an order back.

    Raises:
        NotFound: ``proposal.unknown``; Conflict: ``proposal.closed``; Invalid: ``proposal.reason``.
    """
    actor.require("dues", "order")
    if not why.strip():
        raise Invalid("proposal.reason", "Say why nobody is cut off.")
    proposal = _locked(session, proposal_id)
    if proposal.state not in ("proposed", "ordered"):
        raise Conflict("proposal.closed", f"This proposal is {proposal.state}.")
    hooks.stop_ladder(session, [proposal.account_id], why.strip()[:255])
    proposal.state, proposal.closed_at, proposal.why = "withdrawn", clock.now(), why.strip()[:255]
    proposal.closed_by_id = actor.staff_id
    told = {"why": proposal.why}
    audit.record(session, actor, "proposal.withdraw", "account", proposal.account_id, after=told)


def put_rules(session: Session, actor: Actor, definition: Mapping[str, Any]) -> Rules:
    """Set the operator's rules; they hold from the next transaction on.

    Raises:
        Invalid: ``dues.bad_rules`` with every problem.
    """
    actor.require("dues", "rules")
    rules = parse(definition)
    session.add(DuesRules(definition=dict(definition), staff_id=actor.staff_id))
    session.flush()
    session.info.pop(known.RULES, None)
    audit.record(session, actor, "dues.rules", "dues_rules", "", after=dict(definition))
    return rules


def _tell_again(
    session: Session,
    proposal: DisconnectProposal,
    account: known.DuesAccount,
    planned_at: datetime,
    not_before: datetime,
) -> None:
    zone = known.zone_of(session)
    today = clock.now().astimezone(zone).date()
    debts = [d for d in known.debts(session, [account.id]).get(account.id, []) if d.due < today]
    rules = known.rules(session)
    data = {
        "no": account.account_no,
        "amt": sum((d.principal for d in debts), ZERO),
        "d": str(max(((today - d.due).days for d in debts), default=0)),
        "fee": sum((d.fee_so_far(today, rules.late_fee) for d in debts), ZERO),
        "date": planned_at.astimezone(zone).date(),
    }
    phones = known.phones(session, [account.customer_id]).get(account.customer_id, ())
    enqueue(
        session,
        [
            Notice(
                event="dues.cut_notice",
                key=f"dues.last_notice:{proposal.id}:{phone.phone}",
                phone=phone.phone,
                language=phone.language,
                data=data,
                contact_id=phone.contact_id,
                account_id=account.id,
                not_before=not_before,
                expires_at=planned_at,
            )
            for phone in phones
        ],
    )


def _locked(session: Session, proposal_id: int) -> DisconnectProposal:
    proposal = session.get(DisconnectProposal, proposal_id)
    if proposal is None:
        raise NotFound("proposal.unknown", f"There is no proposal {proposal_id}.")
    ledger.lock_accounts(session, [proposal.account_id])
    session.refresh(proposal, with_for_update=True)
    return proposal
