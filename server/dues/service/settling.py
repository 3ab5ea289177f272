"""Settling: the credits of accounts go to their bills, and late fees are charged as they do.

A late fee is charged on the day principal or fee is settled, for the days until then; before that
it is only computed (decision 20). The accounts must be locked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, literal_column, select

from server import clock
from server.billing.models import AccountBalance, Bill
from server.billing.rules.chart import RECEIVABLE, REVENUE_LATE_FEE
from server.billing.service.bills import IssuedBill
from server.billing.service.ledger import Entry, Posting, lock_accounts, post
from server.db import Session, UtcDateTime, among, insert_rows, run, take_ids
from server.dues.models import Allocation, LateFee
from server.dues.rules.allocate import Owed, Share, allocate
from server.dues.rules.late_fee import Fee
from server.dues.service import known
from server.dues.service.known import ZERO, Credit, Debt
from server.operator import current


@dataclass(frozen=True, slots=True)
class Settled:
    """A part of a bill that was settled; ``payment_id`` is none for other credit."""

    account_id: int
    payment_id: int | None
    bill_id: int
    bill_no: str
    part: str
    amount: Decimal


@dataclass(slots=True)
class _Written:
    """What a pass will write."""

    allocations: list[dict[str, Any]] = field(default_factory=list)
    fees: list[dict[str, Any]] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)


def settle(session: Session, account_ids: Collection[int]) -> list[Settled]:
    """Let the free credits of locked accounts settle what is open; returns what they settled.

    A fixed number of statements for any number of accounts.
    """
    settled: list[Settled] = []
    ids: Collection[int] = account_ids
    for _ in range(_ROUNDS):
        owed = _owed(session, ids)
        if not owed:
            break
        ids = sorted(owed)
        paid = known.credits(session, ids)
        balances = known.balances(session, ids)
        one = _Pass(session)
        for account_id in ids:
            one.account(owed[account_id], paid.get(account_id, ()), balances.get(account_id, ZERO))
        one.write()
        settled += one.written.settled
        ids = [i for i in ids if any(debt.fee_open < 0 for debt in owed[i])]
        if not ids:
            break
    return settled


_ROUNDS = 3
"""A payment that was made before another and came after it makes a fee smaller: once more then."""


def _owed(session: Session, account_ids: Collection[int]) -> dict[int, list[Debt]]:
    """The unsettled bills of accounts; what is settled of more than they ask is freed before."""
    owed = known.debts(session, account_ids)
    too_much = [
        debt.bill_id
        for debts in owed.values()
        for debt in debts
        if debt.principal < 0 or debt.fee_open < 0
    ]
    if not too_much:
        return owed
    release(session, among(Allocation.bill_id, too_much))
    return known.debts(session, account_ids)


class _Pass:
    """One settling of some accounts."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rules = known.rules(session)
        self.now = clock.now()
        self.zone = known.zone_of(session)
        self.today = self.now.astimezone(self.zone).date()
        self.written = _Written()

    def account(self, debts: Sequence[Debt], paid: Sequence[Credit], balance: Decimal) -> None:
        """Let the credits of one account settle its debts; named bills before everything else."""
        usable = known.usable(balance, debts)
        left_of: dict[int, Decimal] = {}
        for debt in debts:
            self._take_back(debt)
        for credit in paid:
            named = [debt for debt in debts if debt.bill_id == credit.bill_id]
            used = self._use(credit.payment_id, credit.day, credit.free, named)
            left = min(credit.free - used, usable - used)
            used += self._use(credit.payment_id, credit.day, left, debts)
            usable -= used
            left_of[credit.payment_id] = credit.free - used
        self._use(None, self.today, usable - sum(left_of.values(), ZERO), debts)
        for debt in debts:
            self._take_back(debt)
        for payment_id, left in left_of.items():
            # Fees that were charged for days after this payment.
            usable -= self._use(payment_id, self.today, min(left, usable), debts)

    def _use(
        self, payment_id: int | None, day: date, amount: Decimal, debts: Sequence[Debt]
    ) -> Decimal:
        """Let one credit settle debts; returns how much of it was used."""
        if amount <= 0:
            return ZERO
        by_id = {debt.bill_id: debt for debt in debts}
        fees = {debt.bill_id: debt.fee(self._day(debt, day), self.rules.late_fee) for debt in debts}
        owed = [
            Owed(d.bill_id, d.due, d.principal, max(fees[d.bill_id].amount - d.fee_paid, ZERO))
            for d in debts
        ]
        shares, rest = allocate(amount, owed, self.rules.allocation)
        for bill_id in {share.bill_id for share in shares}:
            debt = by_id[bill_id]
            self._charge(debt, fees[bill_id], self._day(debt, day))
        for share in shares:
            self._book(
                payment_id, by_id[share.bill_id], share, self._day(by_id[share.bill_id], day)
            )
        return amount - rest

    def _day(self, debt: Debt, day: date) -> date:
        """Credit that was there before the bill settles it on the day of the bill."""
        return max(day, debt.issued_at.astimezone(self.zone).date())

    def _take_back(self, debt: Debt) -> None:
        """Take back what was charged too much, for instance on what a credit note gave back."""
        if debt.fee_through is None:
            return
        fee = debt.fee(debt.fee_through, self.rules.late_fee)
        if fee.amount < debt.fee_posted:
            self._charge(debt, fee, debt.fee_through, back=True)

    def _charge(self, debt: Debt, fee: Fee, through: date, *, back: bool = False) -> None:
        """Charge what a debt's late fee has grown by, or take back what a late message undid."""
        until = max(through, debt.fee_through or through)
        change = fee.amount - debt.fee_posted
        if not change or (change < 0 and not back):
            return
        self.written.fees.append(
            {
                "created_at": self.now,
                "account_id": debt.account_id,
                "bill_id": debt.bill_id,
                "through": until,
                "amount": change,
                "detail": [_plain(span) for span in fee.spans],
            }
        )
        debt.fee_posted, debt.fee_through = fee.amount, until

    def _book(self, payment_id: int | None, debt: Debt, share: Share, day: date) -> None:
        self.written.allocations.append(
            {
                "created_at": self.now,
                "account_id": debt.account_id,
                "payment_id": payment_id,
                "bill_id": debt.bill_id,
                "part": share.part,
                "amount": share.amount,
                "day": day,
            }
        )
        if share.part == "principal":
            debt.paid.append((day, share.amount))
        else:
            debt.fee_paid += share.amount
        self.written.settled.append(
            Settled(
                debt.account_id, payment_id, debt.bill_id, debt.bill_no, share.part, share.amount
            )
        )

    def write(self) -> None:
        """Post the fees and keep what was settled."""
        charge(self.session, self.written.fees)
        insert_rows(self.session, Allocation, self.written.allocations)


