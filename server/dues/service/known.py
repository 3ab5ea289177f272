"""What is open of bills and of credits, read for many accounts with a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, and_, case, func, literal_column, or_, select, type_coerce
from sqlalchemy.orm import aliased
from sqlalchemy.sql import Select

from server.accounts.models import Account
from server.billing.models import Bill
from server.billing.service import context, ledger
from server.db import Session, among, many_ids, run
from server.dues.models import Allocation, DuesRules, LateFee, Payment
from server.dues.rules.late_fee import Fee, LateFeeRules, late_fee
from server.dues.rules.settings import Rules, parse
from server.operator import current

ZERO = Decimal(0)
RULES = "fieldbell_dues_rules"


@dataclass(frozen=True, slots=True)
class DuesAccount:
    """An account as far as dues needs it."""

    id: int
    account_no: str
    customer_id: int
    account_class: str
    mode: str


@dataclass(slots=True)
class Debt:
    """A bill that is not settled: what it asked, what settled it day by day, its late fee.

    ``total`` is less what credit notes have given back.
    """

    bill_id: int
    bill_no: str
    account_id: int
    account_class: str
    period: str
    due: date
    issued_at: datetime
    total: Decimal
    paid: list[tuple[date, Decimal]] = field(default_factory=list)
    fee_posted: Decimal = ZERO
    fee_paid: Decimal = ZERO
    fee_through: date | None = None

    @property
    def principal(self) -> Decimal:
        """What is open of the bill itself."""
        return self.total - sum((amount for _, amount in self.paid), ZERO)

    @property
    def fee_open(self) -> Decimal:
        """What is open of the late fee that has been charged."""
        return self.fee_posted - self.fee_paid

    def fee(self, through: date, rules: LateFeeRules) -> Fee:
        """The whole late fee up to a day."""
        return late_fee(self.total, self.due, through, self.paid, self.account_class, rules)

    def fee_so_far(self, through: date, rules: LateFeeRules) -> Decimal:
        """What is open of the late fee up to a day, charged or not."""
        return max(self.fee(through, rules).amount, self.fee_posted) - self.fee_paid


@dataclass(frozen=True, slots=True)
class Credit:
    """What is free of a payment, and the bill its payer named."""

    payment_id: int
    account_id: int
    day: date
    free: Decimal
    bill_id: int | None


# --- statements, built once ---------------------------------------------------------------

_ACCOUNTS = select(
    Account.id, Account.account_no, Account.customer_id, Account.account_class, Account.mode
).where(among(Account.id, many_ids("ids")))


def _settled(part: str) -> Select[Any]:
    """What settled a part of the bill at hand."""
    return (
        select(func.coalesce(func.sum(Allocation.amount), literal_column("0")))
        .where(Allocation.bill_id == Bill.id, Allocation.part == literal_column(f"'{part}'"))
        .correlate(Bill)
    )


_FEES = (
    select(func.coalesce(func.sum(LateFee.amount), literal_column("0")))
    .where(LateFee.bill_id == Bill.id)
    .correlate(Bill)
)

_Note = aliased(Bill)
_CREDITED = (
    select(func.coalesce(func.sum(_Note.total), literal_column("0"), type_=Bill.total.type))
    .where(_Note.credits_id == Bill.id)
    .correlate(Bill)
    .scalar_subquery()
)

IS_DEBT = and_(
    Bill.status == literal_column("'issued'"),
    Bill.kind == literal_column("'bill'"),
    Bill.total > literal_column("0"),
)
"""Bills that ask for money; what was cancelled or given back is seen in the balance only."""

IS_UNSETTLED = and_(
    IS_DEBT,
    or_(
        Bill.total + _CREDITED != _settled("principal").scalar_subquery(),
        _FEES.scalar_subquery() != _settled("fee").scalar_subquery(),
    ),
)

_OF_PRINCIPAL = _settled("principal").scalar_subquery()
_ASKED = case((IS_DEBT, Bill.total + _CREDITED), else_=literal_column("0"))

OVER_SETTLED = select(
    Bill.bill_no,
    type_coerce(_ASKED, Bill.total.type),
    type_coerce(_OF_PRINCIPAL, Bill.total.type),
).where(
    or_(
        _OF_PRINCIPAL > _ASKED,
        _settled("fee").scalar_subquery() > _FEES.scalar_subquery(),
    )
)
"""Bills that are settled with more than they ask for: (number, asked, settled)."""

_DEBTS = (
    select(
        Bill.id,
        Bill.bill_no,
        Bill.account_id,
        Account.account_class,
        Bill.period,
        Bill.due,
        Bill.issued_at,
        Bill.total,
        _CREDITED,
    )
    .join(Account, Account.id == Bill.account_id)
    .where(among(Bill.account_id, many_ids("ids")), IS_UNSETTLED)
    .order_by(Bill.due, Bill.id)
)

_PAID = (
    select(Allocation.bill_id, Allocation.part, Allocation.day, func.sum(Allocation.amount))
    .where(among(Allocation.bill_id, many_ids("ids")))
    .group_by(Allocation.bill_id, Allocation.part, Allocation.day)
)

_CHARGED = (
    select(LateFee.bill_id, func.sum(LateFee.amount), func.max(LateFee.through, type_=Date()))
    .where(among(LateFee.bill_id, many_ids("ids")))
    .group_by(LateFee.bill_id)
)

_SPENT = (
    select(func.coalesce(func.sum(Allocation.amount), literal_column("0")))
    .where(Allocation.payment_id == Payment.id)
    .correlate(Payment)
)

_CREDITS = (
    select(
        Payment.id,
        Payment.account_id,
        Payment.paid_at,
        Payment.amount,
        func.coalesce(
            select(func.sum(Allocation.amount))
            .where(Allocation.payment_id == Payment.id)
            .correlate(Payment)
            .scalar_subquery(),
            literal_column("0"),
            type_=Payment.amount.type,
        ),
        Payment.bill_id,
    )
    .where(
        among(Payment.account_id, many_ids("ids")),
        Payment.status == literal_column("'received'"),
        Payment.amount > _SPENT.scalar_subquery(),
    )
    .order_by(Payment.paid_at, Payment.id)
)


# --- reading ------------------------------------------------------------------------------


def rules(session: Session) -> Rules:
    """The operator's rules, read once in a transaction."""
    found: Rules | None = session.info.get(RULES)
    if found is None:
        definition = session.scalar(
            select(DuesRules.definition).order_by(DuesRules.id.desc()).limit(1)
        )
        found = session.info[RULES] = parse(definition or {})
    return found


