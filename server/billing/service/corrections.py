"""Putting bills right: cancelling, billing again, credit notes. A bill itself is never edited.

A cancellation is a bill of its own with the same lines and the other sign; its journal is the mirror
of the bill's. Credit notes on the bill are taken back with it. What the bill charged for is unbilled again, and the year's use goes back by what its
lines had filled. Bills that filled tiers of the same year after it go with it, newest first:
otherwise the quantity billed again would be charged by the tiers that they have reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update

from server import audit, clock, review
from server.billing.models import Bill, BillLine, LedgerLine, UsageYear
from server.billing.rules.chart import RECEIVABLE, REVENUE_ADJUSTMENT
from server.billing.rules.classes import BillingRules
from server.billing.service import ledger
from server.billing.service.bills import DEFAULT_RULES, IssuedBill, Order, bill_points
from server.db import Session, among, bulk_upsert, insert_rows, take_ids
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import Consumption
from server.operator import current

ZERO = Decimal(0)
REVIEW_KIND = "bill_correction"

Free = Callable[[Session, Sequence[int]], object]
"""What is done with the payments of bills before they are cancelled: they become credit again."""


def _nothing(_session: Session, _bill_ids: Sequence[int]) -> None:
    """Nothing has been paid on them."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction has made; ``waits`` is true when a second person has to decide first."""

    cancelled: tuple[int, ...] = ()
    notes: tuple[int, ...] = ()
    issued: tuple[IssuedBill, ...] = ()
    waits: bool = False


def concerned(session: Session, bill_id: int) -> list[Bill]:
    """The bill and those that filled the same year's tiers after it, newest first.

    Raises:
        NotFound: ``bill.unknown``.
        Conflict: ``bill.not_cancellable`` when it is none, or cancelled already.
    """
    bill = session.get(Bill, bill_id, populate_existing=True)
    if bill is None:
        raise NotFound("bill.unknown", f"There is no bill {bill_id}.")
    if bill.kind != "bill" or bill.status != "issued":
        raise Conflict("bill.not_cancellable", f"Bill {bill.bill_no} cannot be cancelled.")
    years = select(BillLine.usage_year).where(
        BillLine.bill_id == bill_id, BillLine.usage_year.is_not(None)
    )
    later = session.scalars(
        select(Bill)
        .where(
            Bill.account_id == bill.account_id,
            Bill.id > bill_id,
            Bill.kind == "bill",
            Bill.status == "issued",
            Bill.id.in_(select(BillLine.bill_id).where(BillLine.usage_year.in_(years))),
        )
        .order_by(Bill.id.desc())
    ).all()
    return [*later, bill]


def cancel_bill(
    session: Session,
    actor: Actor,
    bill_id: int,
    reason: str,
    *,
    again: bool = False,
    limit: Decimal | None = None,
    free: Free = _nothing,
    rules: BillingRules = DEFAULT_RULES,
) -> Corrected:
    """Cancel a bill and those that stand on it, and bill them ``again`` when that is wanted.

    Above the ``limit`` (Σ of what is cancelled) nothing happens yet: the request waits in the review
    queue for a second person, who calls :func:`decide`.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        NotFound, Conflict: as :func:`concerned`.
        Invalid: ``bill.reason`` without a reason.
    """
    actor.require("bills", "cancel")
    why = _reason(reason)
    account_id = _account_of(session, bill_id)
    ledger.lock_accounts(session, [account_id])
    bills = concerned(session, bill_id)
    amount = sum((abs(bill.total) for bill in bills), ZERO)
    if limit is not None and amount > limit:
        detail = {"act": "cancel", "again": again, "amount": str(amount), "bills": len(bills)}
        return _ask(session, actor, bills[-1], why, detail)
    free(session, [bill.id for bill in bills])
    notes = _cancel(session, actor, [*_credit_notes(session, bills), *bills], why)
    issued = _bill_again(session, bills, rules) if again else []
    return Corrected(tuple(b.id for b in bills), tuple(notes), tuple(issued))


def credit(
    session: Session,
    actor: Actor,
    bill_id: int,
    amount: Decimal,
    reason: str,
    *,
    limit: Decimal | None = None,
) -> Corrected:
    """Give a part of a bill back by a credit note; the bill and the year's use stay as they are.

    Raises:
        Invalid: ``bill.credit_amount`` when it is not above zero, ``bill.reason``.
        Conflict: ``bill.credit_above`` when the bill's notes would exceed its total;
            ``bill.not_cancellable`` when it is no bill that stands.
    """
    actor.require("bills", "cancel")
    why = _reason(reason)
    if amount <= 0 or amount != amount.quantize(Decimal("0.01")):
        raise Invalid("bill.credit_amount", "A credit is above zero, to the cent.")
    ledger.lock_accounts(session, [_account_of(session, bill_id)])
    bill = concerned(session, bill_id)[-1]
    if amount > bill.total - credited(session, [bill.id]).get(bill.id, ZERO):
        raise Conflict("bill.credit_above", "The credit is more than is left of the bill.")
    if limit is not None and amount > limit:
        return _ask(session, actor, bill, why, {"act": "credit", "amount": str(amount)})
    return Corrected(notes=(_credit(session, actor, bill, amount, why),))