def charge(session: Session, fees: Sequence[dict[str, Any]]) -> None:
    """Post late fees to the ledger and keep their rows; one below zero is taken back."""
    if not fees:
        return
    unit = current(session).currency
    ids = take_ids(session, {LateFee: len(fees)})[LateFee]
    postings = [
        Posting(
            f"late_fee:{number}",
            "late_fee",
            _both_sides(row["account_id"], unit, row["amount"]),
        )
        for number, row in zip(ids, fees, strict=True)
    ]
    journals = post(session, postings)
    rows = [
        {"id": number, **row, "journal_id": journal}
        for number, row, journal in zip(ids, fees, journals, strict=True)
    ]
    insert_rows(session, LateFee, rows)


def _both_sides(account_id: int, unit: str, amount: Decimal) -> tuple[Entry, Entry]:
    owed, back = max(amount, ZERO), max(-amount, ZERO)
    return (
        Entry(RECEIVABLE, account_id, unit, debit=owed, credit=back),
        Entry(REVENUE_LATE_FEE, account_id, unit, debit=back, credit=owed),
    )


def _plain(span: Any) -> dict[str, Any]:
    return {
        "principal": str(span.principal),
        "from": span.start.isoformat(),
        "to": span.end.isoformat(),
        "days": span.days,
        "rate": str(span.rate),
    }


def release(session: Session, condition: Any) -> list[Allocation]:
    """Free the allocations of a condition that are not free yet: each gets its mirrored row.

    The mirror has the day of what it frees, so that late fees see neither.
    """
    freed = select(Allocation.releases_id).where(Allocation.releases_id.is_not(None))
    found = list(
        session.scalars(
            select(Allocation)
            .where(condition, Allocation.releases_id.is_(None), Allocation.id.not_in(freed))
            .order_by(Allocation.id)
        )
    )
    insert_rows(session, Allocation, [_mirror(one) for one in found])
    return found


def _mirror(one: Allocation) -> dict[str, Any]:
    return {
        "created_at": clock.now(),
        "account_id": one.account_id,
        "payment_id": one.payment_id,
        "bill_id": one.bill_id,
        "refund_id": one.refund_id,
        "part": one.part,
        "amount": -one.amount,
        "day": one.day,
        "releases_id": one.id,
    }


def use_credit(session: Session, issued: Sequence[IssuedBill]) -> list[Settled]:
    """Let the credit of accounts settle bills that were just issued; their accounts are locked.

    Costs no statement when none of the accounts had credit.
    """
    with_credit = {b.account_id for b in issued if b.total > 0 and b.balance_after + b.total > 0}
    return settle(session, sorted(with_credit)) if with_credit else []


def settle_recent(session: Session, after: int, most: int = 1000) -> int | None:
    """Let credit settle the bills of the last weeks of the next accounts beyond an id.

    Returns the last account's id, or None when there is none left. Bills are settled when they are
    issued; this makes good for whatever issued bills without asking.
    """
    since = clock.now() - timedelta(days=40)
    values = {"after": after, "since": since, "most": most}
    ids = [row[0] for row in run(session, _RECENT, values)]
    if not ids:
        return None
    settle(session, lock_accounts(session, ids))
    return int(ids[-1])


_RECENT = (
    select(Bill.account_id)
    .distinct()
    .join(AccountBalance, AccountBalance.account_id == Bill.account_id)
    .where(
        Bill.account_id > bindparam("after"),
        Bill.issued_at >= bindparam("since", type_=UtcDateTime()),
        AccountBalance.balance + Bill.total > literal_column("0"),
        known.IS_UNSETTLED,
    )
    .order_by(Bill.account_id)
    .limit(bindparam("most"))
)
