"""What follows a receipt in the same transaction: it is confirmed, and nobody who paid is chased."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from sqlalchemy import select, update

from server import clock
from server.db import Session, among
from server.dues.models import DisconnectProposal
from server.dues.service import known, prepaid
from server.notify.models import OutboxMessage
from server.notify.service import Notice, cancel_many, enqueue

CHASING = ("dues.reminder", "dues.demand", "dues.cut_notice")


def announce(session: Session, received: Sequence[tuple[int, int, Decimal]]) -> None:
    """Tell the default contacts of payments (id, account, amount) that they came: once for ever."""
    ids = [account_id for _, account_id, _ in received]
    balances = known.balances(session, ids)
    accounts = known.accounts(session, ids)
    phones = known.phones(session, {account.customer_id for account in accounts.values()})
    notices = [
        Notice(
            event="payment.received",
            key=f"payment.received:{payment_id}:{phone.phone}",
            phone=phone.phone,
            language=phone.language,
            data={
                "no": accounts[account_id].account_no,
                "amt": amount,
                "bal": balances[account_id],
            },
            contact_id=phone.contact_id,
            account_id=account_id,
        )
        for payment_id, account_id, amount in received
        for phone in phones.get(accounts[account_id].customer_id, ())
    ]
    enqueue(session, notices)


def after_receipt(session: Session, account_ids: Collection[int]) -> None:
    """Stop the ladder of accounts that have nothing overdue any more."""
    if not account_ids:
        return
    today = clock.now().astimezone(known.zone_of(session)).date()
    debts = known.debts(session, account_ids)
    clean = [
        account_id
        for account_id in account_ids
        if not any(d.due < today and d.principal > 0 for d in debts.get(account_id, ()))
    ]
    stop_ladder(session, clean, "paid")
    prepaid.paid(session, account_ids)


def stop_ladder(session: Session, account_ids: Collection[int], why: str) -> None:
    """Withdraw what still waits to be sent to these accounts, and their proposals to disconnect."""
    if not account_ids:
        return
    waiting = session.scalars(
        select(OutboxMessage.id).where(
            among(OutboxMessage.account_id, account_ids),
            OutboxMessage.event.in_(CHASING),
            OutboxMessage.status.in_(("queued", "held")),
        )
    )
    cancel_many(session, list(waiting))
    session.execute(
        update(DisconnectProposal)
        .where(
            among(DisconnectProposal.account_id, account_ids),
            DisconnectProposal.reason == "dunning",
            DisconnectProposal.state.in_(("proposed", "ordered")),
        )
        .values(state="withdrawn", closed_at=clock.now(), why=why)
        .execution_options(synchronize_session=False)
    )
