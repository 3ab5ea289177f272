"""Pricing the unbilled use of accounts: tariff versions and years of use in, lines out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from server import review
from server.billing.rules.tariff import Charge, Tariff, YearUse, price, split_by_year
from server.billing.service import context as known
from server.db import Session


@dataclass(frozen=True, slots=True)
class Priced:
    """What the uses of an account cost: ``start`` to ``end`` are its days, both included.

    ``version`` is the tariff version of the last day, ``added`` what the bill adds to each
    calendar year of the account's use.
    """

    version: known.Version
    uses: list[known.Use]
    charge: Charge
    start: date
    end: date
    added: Mapping[int, Decimal]

    @property
    def quantity(self) -> Decimal:
        """What the bill charges for, in units of supply."""
        counted = self.version.tariff.counted
        kind = counted.register_kind if counted else "total"
        return sum((u.quantity for u in self.uses if u.kind == kind), Decimal(0))

    def line_rows(self, bill_id: int, now: datetime) -> list[dict[str, Any]]:
        """The rows of the bill's lines."""
        counted = self.version.tariff.counted
        rows = []
        for position, line in enumerate(self.charge.lines, start=1):
            first, last = _dial(self.uses, line.register_kind)
            fills = counted is not None and counted.code == line.component
            rows.append(
                {
                    "created_at": now,
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

        An account without a tariff that is valid on the last day gets a review item.
        """
        end = max(self._day(use.to_at) for use in uses)
        start = min(self._day(use.from_at) for use in uses)
        version = self._versions.valid(account.tariff_code, end)
        if version is None:
            self._no_tariff(account, end)
            return None
        charged = [use for use in uses if use.kind in version.tariff.register_kinds]
        if not charged:
            return None
        parts = self._year_uses(account.id, version.tariff, charged)
        counted = version.tariff.counted
        added = {
            part.year: part.quantity
            for part in parts
            if counted is not None and counted.register_kind == part.register_kind
        }
        first = min(start + timedelta(days=1), end)
        return Priced(version, charged, price(version.tariff, parts), first, end, added)

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

    def _year_uses(
        self, account_id: int, tariff: Tariff, uses: Sequence[known.Use]
    ) -> list[YearUse]:
        """The uses by calendar year, with what each year had before."""
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
            before = self._years.get((account_id, year), Decimal(0)) if is_counted else Decimal(0)
            found.append(YearUse(year, kind, quantity, before))
        return found


def _dial(uses: Sequence[known.Use], kind: str) -> tuple[Decimal | None, Decimal | None]:
    """The first and last value of the dial; none when more than one dial was read."""
    dials = sorted((use for use in uses if use.kind == kind), key=lambda use: use.to_at)
    if not dials or len({use.register_id for use in dials}) > 1:
        return None, None
    return dials[0].value_from, dials[-1].value_to
