"""Money collected at the door: the bills of the account are settled, the cash is the rep's."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from server import review
from server.capture.items import APPLIED, Item, Sender, Verdict
from server.db import Session
from server.dues import queries
from server.dues.service import NewPayment, Receipt, receive
from server.identity.actor import Actor
from server.identity.queries import team_of

UNKNOWN = Verdict(
    "held", "payment.unknown_account", "There is no such account; the money waits in suspense."
)
USED = Verdict(
    "conflict", "payment.receipt_used", "This receipt number stands for another payment."
)


def handle(session: Session, sender: Sender, items: Sequence[Item]) -> dict[UUID, Verdict]:
    """Settle ``payment.v1``; a receipt number counts once, whatever item brings it."""
    used = queries.used_receipts(session, [item.data["receipt"] for item in items])
    good: dict[str, Item] = {}
    for item in items:
        if item.data["receipt"] not in used:
            good.setdefault(item.data["receipt"], item)
    accounts = queries.accounts_by_no(session, [i.data["account_no"] for i in good.values()])
    bills = queries.bills_by_no(session, [i.data["bill_no"] for i in good.values()])
    actor = Actor("device", sender.device_id, "handheld", staff_id=sender.staff_id)
    payments = [_payment(item, sender, accounts, bills) for item in good.values()]
    receipts = receive(session, payments, actor)
    verdicts = {item.uuid: USED for item in items}
    lost = []
    for item, receipt in zip(good.values(), receipts, strict=True):
        verdicts[item.uuid] = APPLIED if receipt.status == "received" else UNKNOWN
        if receipt.status == "suspense":
            lost.append((item, receipt))
    _raise(session, sender, lost)
    return verdicts


def _payment(
    item: Item, sender: Sender, accounts: dict[str, int], bills: dict[str, tuple[int, int]]
) -> NewPayment:
    data = item.data
    account_id = accounts.get(data["account_no"])
    bill_id, owner = bills.get(data["bill_no"] or "", (None, None))
    return NewPayment(
        external_ref=f"device:{item.uuid}",
        channel="field",
        method=data["method"],
        amount=data["amount"],
        account_id=account_id,
        account_no=data["account_no"],
        said_at=min(item.true_time(sender), sender.received_at),
        bill_id=bill_id if owner == account_id else None,
        payer=data["payer"],
        note=data["note"],
        device_receipt=data["receipt"],
        capture_uuid=item.uuid,
        staff_id=sender.staff_id,
    )


def _raise(session: Session, sender: Sender, lost: Sequence[tuple[Item, Receipt]]) -> None:
    """Tell the office which money found no account."""
    if not lost:
        return
    team = team_of(session, sender.staff_id)
    review.raise_items(
        session,
        [
            review.NewItem(
                key=f"payment:{receipt.payment_id}",
                kind="payment",
                reason="payment.unknown_account",
                subject_type="payment",
                subject_id=receipt.payment_id,
                detail={
                    "account_no": item.data["account_no"],
                    "amount": str(item.data["amount"]),
                    "receipt": item.data["receipt"],
                },
                org_unit_id=team,
            )
            for item, receipt in lost
        ],
    )
