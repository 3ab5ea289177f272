"""What an account owes and paid, what was done about it, and how its balance is watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from server.accounts.models import Account
from server.db import Session
from server.desk.account.cut import Cut, cut
from server.dues.models import (
    BalanceAlarm,
    ChargeEstimate,
    DisconnectProposal,
    Dispute,
    DunningStep,
    Payment,
)
from server.dues.queries.accounts import Position, chased, position
from server.dues.rules.prepaid import Rule
from server.dues.service import prepaid_rules
from server.metering.intervals import queries as intervals

PAYMENTS = 8
ALARMS = 5
GAPS_OF = timedelta(days=7)


@dataclass(frozen=True)
class Dues:
    """What is owed today, bill by bill, and the steps, disputes and proposals, newest first."""

    position: Position
    steps: Sequence[DunningStep]
    disputes: Sequence[Dispute]
    proposals: Sequence[DisconnectProposal]

    @property
    def proposal(self) -> DisconnectProposal | None:
        """The proposal to disconnect that is open."""
        is_open = ("proposed", "ordered")
        return next((one for one in self.proposals if one.state in is_open), None)

    @property
    def dispute(self) -> Dispute | None:
        """A dispute that is open."""
        return next((one for one in self.disputes if one.closed_at is None), None)


@dataclass(frozen=True)
class Paid:
    """A payment in one line."""

    id: int
    receipt_no: str
    paid_at: datetime
    amount: Decimal
    channel: str
    method: str
    status: str


@dataclass(frozen=True)
class Watched:
    """How the balance is watched: the rule, what was told, and the charge that is not billed yet."""

    rule: Rule
    alarms: Sequence[BalanceAlarm]
    estimate: ChargeEstimate | None

    def remaining(self, balance: Decimal) -> Decimal | None:
        """The balance less the estimated charge; None without an estimate."""
        if self.estimate is None or self.estimate.amount is None:
            return None
        return balance - self.estimate.amount


@dataclass(frozen=True)
class Hours:
    """The points with hourly values, the hours missing of the last week, and corrections."""

    states: Sequence[intervals.State]
    corrections: Sequence[intervals.Correction]


def dues(session: Session, account_id: int) -> Dues:
    """What is owed and what was done about it."""
    found = chased(session, account_id)
    return Dues(
        position(session, account_id), found.steps[:10], found.disputes[:5], found.proposals[:5]
    )


def payments(session: Session, account_id: int) -> Cut[Paid]:
    """The newest payments."""
    p = Payment
    rows = session.execute(
        select(p.id, p.receipt_no, p.paid_at, p.amount, p.channel, p.method, p.status)
        .where(p.account_id == account_id)
        .order_by(p.id.desc())
        .limit(PAYMENTS + 1)
    )
    return cut((Paid(*row) for row in rows), PAYMENTS)


def watched(session: Session, account: Account) -> Watched:
    """How the balance is watched."""
    rule = prepaid_rules.load(session).of(
        account.account_class, account.mode, account.alert_threshold
    )
    alarms = session.scalars(
        select(BalanceAlarm)
        .where(BalanceAlarm.account_id == account.id)
        .order_by(BalanceAlarm.id.desc())
        .limit(ALARMS)
    ).all()
    return Watched(rule, alarms, session.get(ChargeEstimate, account.id))


def hours(session: Session, account_id: int, now: datetime) -> Hours:
    """The hourly values of a large customer."""
    since = now.replace(minute=0, second=0, microsecond=0) - GAPS_OF
    return Hours(
        intervals.states(session, account_id, since), intervals.corrections(session, account_id)
    )
