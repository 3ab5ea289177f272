"""What an account owes today, and finding the account by what a customer at the counter knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import ColumnElement, or_, select

from server import clock
from server.accounts.models import Account, Contact, Customer, Installation, Meter, ServicePoint
from server.db import Session
from server.dues.models import DisconnectProposal, Dispute, DunningStep, Payment
from server.dues.service import known
from server.dues.service.known import ZERO

_MOST = 20


@dataclass(frozen=True, slots=True)
class Owing:
    """What is open of a bill today; ``fee`` is the late fee so far, charged or not."""

    bill_id: int
    bill_no: str
    period: str
    due: date
    total: Decimal
    principal: Decimal
    fee: Decimal
    overdue_days: int
    disputed: bool


@dataclass(frozen=True, slots=True)
class Position:
    """An account's dues: ``to_pay`` ends every debt today; ``credit`` is what nothing used yet."""

    balance: Decimal
    owing: tuple[Owing, ...]
    earlier: Decimal
    credit: Decimal

    @property
    def to_pay(self) -> Decimal:
        """What has to be paid today so that nothing is open."""
        wanted = sum((one.principal + one.fee for one in self.owing), self.earlier)
        return max(wanted - self.credit, ZERO)

    @property
    def overdue(self) -> Decimal:
        """What is open of bills whose due date has passed, late fees included."""
        return sum((o.principal + o.fee for o in self.owing if o.overdue_days), ZERO)


def position(session: Session, account_id: int) -> Position:
    """What an account owes today. ``earlier`` is debt without a bill: an opening balance."""
    today = clock.now().astimezone(known.zone_of(session)).date()
    rules = known.rules(session)
    debts = known.debts(session, [account_id]).get(account_id, [])
    balance = known.balances(session, [account_id]).get(account_id, ZERO)
    held = set(
        session.scalars(
            select(Dispute.bill_id).where(
                Dispute.account_id == account_id, Dispute.closed_at.is_(None)
            )
        )
    )
    owing = tuple(
        Owing(
            debt.bill_id,
            debt.bill_no,
            debt.period,
            debt.due,
            debt.total,
            debt.principal,
            debt.fee_so_far(today, rules.late_fee),
            max((today - debt.due).days, 0),
            None in held or debt.bill_id in held,
        )
        for debt in debts
    )
    charged = sum((debt.principal + debt.fee_open for debt in debts), ZERO)
    rest = balance + charged
    return Position(balance, owing, max(-rest, ZERO), max(rest, ZERO))


def find_accounts(
    session: Session, text: str, seen: ColumnElement[bool]
) -> Sequence[tuple[Account, Customer]]:
    """Visible accounts by number, phone, meter, receipt or the customer's name; the first few."""
    wanted = text.strip()
    if not wanted:
        return []
    digits = wanted.lstrip("+")
    by_phone = select(Contact.customer_id).where(
        Contact.phone.in_([wanted, f"+{digits}", f"+86{digits}"])
    )
    by_meter = (
        select(ServicePoint.account_id)
        .join(Installation, Installation.service_point_id == ServicePoint.id)
        .join(Meter, Meter.id == Installation.meter_id)
        .where(Meter.serial == wanted, Installation.removed_at.is_(None))
    )
    by_receipt = select(Payment.account_id).where(
        or_(Payment.receipt_no == wanted, Payment.device_receipt == wanted)
    )
    exact = session.execute(
        select(Account, Customer)
        .join(Customer, Customer.id == Account.customer_id)
        .where(
            seen,
            or_(
                Account.account_no == wanted,
                Account.customer_id.in_(by_phone),
                Account.id.in_(by_meter),
                Account.id.in_(by_receipt),
            ),
        )
        .order_by(Account.account_no)
        .limit(_MOST)
    ).all()
    if exact:
        return [(account, customer) for account, customer in exact]
    last = wanted + "\U0010ffff"
    by_name = session.execute(
        select(Account, Customer)
        .join(Customer, Customer.id == Account.customer_id)
        .where(
            seen, or_(Customer.name.between(wanted, last), Account.account_no.between(wanted, last))
        )
        .order_by(Account.account_no)
        .limit(_MOST)
    ).all()
    return [(account, customer) for account, customer in by_name]


@dataclass(frozen=True, slots=True)
class Chased:
    """What was done about an account's debts."""

    steps: Sequence[DunningStep]
    disputes: Sequence[Dispute]
    proposals: Sequence[DisconnectProposal]


def chased(session: Session, account_id: int) -> Chased:
    """The steps, disputes and proposals of an account, the newest first."""
    return Chased(
        _newest(session, DunningStep, account_id),
        _newest(session, Dispute, account_id),
        _newest(session, DisconnectProposal, account_id),
    )


_M = TypeVar("_M", DunningStep, Dispute, DisconnectProposal)


def _newest(session: Session, model: type[_M], account_id: int) -> Sequence[_M]:
    listed = select(model).where(model.account_id == account_id).order_by(model.id.desc())
    return session.scalars(listed.limit(50)).all()
