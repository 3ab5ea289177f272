"""What has to be known to issue bills as a set, read with one statement per subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

import orjson
from sqlalchemy import Text, and_, bindparam, case, cast, func, literal_column, select
from sqlalchemy.orm import aliased

from server.accounts.models import Account, Contact
from server.billing.models import AccountBalance, TariffVersion, UsageYear
from server.billing.models import Tariff as TariffRow
from server.billing.rules.tariff import Tariff, Version, parse
from server.db import Session, among, among_texts, many_ids, many_texts, run
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.rules.findings import ESTIMATE_QUALITIES


@dataclass(frozen=True, slots=True)
class BilledAccount:
    """An account as far as billing needs it."""

    id: int
    account_no: str
    customer_id: int
    account_class: str
    tariff_code: str
    household: int | None
    supplied_since: date | None


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
    quality: str = "regular"

    @property
    def estimated(self) -> bool:
        """Whether one of its readings was not read."""
        return self.quality in ESTIMATE_QUALITIES


@dataclass(frozen=True, slots=True)
class Phone:
    """A default contact's phone, or the e-mail address of one without."""

    contact_id: int
    phone: str
    language: str


# --- statements, built once ---------------------------------------------------------------


_previous = aliased(Reading)

# Literal words, so that the index on just these rows can be used.
_unbilled = and_(
    among(Consumption.service_point_id, many_ids("point_ids")),
    Consumption.status == literal_column("'active'"),
    Consumption.bill_id.is_(None),
)

_ACCOUNTS = (
    select(
        Account.id,
        Account.account_no,
        Account.customer_id,
        Account.account_class,
        Account.tariff_code,
        Account.household,
        Account.supplied_since,
    )
    .where(Account.id.in_(select(Consumption.account_id).where(_unbilled)))
    .order_by(Account.id)
    .with_for_update(key_share=True)
)

_USES = (
    select(
        Consumption.id,
        Consumption.account_id,
        Consumption.register_kind,
        Consumption.from_at,
        Consumption.to_at,
        Consumption.quantity,
        Consumption.reading_id,
        Reading.register_id,
        _previous.value,
        Reading.value,
        ReadOrder.period,
        Reading.quality,
    )
    .select_from(Consumption)
    .join(Reading, Reading.id == Consumption.reading_id)
    .join(_previous, _previous.id == Consumption.previous_reading_id)
    .outerjoin(ReadOrder, ReadOrder.id == Reading.order_id)
    .where(_unbilled)
    .order_by(Consumption.to_at, Consumption.id)
)

_VERSIONS = (
    select(
        TariffRow.code,
        TariffVersion.id,
        TariffVersion.valid_from,
        TariffVersion.valid_to,
        cast(TariffVersion.definition, Text),
    )
    .select_from(TariffVersion)
    .join(TariffRow, TariffRow.id == TariffVersion.tariff_id)
    .where(among_texts(TariffRow.code, many_texts("codes")))
)

_YEARS = select(UsageYear.account_id, UsageYear.year, UsageYear.quantity).where(
    among(UsageYear.account_id, many_ids("ids")), UsageYear.year >= bindparam("first_year")
)

_BALANCES = select(
    AccountBalance.account_id, AccountBalance.balance, AccountBalance.last_line_id
).where(among(AccountBalance.account_id, many_ids("ids")), AccountBalance.unit == bindparam("unit"))

# Whoever has no phone is written to; a longer address would not fit into the key of a message.
_ADDRESS = func.coalesce(Contact.phone, case((func.length(Contact.email) <= 120, Contact.email)))
_CONTACTS = (
    select(Contact.customer_id, Contact.id, _ADDRESS, Contact.language)
    .where(
        among(Contact.customer_id, many_ids("ids")),
        Contact.is_default.is_(True),
        _ADDRESS.is_not(None),
    )
    .order_by(Contact.id)
)


# --- reading ------------------------------------------------------------------------------


def lock_accounts(session: Session, point_ids: Collection[int]) -> dict[int, BilledAccount]:
    """The accounts that have something unbilled at these points, locked in the order of ids."""
    if not point_ids:
        return {}
    rows = run(session, _ACCOUNTS, {"point_ids": sorted(point_ids)})
    return {row[0]: BilledAccount(*row) for row in rows}


def load_uses(session: Session, point_ids: Collection[int]) -> list[Use]:
    """Everything unbilled at these points, the earliest first."""
    return [Use(*row) for row in run(session, _USES, {"point_ids": sorted(point_ids)})]


def load_versions(session: Session, codes: Collection[str]) -> dict[str, list[Version]]:
    """Every version of these tariffs, by the code of the tariff."""
    versions: dict[str, list[Version]] = defaultdict(list)
    rows = run(session, _VERSIONS, {"codes": sorted(codes)})
    for code, version_id, start, end, definition in rows:
        versions[code].append(Version(version_id, start, end, _parsed(definition)))
    return versions


@lru_cache(maxsize=1024)
def _parsed(definition: str) -> Tariff:
    """A definition is the same for hundreds of thousands of bills."""
    return parse(orjson.loads(definition))


def load_years(
    session: Session, account_ids: Iterable[int], first_year: int
) -> dict[int, dict[int, Decimal]]:
    """What each account has used in each calendar year from a year on."""
    rows = run(session, _YEARS, {"ids": sorted(account_ids), "first_year": first_year})
    years: dict[int, dict[int, Decimal]] = defaultdict(dict)
    for account_id, year, quantity in rows:
        years[account_id][year] = quantity
    return years


def load_balances(
    session: Session, account_ids: Iterable[int], unit: str
) -> dict[int, tuple[Decimal, int]]:
    """The (balance, last line) of accounts that have one."""
    rows = run(session, _BALANCES, {"ids": sorted(account_ids), "unit": unit})
    return {account_id: (balance, line) for account_id, balance, line in rows}


def load_contacts(session: Session, customer_ids: Iterable[int]) -> dict[int, list[Phone]]:
    """The default contacts with a phone or else an e-mail address, by customer."""
    phones: dict[int, list[Phone]] = defaultdict(list)
    for customer_id, contact_id, phone, language in run(
        session, _CONTACTS, {"ids": sorted(customer_ids)}
    ):
        if phone:
            phones[customer_id].append(Phone(contact_id, phone, language))
    return phones
