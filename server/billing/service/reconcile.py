"""Proving the books: everything that is cached or summed is computed again from its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import String, and_, cast, func, literal, or_, select
from sqlalchemy.orm import aliased

from server.billing.models import (
    AccountBalance,
    Bill,
    BillLine,
    Journal,
    LedgerLine,
    UsageYear,
)
from server.billing.rules.chart import RECEIVABLE
from server.billing.rules.tariff.model import SUM, TIME_OF_USE
from server.db import Money, Quantity, Session
from server.metering.models import Consumption, Reading


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books disagree: what, whose, what is stored, what the rows say."""

    what: str
    subject: str
    stored: Decimal | int | None
    computed: Decimal | int | None


Check = Callable[[Session], Iterator[Difference]]
"""What finds one kind of difference; packages above billing have their own."""


def differences(session: Session, more: Sequence[Check] = ()) -> Iterator[Difference]:
    """Every difference between what is stored and what its rows add up to, as it is found.

    The database adds up; only differences come out of it, however many rows there are.

    Args:
        more: what packages above billing check beside.
    """
    for check in (*CHECKS, *more):
        yield from check(session)


def reconcile(session: Session, more: Sequence[Check] = ()) -> list[Difference]:
    """As :func:`differences`, all of them; none is right."""
    return list(differences(session, more))


def _zero(value: Decimal | None) -> Decimal:
    return Decimal(0) if value is None else value


def _journals(session: Session) -> Iterator[Difference]:
    """Σ debit = Σ credit of every journal in every unit."""
    debit, credit = func.sum(LedgerLine.debit), func.sum(LedgerLine.credit)
    rows = session.execute(
        select(LedgerLine.journal_id, LedgerLine.unit, debit, credit)
        .group_by(LedgerLine.journal_id, LedgerLine.unit)
        .having(debit != credit)
    )
    for journal_id, unit, left, right in rows:
        yield Difference("journal.unbalanced", f"journal {journal_id} {unit}", left, right)


def _balances(session: Session) -> Iterator[Difference]:
    """Every cached balance and its last line, against the lines of the receivable."""
    computed = (
        select(
            LedgerLine.account_id.label("account_id"),
            LedgerLine.unit.label("unit"),
            func.sum(LedgerLine.credit - LedgerLine.debit, type_=Money).label("balance"),
            func.max(LedgerLine.id).label("last"),
        )
        .where(LedgerLine.ledger == RECEIVABLE)
        .group_by(LedgerLine.account_id, LedgerLine.unit)
        .subquery()
    )
    same = and_(
        AccountBalance.account_id == computed.c.account_id, AccountBalance.unit == computed.c.unit
    )
    rows = session.execute(
        select(
            computed.c.account_id,
            computed.c.unit,
            AccountBalance.balance,
            computed.c.balance,
            AccountBalance.last_line_id,
            computed.c.last,
        )
        .outerjoin(AccountBalance, same)
        .where(
            or_(
                AccountBalance.account_id.is_(None),
                AccountBalance.balance != computed.c.balance,
                AccountBalance.last_line_id != computed.c.last,
            )
        )
    )
    for account_id, unit, stored, summed, stored_last, last in rows:
        subject = f"account {account_id} {unit}"
        if _zero(stored) != _zero(summed):
            yield Difference("balance", subject, stored, summed)
        if stored_last != last:
            yield Difference("balance.last_line", subject, stored_last, last)
    yield from _balances_without_lines(session)


def _balances_without_lines(session: Session) -> Iterator[Difference]:
    """Every cached balance stands on at least one line."""
    line = select(LedgerLine.id).where(
        LedgerLine.account_id == AccountBalance.account_id,
        LedgerLine.unit == AccountBalance.unit,
        LedgerLine.ledger == RECEIVABLE,
    )
    rows = session.execute(
        select(AccountBalance.account_id, AccountBalance.unit, AccountBalance.balance).where(
            ~line.exists()
        )
    )
    for account_id, unit, stored in rows:
        yield Difference("balance", f"account {account_id} {unit}", stored, None)


def _bill_lines(session: Session) -> Iterator[Difference]:
    """Every bill's total against its lines."""
    total = func.sum(BillLine.amount)
    rows = session.execute(
        select(Bill.bill_no, Bill.total, total)
        .outerjoin(BillLine, BillLine.bill_id == Bill.id)
        .group_by(Bill.id, Bill.bill_no, Bill.total)
        .having(or_(total.is_(None), total != Bill.total))
    )
    for bill_no, stored, summed in rows:
        yield Difference("bill.total", f"bill {bill_no}", stored, summed)