def credited(session: Session, bill_ids: Collection[int]) -> dict[int, Decimal]:
    """What credit notes have given back of bills, above zero."""
    rows = session.execute(
        select(Bill.credits_id, func.sum(Bill.total))
        .where(among(Bill.credits_id, bill_ids), Bill.status == "issued")
        .group_by(Bill.credits_id)
    )
    return {bill_id: -total for bill_id, total in rows if bill_id is not None}


def decide(
    session: Session,
    actor: Actor,
    item_id: int,
    why: str,
    *,
    free: Free = _nothing,
    rules: BillingRules = DEFAULT_RULES,
) -> Corrected:
    """Carry out a correction that waited for a second person.

    Raises:
        Forbidden: ``bill.same_person`` when the actor asked for it himself.
    """
    item = review.waiting(session, item_id)
    asked = item.detail
    if actor.staff_id is not None and asked.get("asked_by") == actor.staff_id:
        raise Forbidden("bill.same_person", "Somebody else must decide about this.")
    bill_id, reason = int(item.subject_id), str(asked["reason"])
    if asked["act"] == "credit":
        done = credit(session, actor, bill_id, Decimal(str(asked["amount"])), reason)
    else:
        again = bool(asked["again"])
        done = cancel_bill(session, actor, bill_id, reason, again=again, free=free, rules=rules)
    review.close(session, actor, item_id, "released", why)
    return done


# --- how ------------------------------------------------------------------------------------


def _reason(text: str) -> str:
    if not text.strip():
        raise Invalid("bill.reason", "A correction needs a reason.")
    return text.strip()[:255]


def _account_of(session: Session, bill_id: int) -> int:
    account_id = session.scalar(select(Bill.account_id).where(Bill.id == bill_id))
    if account_id is None:
        raise NotFound("bill.unknown", f"There is no bill {bill_id}.")
    return account_id


def _ask(
    session: Session, actor: Actor, bill: Bill, reason: str, detail: dict[str, Any]
) -> Corrected:
    """Put a correction into the review queue; asking the same twice leaves one item."""
    waiting = select(review.ReviewItem.id).where(
        review.ReviewItem.kind == REVIEW_KIND,
        review.ReviewItem.subject_id == str(bill.id),
        review.ReviewItem.status == "open",
    )
    if session.scalar(waiting) is None:
        count = session.scalar(
            select(func.count()).where(
                review.ReviewItem.kind == REVIEW_KIND,
                review.ReviewItem.subject_id == str(bill.id),
            )
        )
        review.raise_item(
            session,
            key=f"{REVIEW_KIND}:{bill.id}:{count}",
            kind=REVIEW_KIND,
            reason=f"bill.{detail['act']}_above_limit",
            subject_type="bill",
            subject_id=bill.id,
            detail={
                **detail,
                "reason": reason,
                "bill_no": bill.bill_no,
                "asked_by": actor.staff_id,
                "asked_by_name": actor.name,
            },
        )
    return Corrected(waits=True)


def _credit_notes(session: Session, bills: Sequence[Bill]) -> Sequence[Bill]:
    """The notes on these bills: a bill that is taken back whole gives nothing back beside."""
    return session.scalars(
        select(Bill)
        .where(Bill.credits_id.in_([bill.id for bill in bills]), Bill.status == "issued")
        .order_by(Bill.id.desc())
    ).all()


def _cancel(session: Session, actor: Actor, bills: Sequence[Bill], reason: str) -> list[int]:
    """Write the cancellations of locked bills, in the order given."""
    ids = take_ids(session, {Bill: len(bills)})[Bill]
    numbers = [bill.id for bill in bills]
    balance = ledger.balances(session, [bills[0].account_id], current(session).currency)
    after = balance.get(bills[0].account_id, ZERO)
    rows = []
    for note_id, bill in zip(ids, bills, strict=True):
        after += bill.total
        links = {"kind": "cancellation", "cancels_id": bill.id, "credits_id": None}
        rows.append(_note(bill, note_id, actor, reason, -bill.quantity, -bill.total, after, links))
    insert_rows(session, Bill, rows)
    notes = dict(zip(numbers, ids, strict=True))
    _mirror_lines(session, bills[0].account_id, notes)
    _mirror_journals(session, notes)
    session.execute(update(Bill).where(Bill.id.in_(numbers)).values(status="cancelled"))
    session.execute(
        update(Consumption).where(Consumption.bill_id.in_(numbers)).values(bill_id=None)
    )
    for bill, row in zip(bills, rows, strict=True):
        told = {"cancellation": row["bill_no"], "reason": reason, "total": str(bill.total)}
        audit.record(session, actor, "bill.cancel", "bill", bill.id, after=told)
    session.expire_all()
    return ids


