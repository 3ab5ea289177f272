"""Pricing the unbilled use of accounts: tariff versions and years of use in, lines out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from server import review
from server.billing.rules.tariff import (
    Charge,
    Part,
    Usage,
    Version,
    charge,
    registers_of,
    valid_on,
)
from server.billing.service import context as known
from server.db import Session

_NEXT = timedelta(days=1)
_NOTHING: Mapping[int, Decimal] = {}


@dataclass(frozen=True, slots=True)
class Priced:
    """What the uses of an account cost: ``start`` to ``end`` are its days, both included.

    ``version`` is the tariff version of the last day; each line names its own. ``added`` is what
    the bill adds to each calendar year of the account's use.
    """

    version: Version
    uses: Sequence[known.Use]
    charge: Charge
    start: date
    end: date
    added: Mapping[int, Decimal]

    @property
    def quantity(self) -> Decimal:
        """What the bill charges for, in units of supply."""
        return sum(self.added.values(), Decimal(0))

    def line_rows(self, bill_id: int, now: datetime) -> list[dict[str, Any]]:
        """The rows of the bill's lines."""
        dials: dict[str | None, tuple[Decimal | None, Decimal | None]] = {}
        rows = []
        for position, line in enumerate(self.charge.lines, start=1):
            code, kind, register, year, quantity, price, amount, before, version, days = line
            dial = dials.get(register)
            if dial is None:
                dial = dials[register] = _dial(self.uses, register)
            rows.append(
                {
                    "created_at": now,
                    "bill_id": bill_id,
                    "position": position,
                    "component": code,
                    "kind": kind,
                    "tariff_version_id": version,
                    "register_kind": register,
                    "usage_year": year,
                    "days": days,
                    "quantity": quantity,
                    "price": price,
                    "amount": amount,
                    "cumulative_before": before,
                    "reading_from": dial[0],
                    "reading_to": dial[1],
                }
            )
        return rows


class Pricer:
    """Prices accounts from what was read for all of them with two statements."""

    def __init__(
        self,
        session: Session,
        accounts: Collection[known.BilledAccount],
        uses: Collection[known.Use],
        zone: ZoneInfo,
    ) -> None:
        """Read the tariff versions and the years of use of these accounts."""
        self._session = session
        self._zone = zone
        years = [self._day(use.from_at).year for use in uses]
        self._versions = known.load_versions(session, {a.tariff_code for a in accounts})
        self._years = known.load_years(session, [a.id for a in accounts], min(years, default=0))

    def price(self, account: known.BilledAccount, uses: Sequence[known.Use]) -> Priced | None:
        """What the uses of an account cost; None when nothing of them can be charged.

        An account gets a review item when no tariff is valid on the last day, or when the tariff
        has nothing for its class.
        """
        parts = [
            Part(use.kind, self._day(use.from_at), self._day(use.to_at), use.quantity)
            for use in uses
        ]
        after, until = _period(parts)
        versions = self._versions.get(account.tariff_code, ())
        version = valid_on(versions, until)
        registers = registers_of(versions, after, until, account.account_class) if version else None
        if version is None or registers is None:
            self._no_tariff(account, until)
            return None
        if any(part.register not in registers for part in parts):
            uses = [use for use in uses if use.kind in registers]
            parts = [part for part in parts if part.register in registers]
            if not parts:
                return None
            after, until = _period(parts)
        usage = Usage(
            after,
            until,
            tuple(parts),
            self._years.get(account.id, _NOTHING),
            account.account_class,
            account.household,
            account.supplied_since,
        )
        priced = charge(versions, usage)
        return Priced(version, uses, priced, min(after + _NEXT, until), until, _added(priced))

    def _day(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()

    def _no_tariff(self, account: known.BilledAccount, day: date) -> None:
        review.raise_item(
            self._session,
            key=f"billing.no_tariff:{account.id}:{day:%Y-%m}",
            kind="billing",
            reason="billing.no_tariff",
            subject_type="account",
            subject_id=account.id,
            detail={"tariff": account.tariff_code, "date": day.isoformat()},
        )


def _period(parts: Sequence[Part]) -> tuple[date, date]:
    """The days that uses lie in: after which, until which."""
    if len(parts) == 1:
        return parts[0].after, parts[0].until
    return min(part.after for part in parts), max(part.until for part in parts)


def _added(priced: Charge) -> dict[int, Decimal]:
    """What the lines add to each calendar year."""
    added: dict[int, Decimal] = {}
    for line in priced.lines:
        year = line.year
        if year is not None:
            added[year] = added[year] + line.quantity if year in added else line.quantity
    return added


def _dial(uses: Sequence[known.Use], kind: str | None) -> tuple[Decimal | None, Decimal | None]:
    """The first and last value of the dial; none when more than one dial was read."""
    if len(uses) == 1:
        (only,) = uses
        return (only.value_from, only.value_to) if only.kind == kind else (None, None)
    dials = sorted((use for use in uses if use.kind == kind), key=lambda use: use.to_at)
    if not dials or len({use.register_id for use in dials}) > 1:
        return None, None
    return dials[0].value_from, dials[-1].value_to
