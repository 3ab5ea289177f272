"""What happens to a debt that stays: steps taken, proposals to disconnect, disputes, the rules."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db import (
    Base,
    BigId,
    Json,
    Money,
    UtcDateTime,
    created_at_column,
    id_column,
    one_of,
    only,
)

PROPOSAL_REASONS = ("dunning", "prepaid")
PROPOSAL_STATES = ("proposed", "ordered", "withdrawn", "done")
OPEN_PROPOSAL = "state IN ('proposed', 'ordered')"


class DunningStep(Base):
    """A step of the ladder that was taken for a bill: once for ever.

    ``amount`` is what was open then and ``fee`` the late fee so far; ``cut_from`` the first day on
    which the supply may be cut.
    """

    __tablename__ = "dunning_step"
    __table_args__ = (
        Index("uq_dunning_step_once", "bill_id", "step", unique=True),
        Index("ix_dunning_step_account", "account_id", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"))
    step: Mapped[str] = mapped_column(String(24))
    day: Mapped[date] = mapped_column()
    overdue_days: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Money)
    fee: Mapped[Decimal] = mapped_column(Money)
    cut_from: Mapped[date | None] = mapped_column()


class DunningRun(Base):
    """How far the ladder of a day has come: accounts up to this id; no id."""

    __tablename__ = "dunning_run"

    day: Mapped[date] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    through_account_id: Mapped[int] = mapped_column(BigId, default=0)
    steps: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DisconnectProposal(Base):
    """A proposal to cut an account's supply, for arrears or a used-up prepayment.

    An account has one open proposal at most; a payment withdraws it. ``planned_at`` is when the cut
    of an ordered one is planned.
    """

    __tablename__ = "disconnect_proposal"
    __table_args__ = (
        CheckConstraint(one_of("reason", PROPOSAL_REASONS), name="reason"),
        CheckConstraint(one_of("state", PROPOSAL_STATES), name="state"),
        Index("uq_disconnect_proposal_open", "account_id", unique=True, **only(OPEN_PROPOSAL)),
        Index("ix_disconnect_proposal_account", "account_id", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    reason: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(10), default="proposed")
    amount: Mapped[Decimal] = mapped_column(Money)
    detail: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    planned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(BigId)
    why: Mapped[str | None] = mapped_column(String(255))


class Dispute(Base):
    """A customer contests a bill, or without one all of his debt: no step is taken meanwhile."""

    __tablename__ = "dispute"
    __table_args__ = (Index("ix_dispute_open", "account_id", **only("closed_at IS NULL")),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    reason: Mapped[str] = mapped_column(String(255))
    opened_by_id: Mapped[int | None] = mapped_column(BigId)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(BigId)
    outcome: Mapped[str | None] = mapped_column(String(255))


class DuesRules(Base):
    """The operator's own rules as data; the newest row is in force, without one the defaults."""

    __tablename__ = "dues_rules"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    definition: Mapped[dict[str, Any]] = mapped_column(Json)
    staff_id: Mapped[int | None] = mapped_column(BigId)
