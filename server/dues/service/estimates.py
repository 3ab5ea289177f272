"""What large customers have used since their last bill, by their hourly values, and what it costs.

The charge is what a bill of now would say: the use that was read and not billed, and from the newest
reading to the newest hourly value what the dial has moved. It stands against the balance (see
`service.prepaid`), so that a customer without a fixed reading day is warned in time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, func, select

from server import clock
from server.accounts.models import Account, Installation, Register, ServicePoint
from server.billing.service import context as known
from server.billing.service.pricing import Pricer
from server.db import Session, among, bulk_upsert
from server.dues.models import ChargeEstimate
from server.metering.intervals.models import IntervalReading, IntervalSource
from server.metering.intervals.rules import HOUR, gaps, use_of
from server.metering.models import Reading
from server.metering.rules.consumption import Dial
from server.operator import current

SLICE = 200
LONGEST = timedelta(days=100)
NO_TARIFF = "billing.no_tariff"
WENT_BACK = "estimate.went_back"
_DAY = Decimal(86400)
_I, _R = IntervalReading, Reading


@dataclass(frozen=True, slots=True)
class Moved:
    """A dial between the newest reading of its register and its newest hourly value."""

    account_id: int
    point_id: int
    register_id: int
    dial: Dial
    multiplier: Decimal
    read_at: datetime
    read: Decimal
    reading_id: int
    shown_at: datetime
    shown: Decimal

    @property
    def quantity(self) -> Decimal | None:
        """What was used; None when the dial seems to have gone back."""
        return use_of(self.read, self.shown, self.dial, self.multiplier)

    def use(self, quantity: Decimal) -> known.Use:
        """The use as billing would price it."""
        return known.Use(
            id=0,
            account_id=self.account_id,
            kind=self.dial.kind,
            from_at=self.read_at,
            to_at=self.shown_at,
            quantity=quantity,
            reading_id=self.reading_id,
            register_id=self.register_id,
            value_from=self.read,
            value_to=self.shown,
            period=None,
        )


def next_accounts(session: Session, after: int = 0) -> list[int]:
    """The next accounts (by id) with hourly values."""
    rows = session.scalars(
        select(ServicePoint.account_id)
        .join(IntervalSource, IntervalSource.service_point_id == ServicePoint.id)
        .where(ServicePoint.account_id > after)
        .distinct()
        .order_by(ServicePoint.account_id)
        .limit(SLICE)
    )
    return list(rows)


def estimate(session: Session, account_ids: Collection[int]) -> int:
    """Estimate the charges of these accounts anew; how many have an estimate.

    The number of statements does not grow with the accounts.
    """
    points = _points(session, account_ids)
    moved = _moved(session, points)
    uses = [use for use in known.load_uses(session, points) if use.account_id in set(account_ids)]
    by_account: dict[int, list[Moved]] = defaultdict(list)
    for one in moved:
        by_account[one.account_id].append(one)
    drafts = {i: _draft(by_account[i], [u for u in uses if u.account_id == i]) for i in by_account}
    amounts = _price(session, {i: draft.uses for i, draft in drafts.items()})
    missing = _missing(session, moved)
    rows = [_row(i, draft, amounts[i], missing.get(i, 0)) for i, draft in sorted(drafts.items())]
    bulk_upsert(session, ChargeEstimate, rows, ("account_id",))
    return len(rows)


# --- reading ------------------------------------------------------------------------------


def _points(session: Session, account_ids: Collection[int]) -> list[int]:
    rows = session.scalars(
        select(ServicePoint.id)
        .join(IntervalSource, IntervalSource.service_point_id == ServicePoint.id)
        .where(among(ServicePoint.account_id, account_ids))
    )
    return list(rows)


def _moved(session: Session, point_ids: Collection[int]) -> list[Moved]:
    """Each register of the present meters: its newest confirmed reading and newest hourly value."""
    rows = session.execute(_dials().where(among(ServicePoint.id, point_ids)))
    found: dict[int, Moved] = {}
    for account_id, point_id, register_id, kind, digits, decimals, *shown in rows:
        dial = Dial(kind, digits, decimals)
        found[register_id] = Moved(account_id, point_id, register_id, dial, *shown)
    return list(found.values())


def _dials() -> Select[*tuple[Any, ...]]:
    """Registers with their newest reading and newest hourly value; of equal times the last row."""
    newest_read = (
        select(func.max(_R.read_at))
        .where(_R.register_id == Register.id, _R.status == "confirmed")
        .correlate(Register)
        .scalar_subquery()
    )
    newest_hour = (
        select(func.max(_I.read_at))
        .where(
            _I.service_point_id == Installation.service_point_id,
            _I.register_kind == Register.kind,
            _I.installation_id == Installation.id,
        )
        .correlate(Installation, Register)
        .scalar_subquery()
    )
    return (
        select(
            ServicePoint.account_id,
            ServicePoint.id,
            Register.id,
            Register.kind,
            Register.integer_digits,
            Register.decimals,
            Installation.multiplier,
            _R.read_at,
            _R.value,
            _R.id,
            _I.read_at,
            _I.value,
        )
        .join(Installation, Installation.service_point_id == ServicePoint.id)
        .join(Register, Register.meter_id == Installation.meter_id)
        .join(
            _R,
            and_(
                _R.register_id == Register.id,
                _R.status == "confirmed",
                _R.read_at == newest_read,
            ),
        )
        .join(
            _I,
            and_(
                _I.service_point_id == ServicePoint.id,
                _I.register_kind == Register.kind,
                _I.read_at == newest_hour,
            ),
        )
        .where(Installation.removed_at.is_(None))
        .order_by(ServicePoint.account_id, Register.id, _R.id)
    )


def _missing(session: Session, moved: Sequence[Moved]) -> Mapping[int, int]:
    """How many hours of each account are missing since its newest readings."""
    if not moved:
        return {}
    since = max(min(one.read_at for one in moved), clock.now() - LONGEST)
    rows = session.execute(
        select(_I.service_point_id, _I.read_at)
        .where(among(_I.service_point_id, {one.point_id for one in moved}), _I.read_at >= since)
        .distinct()
        .order_by(_I.service_point_id, _I.read_at)
    )
    hours: dict[int, list[datetime]] = defaultdict(list)
    for point_id, at in rows:
        hours[point_id].append(at)
    found: dict[int, int] = defaultdict(int)
    for point_id, account_id in {(one.point_id, one.account_id) for one in moved}:
        found[account_id] += sum(gap.hours for gap in gaps(hours[point_id]))
    return found


# --- pricing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """What an account has used and not been billed."""

    uses: tuple[known.Use, ...]
    from_at: datetime
    as_of: datetime
    problem: str | None


def _draft(moved: Sequence[Moved], unbilled: Sequence[known.Use]) -> _Draft:
    uses, problem = list(unbilled), None
    for one in moved:
        quantity = one.quantity if one.shown_at > one.read_at else Decimal(0)
        if quantity is None:
            problem = WENT_BACK
        else:
            uses.append(one.use(quantity))
    begin = min((use.from_at for use in uses), default=moved[0].read_at)
    return _Draft(tuple(uses), begin, max(one.shown_at for one in moved), problem)


def _price(session: Session, uses: Mapping[int, Sequence[known.Use]]) -> dict[int, Decimal | None]:
    """What the uses of each account cost; None where no tariff is valid."""
    rows = session.execute(
        select(
            Account.id,
            Account.account_no,
            Account.customer_id,
            Account.account_class,
            Account.tariff_code,
            Account.household,
            Account.supplied_since,
        ).where(among(Account.id, uses))
    )
    accounts = {row[0]: known.BilledAccount(*row) for row in rows}
    flat = [use for of in uses.values() for use in of]
    pricer = Pricer(session, list(accounts.values()), flat, current(session).zone)
    amounts: dict[int, Decimal | None] = {}
    for account_id, of in uses.items():
        priced = pricer.price(accounts[account_id], of) if of else None
        amounts[account_id] = priced.charge.total if priced is not None else None
    return amounts


def _row(account_id: int, draft: _Draft, amount: Decimal | None, missing: int) -> dict[str, Any]:
    total = [use.quantity for use in draft.uses if use.kind == "total"]
    quantity = sum(total or [use.quantity for use in draft.uses], Decimal(0))
    seconds = Decimal((draft.as_of - draft.from_at).total_seconds())
    daily = None
    if amount is not None and seconds >= HOUR.total_seconds():
        daily = (amount * _DAY / seconds).quantize(Decimal("0.01"))
    return {
        "account_id": account_id,
        "from_at": draft.from_at,
        "as_of": draft.as_of,
        "quantity": quantity,
        "amount": amount,
        "daily": daily,
        "missing": missing,
        "problem": draft.problem or (NO_TARIFF if amount is None else None),
        "estimated_at": clock.now(),
    }
