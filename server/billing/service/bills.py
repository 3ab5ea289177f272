"""Issuing bills: unbilled use becomes lines, a journal, a balance and a notice, as a set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from server import clock, review
from server.billing.models import (
    RECEIVABLE,
    REVENUE_ENERGY,
    AccountBalance,
    Bill,
    BillLine,
    Journal,
    LedgerLine,
    UsageYear,
)
from server.billing.rules.classes import BillingRules
from server.billing.rules.tariff import Charge, Tariff, YearUse, price, split_by_year
from server.billing.service import context as known
from server.db import Session, bulk_upsert, insert_rows, take_ids, update_rows
from server.metering.models import Consumption
from server.metering.service import Judged
from server.notify.service import Notice, enqueue
from server.operator import current

DEFAULT_RULES = BillingRules()


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


def bill_points(
    session: Session, service_point_ids: Collection[int], rules: BillingRules = DEFAULT_RULES
) -> list[IssuedBill]:
    """Bill everything unbilled of these service points: one bill for each account.

    The number of statements does not grow with the points. A use is on one bill at most: the
    accounts are locked before the uses are read. An account without a tariff that is valid on
    the read date gets a review item instead of a bill.
    """
    accounts = known.lock_accounts(session, service_point_ids)
    if not accounts:
        return []
    return _Run(session, accounts, known.load_uses(session, service_point_ids), rules).issue()


@dataclass(slots=True)
class _Draft:
    """A bill as it is put together."""

    account: known.BilledAccount
    version: known.Version
    uses: list[known.Use]
    charge: Charge
    period: str
    start: date
    end: date

    @property
    def quantity(self) -> Decimal:
        """What the bill charges for, in units of supply."""
        counted = self.version.tariff.counted
        kind = counted.register_kind if counted else "total"
        return sum((u.quantity for u in self.uses if u.kind == kind), Decimal(0))


class _Run:
    """One issue of bills: what is known, what is written."""

    def __init__(
        self,
        session: Session,
        accounts: Mapping[int, known.BilledAccount],
        uses: Sequence[known.Use],
        rules: BillingRules,
    ) -> None:
        self.session = session
        self.accounts = accounts
        self.rules = rules
        self.now = clock.now()
        operator = current(session)
        self.zone: ZoneInfo = operator.zone
        self.unit = operator.currency
        self.uses: dict[int, list[known.Use]] = defaultdict(list)
        for use in uses:
            self.uses[use.account_id].append(use)
        years = [self._day(use.from_at).year for use in uses]
        codes = {account.tariff_code for account in accounts.values()}
        self.versions = known.load_versions(session, codes)
        self.years = known.load_years(session, accounts, min(years, default=0))
        self.balances = known.load_balances(session, accounts, self.unit)
        self.rows: dict[type, list[dict[str, Any]]] = defaultdict(list)
        self.added: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
        self.notices: list[Notice] = []

    def issue(self) -> list[IssuedBill]:
        """Issue a bill for every account that has something to bill and a tariff."""
        drafts = [draft for i in sorted(self.uses) if (draft := self._draft(i)) is not None]
        ids = take_ids(
            self.session,
            {Bill: len(drafts), Journal: len(drafts), LedgerLine: 2 * len(drafts)},
        )
        if not drafts:
            return []
        contacts = known.load_contacts(
            self.session, {draft.account.customer_id for draft in drafts}
        )
        issued = []
        for index, draft in enumerate(drafts):
            lines = ids[LedgerLine][2 * index : 2 * index + 2]
            bill = self._bill(ids[Bill][index], draft)
            self._lines(bill.id, draft)
            self._post(bill, ids[Journal][index], lines)
            self._announce(bill, draft, contacts.get(draft.account.customer_id, ()))
            issued.append(bill)
        self._write()
        enqueue(self.session, self.notices)
        return issued

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def _draft(self, account_id: int) -> _Draft | None:
        """The bill of an account, or None when no tariff is valid for it."""
        account = self.accounts[account_id]
        uses = self.uses[account_id]
        end = max(self._day(use.to_at) for use in uses)
        start = min(self._day(use.from_at) for use in uses)
        version = self.versions.valid(account.tariff_code, end)
        if version is None:
            self._no_tariff(account, end)
            return None
        uses = [use for use in uses if use.kind in version.tariff.register_kinds]
        if not uses:
            return None
        charge = price(version.tariff, self._year_uses(account_id, version.tariff, uses))
        period = max((use.period for use in uses if use.period), default=f"{end:%Y-%m}")
        first = min(start + timedelta(days=1), end)
        return _Draft(account, version, uses, charge, period, first, end)

    def _no_tariff(self, account: known.BilledAccount, day: date) -> None:
        review.raise_item(
            self.session,
            key=f"billing.no_tariff:{account.id}:{day:%Y-%m}",
            kind="billing",
            reason="billing.no_tariff",
            subject_type="account",
            subject_id=account.id,
            detail={"tariff": account.tariff_code, "date": day.isoformat()},
        )

    def _year_uses(
        self, account_id: int, tariff: Tariff, uses: Sequence[known.Use]
    ) -> list[YearUse]:
        """The uses by calendar year, with what each year had before; and count them into it."""
        shares: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for use in uses:
            unit = Decimal(1) if use.quantity == int(use.quantity) else Decimal("0.000001")
            days = self._day(use.from_at), self._day(use.to_at)
            for year, share in split_by_year(*days, use.quantity, unit):
                shares[use.kind, year] += share
        counted = tariff.counted
        found = []
        for (kind, year), quantity in sorted(shares.items()):
            is_counted = counted is not None and counted.register_kind == kind
            before = self.years.get((account_id, year), Decimal(0)) if is_counted else Decimal(0)
            found.append(YearUse(year, kind, quantity, before))
            if is_counted:
                self.added[account_id, year] += quantity
        return found

    def _bill(self, bill_id: int, draft: _Draft) -> IssuedBill:
        today = self._day(self.now)
        account = draft.account
        rule = self.rules.of(account.account_class)
        balance, _ = self.balances.get(account.id, (Decimal(0), 0))
        bill = IssuedBill(
            id=bill_id,
            bill_no=f"{today:%Y%m}{bill_id:09d}",
            account_id=account.id,
            period=draft.period,
            quantity=draft.quantity,
            total=draft.charge.total,
            balance_after=balance - draft.charge.total,
            due=today + timedelta(days=rule.due_days),
            reading_ids=tuple(use.reading_id for use in draft.uses),
        )
        self.rows[Bill].append(
            {
                "id": bill.id,
                "created_at": self.now,
                "bill_no": bill.bill_no,
                "account_id": account.id,
                "period": bill.period,
                "period_from": draft.start,
                "period_to": draft.end,
                "status": "issued",
                "quantity": bill.quantity,
                "total": bill.total,
                "balance_after": bill.balance_after,
                "due": bill.due,
                "issued_at": self.now,
                "tariff_version_id": draft.version.id,
            }
        )
        self.rows[Consumption] += [{"id": use.id, "bill_id": bill.id} for use in draft.uses]
        return bill

    def _lines(self, bill_id: int, draft: _Draft) -> None:
        counted = draft.version.tariff.counted
        for position, line in enumerate(draft.charge.lines, start=1):
            first, last = _dial(draft.uses, line.register_kind)
            fills = counted is not None and counted.code == line.component
            self.rows[BillLine].append(
                {
                    "created_at": self.now,
                    "bill_id": bill_id,
                    "position": position,
                    "component": line.component,
                    "register_kind": line.register_kind,
                    "usage_year": line.year if fills else None,
                    "quantity": line.quantity,
                    "price": line.price,
                    "amount": line.amount,
                    "cumulative_before": line.before,
                    "reading_from": first,
                    "reading_to": last,
                }
            )

    def _post(self, bill: IssuedBill, journal_id: int, line_ids: Sequence[int]) -> None:
        """One journal: the receivable against the revenue; a credit note the other way round."""
        self.rows[Journal].append(
            {
                "id": journal_id,
                "created_at": self.now,
                "source_key": f"bill:{bill.id}",
                "kind": "bill",
                "posted_at": self.now,
            }
        )
        owed, back = max(bill.total, Decimal(0)), max(-bill.total, Decimal(0))
        sides = ((RECEIVABLE, owed, back), (REVENUE_ENERGY, back, owed))
        for line_id, (ledger, debit, credit) in zip(line_ids, sides, strict=True):
            self.rows[LedgerLine].append(
                {
                    "id": line_id,
                    "created_at": self.now,
                    "journal_id": journal_id,
                    "ledger": ledger,
                    "account_id": bill.account_id,
                    "unit": self.unit,
                    "debit": debit,
                    "credit": credit,
                }
            )
        self.rows[AccountBalance].append(
            {
                "account_id": bill.account_id,
                "unit": self.unit,
                "balance": bill.balance_after,
                "last_line_id": line_ids[0],
            }
        )

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

    def _write(self) -> None:
        session = self.session
        for model in (Bill, BillLine, Journal, LedgerLine):
            insert_rows(session, model, self.rows[model])
        update_rows(session, Consumption, ("id",), self.rows[Consumption])
        balances = self.rows[AccountBalance]
        bulk_upsert(session, AccountBalance, balances, ("account_id", "unit"))
        years = [
            {"account_id": account_id, "year": year, "opening": Decimal(0), "quantity": quantity}
            for (account_id, year), quantity in sorted(self.added.items())
        ]
        adding = ("opening", "quantity")
        bulk_upsert(session, UsageYear, years, ("account_id", "year"), add=adding)


def _dial(uses: Sequence[known.Use], kind: str) -> tuple[Decimal | None, Decimal | None]:
    """The first and last value of the dial; none when more than one dial was read."""
    dials = sorted((use for use in uses if use.kind == kind), key=lambda use: use.to_at)
    if not dials or len({use.register_id for use in dials}) > 1:
        return None, None
    return dials[0].value_from, dials[-1].value_to
