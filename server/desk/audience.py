"""Who is meant by a text: a person, a route's customers, a team, a class of accounts, a list of numbers.

An audience names each phone once. Accounts that cannot be reached and lines that hold no number are
counted, so that nobody believes everybody was told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import phonenumbers
from sqlalchemy import ColumnElement, exists, func, select

from server.accounts.models import Account, Contact, Customer, ServicePoint
from server.db import Session, among_texts
from server.errors import Invalid, NotFound
from server.identity.models import Staff
from server.identity.service import team_ids
from server.rounds.models import Route, RouteStop
from server.rounds.scope import Scope

REGION = "CN"
MOST = 100_000
"""What one text of the console may reach; more than that is announced (`notify.service.announce`)."""

_CELLS = re.compile(r"[,;\t，；、]")  # Chinese lists use their own commas
_SLICE = 5000


@dataclass(frozen=True)
class Recipient:
    """One phone, or e-mail address, and what is known of whom it belongs to."""

    phone: str
    name: str = ""
    language: str | None = None
    contact_id: int | None = None
    account_id: int | None = None


@dataclass(frozen=True)
class Audience:
    """The recipients; how many accounts or people have no phone, and which lines held no number."""

    recipients: tuple[Recipient, ...]
    unreachable: int = 0
    repeated: int = 0
    bad_lines: tuple[tuple[int, str], ...] = ()


def number(cell: str, region: str = REGION) -> str | None:
    """The phone number in what was typed, as E.164; None when there is none."""
    text = cell.strip()
    if not any(character.isdigit() for character in text):
        return None
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def read_list(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """The numbers of a pasted list or CSV, in order, and the lines (number, text) without any.

    A first line without digits is taken for a heading.
    """
    phones: list[str] = []
    bad: list[tuple[int, str]] = []
    for at, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or (at == 1 and not any(c.isdigit() for c in line)):
            continue
        found = [phone for cell in _CELLS.split(line) if (phone := number(cell)) is not None]
        phones += found
        if not found:
            bad.append((at, line.strip()[:40]))
    return phones, bad


def of_list(session: Session, seen: Scope, text: str) -> Audience:
    """Everybody on a pasted list; numbers of our contacts bring their language with them."""
    phones, bad = read_list(text)
    known = known_phones(session, seen, set(phones))
    found = _once(known.get(phone, Recipient(phone)) for phone in phones)
    return replace(found, bad_lines=tuple(bad))


def known_phones(session: Session, seen: Scope, phones: Collection[str]) -> dict[str, Recipient]:
    """What is known of phones: the contact and, of several accounts, the visible one made first."""
    found: dict[str, Recipient] = {}
    wanted = sorted(phones)
    for start in range(0, len(wanted), _SLICE):
        rows = session.execute(
            reachable(seen).where(among_texts(Contact.phone, wanted[start : start + _SLICE]))
        )
        for row in rows:
            found.setdefault(row.phone, recipient(row))
    return found


def of_accounts(session: Session, seen: Scope, account_nos: Sequence[str]) -> Audience:
    """The contacts of accounts by their numbers.

    Raises:
        NotFound: ``account.unknown`` for a number that does not exist or is not visible.
    """
    known = session.scalars(
        select(Account.account_no).where(
            among_texts(Account.account_no, account_nos), seen.accounts()
        )
    )
    missing = sorted(set(account_nos) - set(known))
    if missing:
        raise NotFound(
            "account.unknown",
            "There is no such account, or it is not yours to see.",
            {"account_no": missing[0]},
        )
    return _customers(session, seen, among_texts(Account.account_no, account_nos))


def of_route(session: Session, seen: Scope, route_id: int) -> Audience:
    """The customers along a route.

    Raises:
        NotFound: ``route.unknown``.
    """
    if session.scalar(select(Route.id).where(Route.id == route_id, seen.routes())) is None:
        raise NotFound("route.unknown", "There is no such route, or it is not yours to see.")
    on_route = exists(
        select(ServicePoint.id)
        .join(
            RouteStop,
            (RouteStop.subject_id == ServicePoint.id) & (RouteStop.kind == "service_point"),
        )
        .where(ServicePoint.account_id == Account.id, RouteStop.route_id == route_id)
        .correlate(Account)
    )
    return _customers(session, seen, on_route)


def of_class(session: Session, seen: Scope, account_class: str) -> Audience:
    """The customers of one class of accounts."""
    return _customers(session, seen, Account.account_class == account_class)


def of_team(session: Session, seen: Scope, unit_id: int) -> Audience:
    """The staff of a team and of the teams below it."""
    units = team_ids(session, unit_id)
    return _staff(session, seen, Staff.org_unit_id.in_(units))


def of_person(session: Session, seen: Scope, staff_id: int) -> Audience:
    """One member of staff."""
    return _staff(session, seen, Staff.id == staff_id)


Finder = Callable[[Session, Scope, str], Audience]


def _by_id(find: Callable[[Session, Scope, int], Audience]) -> Finder:
    def found(session: Session, seen: Scope, value: str) -> Audience:
        if not value.isdigit() or len(value) > 18:
            raise Invalid("message.whom", "Choose who is meant.")
        return find(session, seen, int(value))

    return found


def _by_account(session: Session, seen: Scope, value: str) -> Audience:
    numbers = [number for number in re.split(r"[\s,;]+", value.strip()) if number]
    if not numbers:
        raise Invalid("message.whom", "Choose who is meant.")
    return of_accounts(session, seen, numbers)


KINDS: dict[str, Finder] = {
    "account": _by_account,
    "list": of_list,
    "route": _by_id(of_route),
    "class": of_class,
    "team": _by_id(of_team),
    "staff": _by_id(of_person),
}
"""Who can be meant, and how each is found from one value of a form."""


def find(session: Session, seen: Scope, kind: str, value: str) -> Audience:
    """The audience a form asks for.

    Raises:
        Invalid: ``message.whom`` when nobody was chosen, ``message.too_many`` above :data:`MOST`.
        NotFound: ``account.unknown``, ``route.unknown``.
    """
    if kind not in KINDS or not value.strip():
        raise Invalid("message.whom", "Choose who is meant.")
    found = KINDS[kind](session, seen, value)
    if len(found.recipients) > MOST:
        raise Invalid(
            "message.too_many",
            f"At most {MOST} phones are texted at once.",
            {"count": len(found.recipients), "maximum": MOST},
        )
    return found


def reachable(seen: Scope) -> Any:
    """Contacts with a phone, or else an e-mail address, each with the accounts of its customer."""
    address = func.coalesce(Contact.phone, Contact.email)
    return (
        select(
            address.label("phone"),
            Customer.name,
            Contact.language,
            Contact.id.label("contact_id"),
            Account.id.label("account_id"),
        )
        .join(Customer, Customer.id == Contact.customer_id)
        .join(Account, Account.customer_id == Customer.id)
        .where(address.is_not(None), seen.accounts())
        .order_by(Account.id, Contact.phone.is_(None), Contact.is_default.desc(), Contact.id)
    )


def _customers(session: Session, seen: Scope, condition: ColumnElement[bool]) -> Audience:
    """For each open account that fits, the contact to reach first."""
    fitting = Account.status != "closed", condition
    rows = session.execute(reachable(seen).where(*fitting).limit(3 * MOST))
    first: dict[int, Recipient] = {}
    for row in rows:
        first.setdefault(row.account_id, recipient(row))
    accounts = session.scalar(
        select(func.count()).select_from(Account).where(seen.accounts(), *fitting)
    )
    found = _once(first.values())
    return replace(found, unreachable=(accounts or 0) - len(first))


def _staff(session: Session, seen: Scope, condition: ColumnElement[bool]) -> Audience:
    rows = session.execute(
        select(Staff.phone, Staff.name, Staff.language)
        .where(Staff.active.is_(True), seen.staff(), condition)
        .order_by(Staff.id)
        .limit(MOST + 1)
    ).all()
    found = _once(Recipient(row.phone, row.name, row.language) for row in rows if row.phone)
    return replace(found, unreachable=sum(1 for row in rows if not row.phone))


def recipient(row: Any) -> Recipient:
    """What a row of :func:`reachable` says."""
    return Recipient(row.phone, row.name, row.language, row.contact_id, row.account_id)


def _once(recipients: Iterable[Recipient]) -> Audience:
    """Each phone once: the first that names it stands."""
    kept: dict[str, Recipient] = {}
    total = 0
    for total, each in enumerate(recipients, start=1):  # noqa: B007 - the count is wanted after it
        kept.setdefault(each.phone, each)
    return Audience(tuple(kept.values()), repeated=total - len(kept))
