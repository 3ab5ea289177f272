"""Everything an agent needs to know of one account, read with a fixed number of statements.

Each part stands under its own right, within that right's own scope, and is None without it. Long
lists are cut (``Cut.more``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, select

from server import clock
from server.accounts.models import Account, Contact, Customer
from server.audit import AuditEvent
from server.billing.models import AccountBalance
from server.db import Session
from server.desk.account import dues as owed
from server.desk.account import field, money, talk, usage
from server.desk.account.cut import Cut, cut
from server.desk.account.reach import Reach
from server.errors import NotFound
from server.identity.actor import Actor
from server.operator import current
from server.rounds.scope import Scope

CONTACTS = 20
TRAIL = 10
PARTS = ("bills", "readings", "review", "messages", "captures", "dues", "payment")
"""Resources whose right to view opens parts of the page."""


@dataclass(frozen=True)
class Person:
    """Somebody to reach, and what his phone refuses (None without the right to see messages)."""

    id: int
    name: str
    kind: str
    phone: str | None
    email: str | None
    language: str
    verified: bool
    is_default: bool
    refuses: Sequence[talk.Refused] | None


@dataclass(frozen=True)
class Act:
    """Something that somebody did to the account."""

    actor: str
    action: str
    at: datetime
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Overview:
    """One account from every side; a part the person may not see is None."""

    account: Account
    customer: Customer
    balance: Decimal
    currency: str
    as_of: datetime
    contacts: Cut[Person]
    points: Cut[field.Point]
    months: Sequence[usage.Month] | None
    year_use: Decimal | None
    bills: Cut[money.Billed] | None
    readings: Cut[field.Read] | None
    orders: Cut[field.Order] | None
    waiting: Cut[field.Item] | None
    messages: Cut[talk.Said] | None
    dues: owed.Dues | None
    payments: Cut[owed.Paid] | None
    watched: owed.Watched | None
    hours: owed.Hours | None
    trail: Cut[Act]

    @property
    def owes(self) -> Decimal:
        """What is owed: nothing in credit."""
        return max(-self.balance, Decimal(0))


@dataclass(frozen=True)
class _Head:
    """The account, and which parts of it this person may see within their own scopes."""

    account: Account
    customer: Customer
    balance: Decimal
    currency: str
    open: Mapping[str, Scope]


def of_id(session: Session, actor: Actor, account_id: int) -> Overview:
    """The account of an id. Raises NotFound ``account.unknown``, also for what is not his to see."""
    return _overview(session, actor, Account.id == account_id)


def of_number(session: Session, actor: Actor, account_no: str) -> Overview:
    """The account of a number. Raises NotFound ``account.unknown``, as :func:`of_id`."""
    return _overview(session, actor, Account.account_no == account_no)


def _overview(session: Session, actor: Actor, which: ColumnElement[bool]) -> Overview:
    head = _head(session, actor, which)
    operator, now = current(session), clock.now()
    account_id, may = head.account.id, head.open
    points = field.points(session, account_id)
    ids = [point.id for point in points.rows]
    contacts = _contacts(session, head)
    phones = {person.phone for person in contacts.rows if person.phone}
    local = now.astimezone(operator.zone)
    counted = "bills" in may or "readings" in may
    reads = "readings" in may
    return Overview(
        account=head.account,
        customer=head.customer,
        balance=head.balance,
        currency=head.currency,
        as_of=now,
        contacts=contacts,
        points=points,
        months=usage.by_month(session, account_id, ids, operator.zone, now) if counted else None,
        year_use=money.year_use(session, account_id, local.year) if counted else None,
        bills=money.bills(session, account_id) if "bills" in may else None,
        readings=field.readings(session, points.rows, may.get("captures")) if reads else None,
        orders=field.orders(session, ids) if reads else None,
        waiting=field.waiting(session, may["review"], account_id, ids) if "review" in may else None,
        messages=talk.messages(session, actor, may["messages"], account_id, phones)
        if "messages" in may
        else None,
        dues=owed.dues(session, account_id) if "dues" in may else None,
        payments=owed.payments(session, account_id) if "payment" in may else None,
        watched=owed.watched(session, head.account) if counted else None,
        hours=owed.hours(session, account_id, now) if reads else None,
        trail=_trail(session, account_id),
    )


def _head(session: Session, actor: Actor, which: ColumnElement[bool]) -> _Head:
    """The account if it is visible, with one condition for the scope of each part."""
    reach = Reach(session, actor)
    seen = reach.require("accounts")
    scopes = {part: scope for part in PARTS if (scope := reach.of(part)) is not None}
    currency = current(session).currency
    row = session.execute(
        select(
            Account,
            Customer,
            AccountBalance.balance,
            *(scope.accounts().label(part) for part, scope in scopes.items()),
        )
        .join(Customer, Customer.id == Account.customer_id)
        .outerjoin(
            AccountBalance,
            and_(AccountBalance.account_id == Account.id, AccountBalance.unit == currency),
        )
        .where(which, seen.accounts())
    ).first()
    if row is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours to see.")
    # Review items and captures have scopes of their own, by team and by who captured.
    apart = ("review", "captures")
    allowed = {p: s for p, s in scopes.items() if p in apart or getattr(row, p)}
    return _Head(row.Account, row.Customer, row.balance or Decimal(0), currency, allowed)


def _contacts(session: Session, head: _Head) -> Cut[Person]:
    rows = session.scalars(
        select(Contact)
        .where(Contact.customer_id == head.customer.id)
        .order_by(Contact.is_default.desc(), Contact.id)
        .limit(CONTACTS + 1)
    ).all()
    told = "messages" in head.open
    refused = talk.refusals(session, {c.phone for c in rows if c.phone}) if told else {}
    people = (
        Person(
            id=c.id,
            name=c.name,
            kind=c.kind,
            phone=c.phone,
            email=c.email,
            language=c.language,
            verified=c.verified,
            is_default=c.is_default,
            refuses=refused.get(c.phone or "", []) if told else None,
        )
        for c in rows
    )
    return cut(people, CONTACTS)


def _trail(session: Session, account_id: int) -> Cut[Act]:
    """The newest acts on the account."""
    e = AuditEvent
    rows = session.execute(
        select(e.actor_name, e.action, e.created_at, e.after)
        .where(e.subject_type == "account", e.subject_id == str(account_id))
        .order_by(e.id.desc())
        .limit(TRAIL + 1)
    )
    return cut((Act(*row) for row in rows), TRAIL)
