"""Reads about interval values: the hours of a point, what is missing, what was corrected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from server import clock
from server.accounts.models import Account, ServicePoint
from server.db import Session, among
from server.errors import NotFound
from server.identity.models import Staff
from server.metering.intervals.models import IntervalCorrection, IntervalReading, IntervalSource
from server.metering.intervals.rules import HOUR, Gap, gaps
from server.rounds.scope import Scope

_I, _S, _C = IntervalReading, IntervalSource, IntervalCorrection
CORRECTIONS = 20
LONGEST = timedelta(days=62)


@dataclass(frozen=True)
class State:
    """How far a point's values have come and which hours of a time are missing."""

    point_id: int
    point_no: str
    first_at: datetime
    last_at: datetime
    gaps: tuple[Gap, ...]

    @property
    def missing(self) -> int:
        """How many hours are missing."""
        return sum(gap.hours for gap in self.gaps)


@dataclass(frozen=True)
class Correction:
    """An hour whose value was changed."""

    point_no: str
    register: str
    at: datetime
    before: Decimal
    after: Decimal
    corrected_at: datetime
    source: str
    by: str | None


def states(
    session: Session, account_id: int, since: datetime, until: datetime | None = None
) -> list[State]:
    """The points of an account that send hourly values, with the hours missing since then.

    Hours count as missing up to ``until``, or to an hour before now: a value may be on its way.
    """
    rows = session.execute(
        select(_S.service_point_id, ServicePoint.point_no, _S.first_at, _S.last_at)
        .join(ServicePoint, ServicePoint.id == _S.service_point_id)
        .where(ServicePoint.account_id == account_id)
        .order_by(ServicePoint.point_no)
    ).all()
    end = until or clock.now().replace(minute=0, second=0, microsecond=0) - HOUR
    hours = _hours(session, [row[0] for row in rows], since, end)
    return [
        State(*row, tuple(gaps(hours.get(row[0], ()), max(since, row.first_at), end)))
        for row in rows
    ]


def _hours(
    session: Session, point_ids: Collection[int], since: datetime, until: datetime
) -> Mapping[int, list[datetime]]:
    """The hours that have a value of any register, ascending, by point."""
    found: dict[int, list[datetime]] = defaultdict(list)
    if not point_ids:
        return found
    rows = session.execute(
        select(_I.service_point_id, _I.read_at)
        .where(among(_I.service_point_id, point_ids), _I.read_at.between(since, until))
        .distinct()
        .order_by(_I.service_point_id, _I.read_at)
    )
    for point_id, at in rows:
        found[point_id].append(at)
    return found


def corrections(session: Session, account_id: int) -> list[Correction]:
    """The newest corrections of an account's hours."""
    rows = session.execute(
        select(
            ServicePoint.point_no,
            _I.register_kind,
            _I.read_at,
            _C.value_before,
            _C.value_after,
            _C.created_at,
            _C.source,
            Staff.name,
        )
        .join(_I, _I.id == _C.interval_reading_id)
        .join(ServicePoint, ServicePoint.id == _I.service_point_id)
        .outerjoin(Staff, Staff.id == _C.staff_id)
        .where(ServicePoint.account_id == account_id)
        .order_by(_C.id.desc())
        .limit(CORRECTIONS)
    )
    return [Correction(*row) for row in rows]


def visible_account(session: Session, seen: Scope, account_no: str) -> int:
    """The id of a visible account. Raises NotFound ``account.unknown``."""
    found = session.scalar(
        select(Account.id).where(Account.account_no == account_no, seen.accounts())
    )
    if found is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours to see.")
    return found