def _note(
    bill: Bill,
    note_id: int,
    actor: Actor,
    reason: str,
    quantity: Decimal,
    total: Decimal,
    balance_after: Decimal,
    links: dict[str, Any],
) -> dict[str, Any]:
    """The row of a cancellation or a credit note on a bill."""
    now = clock.now()
    return {
        "id": note_id,
        "created_at": now,
        "bill_no": f"{bill.bill_no[:6]}{note_id:09d}",
        "account_id": bill.account_id,
        "period": bill.period,
        "period_from": bill.period_from,
        "period_to": bill.period_to,
        "status": "issued",
        "quantity": quantity,
        "total": total,
        "balance_after": balance_after,
        "due": bill.due,
        "issued_at": now,
        "estimated": False,
        "reason": reason,
        "issued_by_id": actor.staff_id,
        "tariff_version_id": bill.tariff_version_id,
        **links,
    }


_LINE_COLUMNS = [
    column.key for column in BillLine.__table__.columns if column.key not in ("id", "created_at")
]


def _mirror_lines(session: Session, account_id: int, notes: dict[int, int]) -> None:
    """The bills' lines with the other sign, and the years' use back by what they had filled."""
    lines = session.scalars(
        select(BillLine).where(BillLine.bill_id.in_(notes)).order_by(BillLine.id)
    ).all()
    years: dict[int, Decimal] = defaultdict(Decimal)
    rows = []
    for line in lines:
        row = {name: getattr(line, name) for name in _LINE_COLUMNS}
        row |= {"created_at": clock.now(), "bill_id": notes[line.bill_id]}
        row |= {"quantity": -line.quantity, "amount": -line.amount}
        rows.append(row)
        if line.usage_year is not None:
            years[line.usage_year] -= line.quantity
    insert_rows(session, BillLine, rows)
    back = [
        {"account_id": account_id, "year": year, "opening": ZERO, "quantity": quantity}
        for year, quantity in sorted(years.items())
    ]
    bulk_upsert(session, UsageYear, back, ("account_id", "year"), add=("opening", "quantity"))


def _mirror_journals(session: Session, notes: dict[int, int]) -> None:
    """The mirrors of the bills' journals, under the numbers of their cancellations."""
    journals = ledger.posted(session, [f"bill:{bill_id}" for bill_id in notes])
    lines: dict[int, list[LedgerLine]] = defaultdict(list)
    for line in session.scalars(
        select(LedgerLine)
        .where(LedgerLine.journal_id.in_(journals.values()))
        .order_by(LedgerLine.id)
    ):
        lines[line.journal_id].append(line)
    postings = []
    for bill_id, note_id in notes.items():
        journal_id = journals[f"bill:{bill_id}"]
        mirror = ledger.mirrored(lines[journal_id])
        key = f"bill:{note_id}"
        postings.append(ledger.Posting(key, "cancellation", mirror, reverses_id=journal_id))
    ledger.post(session, postings)


def _bill_again(session: Session, bills: Sequence[Bill], rules: BillingRules) -> list[IssuedBill]:
    """Bill what is unbilled up to the end of each bill, the oldest first."""
    ends: list[tuple[date, int, int]] = sorted(
        (bill.period_to, bill.id, bill.account_id) for bill in bills
    )
    issued: list[IssuedBill] = []
    for until, bill_id, account_id in ends:
        points = unbilled_points(session, account_id)
        order = Order(account_id=account_id, until=until, replaces=bill_id)
        issued += bill_points(session, points, rules, order)
    return issued


def unbilled_points(session: Session, account_id: int) -> list[int]:
    """The service points at which an account has unbilled use."""
    return list(
        session.scalars(
            select(Consumption.service_point_id)
            .where(
                Consumption.account_id == account_id,
                Consumption.status == "active",
                Consumption.bill_id.is_(None),
            )
            .distinct()
        )
    )


def _credit(session: Session, actor: Actor, bill: Bill, amount: Decimal, reason: str) -> int:
    unit = current(session).currency
    [note_id] = take_ids(session, {Bill: 1})[Bill]
    before = ledger.balances(session, [bill.account_id], unit).get(bill.account_id, ZERO)
    links = {"kind": "credit_note", "cancels_id": None, "credits_id": bill.id}
    row = _note(bill, note_id, actor, reason, ZERO, -amount, before + amount, links)
    insert_rows(session, Bill, [row])
    session.add(
        BillLine(
            bill_id=note_id,
            position=1,
            component="adjustment",
            quantity=Decimal(1),
            price=-amount,
            amount=-amount,
            cumulative_before=ZERO,
        )
    )
    sides = (
        ledger.Entry(RECEIVABLE, bill.account_id, unit, credit=amount),
        ledger.Entry(REVENUE_ADJUSTMENT, bill.account_id, unit, debit=amount),
    )
    ledger.post(session, [ledger.Posting(f"bill:{note_id}", "credit_note", sides)])
    told = {"note": row["bill_no"], "amount": str(amount), "reason": reason}
    audit.record(session, actor, "bill.credit", "bill", bill.id, after=told)
    return note_id
