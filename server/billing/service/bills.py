"""Issuing bills: unbilled use becomes lines, a journal, a balance and a notice, as a set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from server import clock
from server.billing.models import Bill, BillLine, Journal, LedgerLine, UsageYear
from server.billing.rules.chart import RECEIVABLE, income_of
from server.billing.rules.classes import BillingRules
from server.billing.service import context as known
from server.billing.service import ledger
from server.billing.service.pricing import Priced, Pricer
from server.db import Session, bulk_upsert, insert_rows, take_ids, update_rows
from server.metering.models import Consumption
from server.metering.service import Judged
from server.notify.service import Notice, enqueue
from server.operator import current

DEFAULT_RULES = BillingRules()
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class IssuedBill:
    """A bill that has just been issued."""

    id: int
    bill_no: str
    account_id: int
    period: str
    quantity: Decimal
    total: Decimal
    balance_after: Decimal
    due: date
    reading_ids: tuple[int, ...]


def bill_judged(
    session: Session, judged: Sequence[Judged], rules: BillingRules = DEFAULT_RULES
) -> list[IssuedBill]:
    """Bill the confirmed readings among these verdicts whose route bills at once."""
    points = {j.service_point_id for j in judged if j.bill_now and j.service_point_id is not None}
    return bill_points(session, points, rules)


@dataclass(frozen=True, slots=True)
class Order:
    """What else is known of the bills to issue.

    ``account_id`` leaves other accounts out; ``until`` leaves uses that end after this day for
    later; ``period`` leaves those that end after the account's last reading for it; ``replaces`` is
    the cancelled bill, ``run_id`` the bill run they are issued for.
    """

    account_id: int | None = None
    until: date | None = None
    period: str | None = None
    replaces: int | None = None
    run_id: int | None = None


PLAIN = Order()


def bill_points(
    session: Session,
    service_point_ids: Collection[int],
    rules: BillingRules = DEFAULT_RULES,
    order: Order = PLAIN,
) -> list[IssuedBill]:
    """Bill what is unbilled of these service points: one bill for each account.

    The number of statements does not grow with the points. A use is on one bill at most: the
    accounts are locked before the uses are read. An account without a tariff that is valid on
    the read date gets a review item instead of a bill.
    """
    accounts = known.lock_accounts(session, service_point_ids)
    if not accounts:
        return []
    uses = known.load_uses(session, service_point_ids)
    return _Run(session, accounts, uses, rules, order).issue()


@dataclass(slots=True)
class _Draft:
    """A bill as it is put together."""

    account: known.BilledAccount
    priced: Priced
    period: str


class _Run:
    """One issue of bills: what is known, what is written."""

    def __init__(
        self,
        session: Session,
        accounts: Mapping[int, known.BilledAccount],
        uses: Sequence[known.Use],
        rules: BillingRules,
        order: Order,
    ) -> None:
        self.session = session
        self.order = order
        self.accounts = accounts
        self.rules = rules
        self.now = clock.now()
        operator = current(session)
        self.zone: ZoneInfo = operator.zone
        self.unit = operator.currency
        self.uses: dict[int, list[known.Use]] = defaultdict(list)
        uses = [use for use in uses if self._wanted(use)]
        for use in uses:
            self.uses[use.account_id].append(use)
        if order.period is not None:
            self._cut(order.period)
        self.pricer = Pricer(session, accounts.values(), uses, self.zone)
        self.balances = known.load_balances(session, accounts, self.unit)
        self.rows: dict[type, list[dict[str, Any]]] = defaultdict(list)
        self.added: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
        self.notices: list[Notice] = []

    def issue(self) -> list[IssuedBill]:
        """Issue a bill for every account that has something to bill and a tariff."""
        drafts = [draft for i in sorted(self.uses) if (draft := self._draft(i)) is not None]
        if not drafts:
            return []
        entries = [self._entries(draft) for draft in drafts]
        lines = sum(map(len, entries))
        wanted = {Bill: len(drafts), Journal: len(drafts), LedgerLine: lines}
        ids = take_ids(self.session, wanted)
        bills = [self._bill(i, draft) for i, draft in zip(ids[Bill], drafts, strict=True)]
        contacts = known.load_contacts(
            self.session, {draft.account.customer_id for draft in drafts}
        )
        for bill, draft in zip(bills, drafts, strict=True):
            self.rows[BillLine] += draft.priced.line_rows(bill.id, self.now)
            self._announce(bill, draft, contacts.get(draft.account.customer_id, ()))
        postings = [
            ledger.Posting(f"bill:{bill.id}", "bill", sides)
            for bill, sides in zip(bills, entries, strict=True)
        ]
        self._write(ledger.rows_of(postings, ids[Journal], ids[LedgerLine], self.now))
        enqueue(self.session, self.notices)
        return bills

    def _wanted(self, use: known.Use) -> bool:
        """Tell whether a use is for these bills and not for later ones."""
        order = self.order
        if order.account_id is not None and use.account_id != order.account_id:
            return False
        return order.until is None or self._day(use.to_at) <= order.until

    def _cut(self, period: str) -> None:
        """Leave what ends after the last reading for a period; exchanges have no period."""
        for account_id, uses in list(self.uses.items()):
            ends = [use.to_at for use in uses if use.period is not None and use.period <= period]
            last = max(ends, default=None)
            kept = [use for use in uses if last is not None and use.to_at <= last]
            if kept:
                self.uses[account_id] = kept
            else:
                del self.uses[account_id]

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def _draft(self, account_id: int) -> _Draft | None:
        """The bill of an account, or None when no tariff is valid for it."""
        account = self.accounts[account_id]
        priced = self.pricer.price(account, self.uses[account_id])
        if priced is None:
            return None
        periods = (use.period for use in priced.uses if use.period)
        return _Draft(account, priced, max(periods, default=f"{priced.end:%Y-%m}"))

    def _bill(self, bill_id: int, draft: _Draft) -> IssuedBill:
        today = self._day(self.now)
        account, priced = draft.account, draft.priced
        rule = self.rules.of(account.account_class)
        balance, _ = self.balances.get(account.id, (Decimal(0), 0))
        bill = IssuedBill(
            id=bill_id,
            bill_no=f"{today:%Y%m}{bill_id:09d}",
            account_id=account.id,
            period=draft.period,
            quantity=priced.quantity,
            total=priced.charge.total,
            balance_after=balance - priced.charge.total,
            due=today + timedelta(days=rule.due_days),
            reading_ids=tuple(use.reading_id for use in priced.uses),
        )
        self.rows[Bill].append(
            {
                "id": bill.id,
                "created_at": self.now,
                "bill_no": bill.bill_no,
                "account_id": account.id,
                "period": bill.period,
                "period_from": priced.start,
                "period_to": priced.end,
                "status": "issued",
                "quantity": bill.quantity,
                "total": bill.total,
                "balance_after": bill.balance_after,
                "due": bill.due,
                "issued_at": self.now,
                "kind": "bill",
                "estimated": any(use.estimated for use in priced.uses),
                "replaces_id": self.order.replaces,
                "run_id": self.order.run_id,
                "tariff_version_id": priced.version.id,
            }
        )
        for year, quantity in priced.added.items():
            self.added[account.id, year] += quantity
        self.rows[Consumption] += [{"id": use.id, "bill_id": bill.id} for use in priced.uses]
        return bill

    def _entries(self, draft: _Draft) -> tuple[ledger.Entry, ...]:
        """The receivable against what each line earns; a bill below zero the other way round."""
        charge, account_id = draft.priced.charge, draft.account.id
        earned: dict[str, Decimal] = {}
        for line in charge.lines:
            income = income_of(line.kind)
            earned[income] = earned.get(income, ZERO) + line.amount
        own = _entry(RECEIVABLE, account_id, self.unit, -charge.total)
        others = (
            _entry(name, account_id, self.unit, amount)
            for name, amount in earned.items()
            if amount or len(earned) == 1
        )
        return (own, *others)

    def _announce(self, bill: IssuedBill, draft: _Draft, contacts: Sequence[known.Phone]) -> None:
        """Tell the default contacts of the bill when the class's rule says so."""
        if not self.rules.of(draft.account.account_class).announces(bill.balance_after):
            return
        for contact in contacts:
            self.notices.append(
                Notice(
                    event="bill.issued",
                    key=f"bill.issued:{bill.id}:{contact.phone}",
                    phone=contact.phone,
                    language=contact.language,
                    data={
                        "no": draft.account.account_no,
                        "m": bill.period,
                        "kwh": bill.quantity,
                        "amt": bill.total,
                        "bal": bill.balance_after,
                        "due": bill.due,
                    },
                    contact_id=contact.contact_id,
                    account_id=bill.account_id,
                )
            )

    def _write(self, posted: ledger.Rows) -> None:
        session = self.session
        for model in (Bill, BillLine):
            insert_rows(session, model, self.rows[model])
        ledger.write(session, posted)
        update_rows(session, Consumption, ("id",), self.rows[Consumption])
        years = [
            {"account_id": account_id, "year": year, "opening": Decimal(0), "quantity": quantity}
            for (account_id, year), quantity in sorted(self.added.items())
        ]
        adding = ("opening", "quantity")
        bulk_upsert(session, UsageYear, years, ("account_id", "year"), add=adding)


def _entry(name: str, account_id: int, unit: str, credit: Decimal) -> ledger.Entry:
    """A line on the side its sign says: above zero it is a credit."""
    if credit < 0:
        return ledger.Entry(name, account_id, unit, debit=-credit)
    return ledger.Entry(name, account_id, unit, credit=credit)
