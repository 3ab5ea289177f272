"""Cutting the supply of a used-up prepayment, and giving it back when paid.

By default a cut is a proposal that a person decides; a class may have it ordered at once. Paid again, a
proposal is withdrawn; where the supply was cut, or may have been, giving it back is put before a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server import clock, review
from server.accounts.models import Account
from server.db import Session, among, insert_rows
from server.dues.models import DisconnectProposal, Dispute
from server.dues.rules.prepaid import Rule, wants_cut
from server.dues.service import terminals
from server.operator import current

_P = DisconnectProposal
RECONNECT = "prepaid.reconnect"
_RESTORED = "restored"

Settled = tuple[int, Rule, Decimal]
"""An account, its rule, its balance."""


def settle(session: Session, accounts: Sequence[Settled]) -> None:
    """Propose or order what the balances call for, and take back what they do not any more."""
    if not accounts:
        return
    newest = _newest(session, [account_id for account_id, _, _ in accounts])
    low = [one for one in accounts if wants_cut(one[1], one[2])]
    fine = {account_id for account_id, rule, balance in accounts if not wants_cut(rule, balance)}
    _propose(session, low, newest)
    give_back(session, [row for i, row in newest.items() if i in fine and row.reason == "prepaid"])


def open_proposals(session: Session, ids: Collection[int]) -> list[DisconnectProposal]:
    """The proposals for used-up prepayments of accounts that are open or were carried out."""
    rows = session.scalars(
        select(_P).where(among(_P.account_id, ids), _P.reason == "prepaid", _P.state != "withdrawn")
    )
    return [row for row in rows if not _is_over(row)]


def _newest(session: Session, ids: Collection[int]) -> Mapping[int, DisconnectProposal]:
    """The newest proposal of each account, locked."""
    last = select(func.max(_P.id)).where(among(_P.account_id, ids)).group_by(_P.account_id)
    rows = session.scalars(select(_P).where(_P.id.in_(last)).order_by(_P.id).with_for_update())
    return {row.account_id: row for row in rows}


def _propose(
    session: Session, low: Iterable[Settled], newest: Mapping[int, DisconnectProposal]
) -> None:
    """One open proposal an account; none while it is cut already or its debt is in dispute."""
    wanted = {
        account_id: (rule, balance)
        for account_id, rule, balance in low
        if account_id not in newest or _is_over(newest[account_id])
    }
    contested = (
        session.scalars(
            select(Dispute.account_id).where(
                among(Dispute.account_id, wanted), Dispute.closed_at.is_(None)
            )
        )
        if wanted
        else ()
    )
    for account_id in contested:
        wanted.pop(account_id, None)
    rows = [_row(account_id, *why) for account_id, why in sorted(wanted.items())]
    insert_rows(session, _P, rows, on_conflict=())
    ordered = [row["account_id"] for row in rows if row["state"] == "ordered"]
    _call(session, ordered, "supply.cut", "cut")


def _is_over(row: DisconnectProposal) -> bool:
    """Whether the supply is on again as far as this proposal goes."""
    return row.state == "withdrawn" or (row.state == "done" and _RESTORED in row.detail)


def _row(account_id: int, rule: Rule, balance: Decimal) -> dict[str, Any]:
    at_once = rule.cut == "automatic"
    now = clock.now()
    return {
        "created_at": now,
        "account_id": account_id,
        "reason": "prepaid",
        "state": "ordered" if at_once else "proposed",
        "amount": max(-balance, Decimal(0)),
        "detail": {"balance": str(balance), "below": str(rule.cut_below), "automatic": at_once},
        "planned_at": now if at_once else None,
    }


def give_back(session: Session, proposals: Sequence[DisconnectProposal]) -> None:
    """Withdraw open proposals that were paid; ask for the supply where it was or may have been cut."""
    now = clock.now()
    cut = [row for row in proposals if row.state in ("ordered", "done") and not _is_over(row)]
    for row in proposals:
        if row.state in ("proposed", "ordered"):
            row.state, row.closed_at, row.why = "withdrawn", now, "paid"
        elif row.state == "done":
            row.detail = {**row.detail, _RESTORED: clock.to_iso(now)}
    session.flush()
    review.raise_items(
        session,
        [
            review.NewItem(
                key=f"{RECONNECT}:{row.id}",
                kind="dues",
                reason=RECONNECT,
                subject_type="account",
                subject_id=row.account_id,
                detail={"proposal": row.id},
            )
            for row in cut
        ],
    )
    for row in cut:
        _call(session, [row.account_id], "supply.restore", f"restore:{row.id}")


def _call(session: Session, account_ids: Sequence[int], event: str, key: str) -> None:
    """Tell the load terminals of accounts what is to happen to the supply."""
    if not account_ids:
        return
    rows = session.execute(
        select(Account.id, Account.account_no, func.max(_P.id))
        .join(_P, _P.account_id == Account.id)
        .where(among(Account.id, account_ids))
        .group_by(Account.id, Account.account_no)
    )
    unit, at = current(session).currency, clock.to_iso(clock.now())
    terminals.enqueue(
        session,
        [
            (
                number,
                f"{key}:{number}:{proposal}",
                {"event": event, "account_no": account_no, "currency": unit, "at": at},
            )
            for number, account_no, proposal in rows
        ],
    )