def accounts(session: Session, ids: Iterable[int]) -> dict[int, DuesAccount]:
    """These accounts by id."""
    return {row[0]: DuesAccount(*row) for row in run(session, _ACCOUNTS, {"ids": sorted(set(ids))})}


def debts(session: Session, account_ids: Collection[int]) -> dict[int, list[Debt]]:
    """The unsettled bills of accounts, the oldest due first."""
    by_account: dict[int, list[Debt]] = defaultdict(list)
    by_bill: dict[int, Debt] = {}
    for row in run(session, _DEBTS, {"ids": sorted(set(account_ids))}):
        number, bill_no, account_id, kind, period, due, issued_at, total, credited = row
        debt = by_bill[number] = Debt(
            number, bill_no, account_id, kind, period, due, issued_at, total + credited
        )
        by_account[debt.account_id].append(debt)
    _add_history(session, by_bill)
    return by_account


def _add_history(session: Session, by_bill: Mapping[int, Debt]) -> None:
    if not by_bill:
        return
    ids = {"ids": sorted(by_bill)}
    for bill_id, part, day, amount in run(session, _PAID, ids):
        if part == "principal":
            by_bill[bill_id].paid.append((day, amount))
        else:
            by_bill[bill_id].fee_paid += amount
    for bill_id, amount, through in run(session, _CHARGED, ids):
        by_bill[bill_id].fee_posted, by_bill[bill_id].fee_through = amount, through


def credits(session: Session, account_ids: Collection[int]) -> dict[int, list[Credit]]:  # noqa: A001 - the trade's word
    """What is free of payments of accounts, the earliest payment first."""
    zone = zone_of(session)
    found: dict[int, list[Credit]] = defaultdict(list)
    for payment_id, account_id, paid_at, amount, spent, bill_id in run(
        session, _CREDITS, {"ids": sorted(set(account_ids))}
    ):
        day = paid_at.astimezone(zone).date()
        found[account_id].append(Credit(payment_id, account_id, day, amount - spent, bill_id))
    return found


def balances(session: Session, account_ids: Iterable[int]) -> dict[int, Decimal]:
    """The balances of accounts in the customer's eyes: below zero he owes."""
    return ledger.balances(session, account_ids, current(session).currency)


def usable(balance: Decimal, of: Iterable[Debt]) -> Decimal:
    """What an account's credits can settle: the balance as if nothing of its bills were charged.

    Debts without a bill (an opening balance) take their part first.
    """
    charged = sum((debt.principal + debt.fee_open for debt in of), ZERO)
    return max(balance + charged, ZERO)


def zone_of(session: Session) -> ZoneInfo:
    """The operator's zone, in which days are counted."""
    return current(session).zone


def phones(session: Session, customer_ids: Iterable[int]) -> dict[int, list[context.Phone]]:
    """The default contacts with a phone, by customer."""
    return context.load_contacts(session, customer_ids)


def accounts_of_bills(session: Session, bill_ids: Iterable[int]) -> list[int]:
    """The accounts of bills, ascending."""
    found = session.scalars(select(Bill.account_id).where(among(Bill.id, bill_ids)).distinct())
    return sorted(found)
