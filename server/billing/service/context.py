"""What has to be known to issue bills as a set, read with one statement per subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, literal_column, select
from sqlalchemy.orm import aliased

from server.accounts.models import Account, Contact
from server.billing.models import AccountBalance, TariffVersion, UsageYear
from server.billing.models import Tariff as TariffRow
from server.billing.rules.tariff import Tariff, parse
from server.db import Session
from server.metering.models import Consumption, Reading, ReadOrder


@dataclass(frozen=True, slots=True)
class BilledAccount:
    """An account as far as billing needs it."""

    id: int
    account_no: str
    customer_id: int
    account_class: str
    tariff_code: str


@dataclass(frozen=True, slots=True)
class Use:
    """An unbilled use with the readings it lies between."""

    id: int
    account_id: int
    kind: str
    from_at: datetime
    to_at: datetime
    quantity: Decimal
    reading_id: int
    register_id: int | None
    value_from: Decimal | None
    value_to: Decimal | None
    period: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """A tariff version with its days (both included), ready to price with."""

    id: int
    valid_from: date
    valid_to: date | None
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the tariffs in use, by tariff code."""

    by_code: Mapping[str, tuple[Version, ...]]

    def valid(self, code: str, day: date) -> Version | None:
        """The version of a tariff that is valid on a day."""
        found = [
            version
            for version in self.by_code.get(code, ())
            if version.valid_from <= day and (version.valid_to is None or day <= version.valid_to)
        ]
        return max(found, key=lambda version: version.valid_from, default=None)


@dataclass(frozen=True, slots=True)
class Phone:
    """A default contact's phone."""

    contact_id: int
    phone: str
    language: str


def _unbilled(point_ids: Collection[int]) -> ColumnElement[bool]:
    """Literal words, so that the index on just these rows can be used."""
    return and_(
        Consumption.service_point_id.in_(sorted(point_ids)),
        Consumption.status == literal_column("'active'"),
        Consumption.bill_id.is_(None),
    )


def lock_accounts(session: Session, point_ids: Collection[int]) -> dict[int, BilledAccount]:
    """The accounts that have something unbilled at these points, locked in the order of ids."""
    if not point_ids:
        return {}
    rows = session.execute(
        select(
            Account.id,
            Account.account_no,
            Account.customer_id,
            Account.account_class,
            Account.tariff_code,
        )
        .where(Account.id.in_(select(Consumption.account_id).where(_unbilled(point_ids))))
        .order_by(Account.id)
        .with_for_update(key_share=True)
    )
    return {row[0]: BilledAccount(*row) for row in rows}


def load_uses(session: Session, point_ids: Collection[int]) -> list[Use]:
    """Everything unbilled at these points, the earliest first."""
    previous = aliased(Reading)
    rows = session.execute(
        select(
            Consumption.id,
            Consumption.account_id,
            Consumption.register_kind,
            Consumption.from_at,
            Consumption.to_at,
            Consumption.quantity,
            Consumption.reading_id,
            Reading.register_id,
            previous.value,
            Reading.value,
            ReadOrder.period,
        )
        .join(Reading, Reading.id == Consumption.reading_id)
        .join(previous, previous.id == Consumption.previous_reading_id)
        .outerjoin(ReadOrder, ReadOrder.id == Reading.order_id)
        .where(_unbilled(point_ids))
        .order_by(Consumption.to_at, Consumption.id)
    )
    return [Use(*row) for row in rows]


def load_versions(session: Session, codes: Collection[str]) -> Versions:
    """Every version of these tariffs."""
    rows = session.execute(
        select(
            TariffRow.code,
            TariffVersion.id,
            TariffVersion.valid_from,
            TariffVersion.valid_to,
            TariffVersion.definition,
        )
        .join(TariffRow, TariffRow.id == TariffVersion.tariff_id)
        .where(TariffRow.code.in_(sorted(codes)))
    )
    versions: dict[str, list[Version]] = defaultdict(list)
    for code, version_id, start, end, definition in rows:
        versions[code].append(Version(version_id, start, end, parse(definition)))
    return Versions({code: tuple(found) for code, found in versions.items()})


def load_years(
    session: Session, account_ids: Iterable[int], first_year: int
) -> dict[tuple[int, int], Decimal]:
    """What the accounts have used in each calendar year from a year on."""
    rows = session.execute(
        select(UsageYear.account_id, UsageYear.year, UsageYear.quantity).where(
            UsageYear.account_id.in_(sorted(account_ids)), UsageYear.year >= first_year
        )
    )
    return {(account_id, year): quantity for account_id, year, quantity in rows}


def load_balances(
    session: Session, account_ids: Iterable[int], unit: str
) -> dict[int, tuple[Decimal, int]]:
    """The (balance, last line) of accounts that have one."""
    rows = session.execute(
        select(
            AccountBalance.account_id, AccountBalance.balance, AccountBalance.last_line_id
        ).where(AccountBalance.account_id.in_(sorted(account_ids)), AccountBalance.unit == unit)
    )
    return {account_id: (balance, line) for account_id, balance, line in rows}


def load_contacts(session: Session, customer_ids: Iterable[int]) -> dict[int, list[Phone]]:
    """The default contacts with a phone, by customer."""
    rows = session.execute(
        select(Contact.customer_id, Contact.id, Contact.phone, Contact.language)
        .where(
            Contact.customer_id.in_(sorted(customer_ids)),
            Contact.is_default.is_(True),
            Contact.phone.is_not(None),
        )
        .order_by(Contact.id)
    )
    phones: dict[int, list[Phone]] = defaultdict(list)
    for customer_id, contact_id, phone, language in rows:
        if phone:
            phones[customer_id].append(Phone(contact_id, phone, language))
    return phones
