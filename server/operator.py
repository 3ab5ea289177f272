"""The operator whose system this is: one row with name, currency, zone and the sync epoch."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import CheckConstraint, String, select
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Session, created_at_column, id_column, run
from server.errors import Conflict, Invalid, NotFound

LANGUAGES = ("zh_Hans", "en")
_CURRENT = "fieldbell_operator"
# Looking for them reads hundreds of files.
_known_zones = cache(available_timezones)


class Operator(Base):
    """Who runs this installation; ``epoch`` changes when a backup is restored."""

    __tablename__ = "operator"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    name: Mapped[str] = mapped_column(String(60))
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    time_zone: Mapped[str] = mapped_column(String(40), default="Asia/Shanghai")
    language: Mapped[str] = mapped_column(String(16), default="zh_Hans")
    epoch: Mapped[str] = mapped_column(String(24))
    is_demo: Mapped[bool] = mapped_column(default=False)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone as an object."""
        return ZoneInfo(self.time_zone)


def found(
    session: Session,
    name: str,
    currency: str,
    time_zone: str,
    language: str,
    *,
    is_demo: bool = False,
) -> Operator:
    """Make the one operator of a new system.

    Raises:
        Conflict: ``operator.exists`` when the system has been set up already.
        Invalid: ``operator.invalid`` with every bad field in the details.
    """
    if session.get(Operator, 1) is not None:
        raise Conflict("operator.exists", "This system has been set up already.")
    problems = {}
    if not name.strip():
        problems["name"] = "must not be empty"
    if len(currency) != 3 or not currency.isalpha() or not currency.isupper():
        problems["currency"] = "must be three capital letters such as CNY"
    if time_zone not in _known_zones():
        problems["time_zone"] = "is not a known zone such as Asia/Shanghai"
    if language not in LANGUAGES:
        problems["language"] = f"must be one of {', '.join(LANGUAGES)}"
    if problems:
        raise Invalid("operator.invalid", "The operator's data cannot be used.", problems)
    operator = Operator(
        id=1,
        name=name.strip(),
        currency=currency,
        time_zone=time_zone,
        language=language,
        epoch=secrets.token_hex(8),
        is_demo=is_demo,
    )
    session.add(operator)
    session.flush()
    return operator


@dataclass(frozen=True, slots=True)
class CurrentOperator:
    """The operator as read in a transaction; to change something, take the :class:`Operator`."""

    name: str
    currency: str
    time_zone: str
    language: str
    epoch: str
    is_demo: bool

    @property
    def zone(self) -> ZoneInfo:
        """The time zone as an object."""
        return ZoneInfo(self.time_zone)


_READ = select(*(getattr(Operator, field.name) for field in fields(CurrentOperator))).where(
    Operator.id == 1
)


def current(session: Session) -> CurrentOperator:
    """The operator of this system, read once in a transaction.

    Raises:
        NotFound: ``operator.missing`` before ``flask init``.
    """
    operator: CurrentOperator | None = session.info.get(_CURRENT)
    if operator is None:
        rows = run(session, _READ)
        if not rows:
            raise NotFound("operator.missing", "This system has not been set up: run `flask init`.")
        operator = session.info[_CURRENT] = CurrentOperator(*rows[0])
    return operator
