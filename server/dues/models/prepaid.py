"""Tables of balances that are watched: rules of a class, how far each was told, alarms, terminals."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.accounts.models import ACCOUNT_MODES
from server.db import (
    Base,
    BigId,
    Json,
    Money,
    Quantity,
    UtcDateTime,
    created_at_column,
    id_column,
    one_of,
    only,
)
from server.dues.rules.prepaid import BASES, CUTS

ALARM_KINDS = ("low", "share", "days")
CALL_STATES = ("waiting", "answered", "failed")


class BalanceRule(Base):
    """What is done about low balances of an account class and mode; no row: the defaults.

    ``low_balance`` is the threshold of the notice (none: no notice), ``cut`` what happens below
    ``cut_below``; ``alarm_steps`` are shares of the last top-up or days of use left, as text.
    """

    __tablename__ = "balance_rule"
    __table_args__ = (
        CheckConstraint(one_of("mode", ACCOUNT_MODES), name="mode"),
        CheckConstraint(one_of("cut", CUTS), name="cut"),
        CheckConstraint(f"alarm_basis IS NULL OR {one_of('alarm_basis', BASES)}", name="basis"),
        Index("uq_balance_rule_class", "account_class", "mode", unique=True),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_class: Mapped[str] = mapped_column(String(40))
    mode: Mapped[str] = mapped_column(String(8))
    low_balance: Mapped[Decimal | None] = mapped_column(Money)
    cut: Mapped[str] = mapped_column(String(10), default="propose")
    cut_below: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    alarm_basis: Mapped[str | None] = mapped_column(String(8))
    alarm_steps: Mapped[list[str]] = mapped_column(Json, default=list)


class BalanceWatch(Base):
    """How far an account's ledger was looked at, and what its customer was told; no id.

    ``line_id`` is the newest line seen and ``balance`` the balance with it. ``told`` says that the
    low balance was told since the balance was last at or above the threshold. ``step`` counts the
    alarm steps told since the last top-up, ``top_up`` of ledger line ``top_up_line_id``.
    """

    __tablename__ = "balance_watch"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    line_id: Mapped[int] = mapped_column(BigId)
    balance: Mapped[Decimal] = mapped_column(Money)
    told: Mapped[bool] = mapped_column()
    step: Mapped[int] = mapped_column()
    top_up: Mapped[Decimal | None] = mapped_column(Money)
    top_up_line_id: Mapped[int | None] = mapped_column(BigId)
    looked_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BalanceAlarm(Base):
    """A low balance that was told: what stood against what; never changed.

    ``key`` names the crossing or the step after a top-up, so that it is told once. ``remaining`` is
    the balance less the estimated charge that is not billed yet.
    """

    __tablename__ = "balance_alarm"
    __table_args__ = (
        CheckConstraint(one_of("kind", ALARM_KINDS), name="kind"),
        Index("ix_balance_alarm_account", "account_id", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    key: Mapped[str] = mapped_column(String(80), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str] = mapped_column(String(8))
    balance: Mapped[Decimal] = mapped_column(Money)
    remaining: Mapped[Decimal] = mapped_column(Money)
    threshold: Mapped[Decimal] = mapped_column(Quantity)
    measure: Mapped[Decimal] = mapped_column(Quantity)


class ChargeEstimate(Base):
    """What an account with hourly readings has used and not been billed, and what it costs; no id.

    From ``from_at`` to ``as_of``; ``problem`` says why there is no amount.
    """

    __tablename__ = "charge_estimate"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    as_of: Mapped[datetime] = mapped_column(UtcDateTime)
    quantity: Mapped[Decimal] = mapped_column(Quantity)
    amount: Mapped[Decimal | None] = mapped_column(Money)
    daily: Mapped[Decimal | None] = mapped_column(Money)
    missing: Mapped[int] = mapped_column()
    problem: Mapped[str | None] = mapped_column(String(60))
    estimated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoadTerminal(Base):
    """Where the load terminal of an account hears of its balance; ``secret`` is sealed."""

    __tablename__ = "load_terminal"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str] = mapped_column(String(400))
    active: Mapped[bool] = mapped_column(default=True)


class TerminalCall(Base):
    """A message to a load terminal: posted until it is answered, then never again.

    ``key`` travels with it, so that the terminal takes it once.
    """

    __tablename__ = "terminal_call"
    __table_args__ = (
        CheckConstraint(one_of("state", CALL_STATES), name="state"),
        Index("ix_terminal_call_due", "not_before", **only("state = 'waiting'")),
        Index("ix_terminal_call_terminal", "load_terminal_id", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    key: Mapped[str] = mapped_column(String(80), unique=True)
    load_terminal_id: Mapped[int] = mapped_column(ForeignKey("load_terminal.id"))
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer: Mapped[int | None] = mapped_column()
    error: Mapped[str | None] = mapped_column(String(160))