def _bill_journals(session: Session) -> Iterator[Difference]:
    """Every bill's total against what its journal has put on the receivable."""
    owed = func.sum(LedgerLine.debit - LedgerLine.credit, type_=Money)
    rows = session.execute(
        select(Bill.bill_no, Bill.total, owed)
        .outerjoin(Journal, Journal.source_key == literal("bill:") + cast(Bill.id, String))
        .outerjoin(
            LedgerLine,
            and_(LedgerLine.journal_id == Journal.id, LedgerLine.ledger == RECEIVABLE),
        )
        .group_by(Bill.id, Bill.bill_no, Bill.total)
        .having(or_(owed.is_(None), owed != Bill.total))
    )
    for bill_no, stored, posted in rows:
        yield Difference("bill.journal", f"bill {bill_no}", stored, posted)


def _bill_uses(session: Session) -> Iterator[Difference]:
    """The quantity of every bill that stands against the uses it is made of."""
    used = func.sum(Consumption.quantity)
    counts = (
        select(BillLine.id)
        .where(
            BillLine.bill_id == Bill.id,
            BillLine.usage_year.is_not(None),
            or_(
                BillLine.register_kind == Consumption.register_kind,
                and_(
                    BillLine.register_kind == literal(SUM),
                    Consumption.register_kind.in_(TIME_OF_USE),
                ),
            ),
        )
        .correlate(Bill, Consumption)
        .exists()
    )
    rows = session.execute(
        select(Bill.bill_no, Bill.quantity, used)
        .outerjoin(Consumption, and_(Consumption.bill_id == Bill.id, counts))
        .where(Bill.kind == "bill", Bill.status == "issued")
        .group_by(Bill.id, Bill.bill_no, Bill.quantity)
        .having(func.coalesce(used, literal(Decimal(0), Quantity)) != Bill.quantity)
    )
    for bill_no, stored, summed in rows:
        yield Difference("bill.quantity", f"bill {bill_no}", stored, summed)


def _cancellations(session: Session) -> Iterator[Difference]:
    """A bill is cancelled when there is a cancellation of it, and that takes back all of it."""
    note = aliased(Bill)
    rows = session.execute(
        select(Bill.bill_no, Bill.total, note.total)
        .outerjoin(note, note.cancels_id == Bill.id)
        .where(
            Bill.kind == "bill",
            or_(
                and_(Bill.status == "cancelled", note.id.is_(None)),
                and_(Bill.status == "issued", note.id.is_not(None)),
                Bill.total + note.total != literal(Decimal(0), Money),
            ),
        )
    )
    for bill_no, total, back in rows:
        yield Difference("bill.cancellation", f"bill {bill_no}", total, back)


def _uses(session: Session) -> Iterator[Difference]:
    """Every use that counts lies between two readings that count, and each begins one use at most."""
    before = aliased(Reading)
    rows = session.execute(
        select(Consumption.id, Consumption.quantity)
        .join(Reading, Reading.id == Consumption.reading_id)
        .join(before, before.id == Consumption.previous_reading_id)
        .where(
            Consumption.status == "active",
            or_(Reading.status != "confirmed", before.status != "confirmed"),
        )
    )
    for number, quantity in rows:
        yield Difference("use", f"use {number}", quantity, None)
    twice = session.execute(
        select(
            Consumption.previous_reading_id,
            func.sum(Consumption.quantity),
            func.max(Consumption.quantity),
        )
        .where(Consumption.status == "active")
        .group_by(Consumption.previous_reading_id)
        .having(func.count() > 1)
    )
    for number, stored, once in twice:
        yield Difference("use.twice", f"reading {number}", stored, once)


def _years(session: Session) -> Iterator[Difference]:
    """Every year's use against its opening and the lines of the account's bills."""
    billed = (
        select(
            Bill.account_id.label("account_id"),
            BillLine.usage_year.label("year"),
            func.sum(BillLine.quantity).label("quantity"),
        )
        .join(Bill, Bill.id == BillLine.bill_id)
        .where(BillLine.usage_year.is_not(None))
        .group_by(Bill.account_id, BillLine.usage_year)
        .subquery()
    )
    same = and_(UsageYear.account_id == billed.c.account_id, UsageYear.year == billed.c.year)
    rows = session.execute(
        select(
            billed.c.account_id,
            billed.c.year,
            UsageYear.quantity,
            UsageYear.opening,
            billed.c.quantity,
        )
        .outerjoin(UsageYear, same)
        .where(
            or_(
                UsageYear.account_id.is_(None),
                UsageYear.quantity != UsageYear.opening + billed.c.quantity,
            )
        )
    )
    for account_id, year, quantity, opening, lines in rows:
        subject = f"account {account_id} year {year}"
        yield Difference("usage_year", subject, quantity, _zero(opening) + _zero(lines))
    unbilled = session.execute(
        select(UsageYear.account_id, UsageYear.year, UsageYear.quantity, UsageYear.opening)
        .outerjoin(billed, same)
        .where(billed.c.account_id.is_(None), UsageYear.quantity != UsageYear.opening)
    )
    for account_id, year, quantity, opening in unbilled:
        yield Difference("usage_year", f"account {account_id} year {year}", quantity, opening)


CHECKS: tuple[Check, ...] = (
    _journals,
    _balances,
    _bill_lines,
    _bill_journals,
    _bill_uses,
    _cancellations,
    _uses,
    _years,
)
