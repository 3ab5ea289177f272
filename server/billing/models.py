"""Tables of billing: tariffs and their versions, bills, the ledger and what is cached from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

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
)

BILL_STATUSES = ("issued", "cancelled")
BILL_KINDS = ("bill", "cancellation", "credit_note")
PERIOD_STATUSES = ("open", "closed")
RUN_STATUSES = ("running", "done", "stopped")


_CREDITS = text("credits_id IS NOT NULL")
_RUNNING = text("status = 'running'")


class Tariff(Base):
    """A list of prices; what it charges is in its versions."""

    __tablename__ = "tariff"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(120))


class TariffVersion(Base):
    """The prices of a tariff from a day to a day (both included; no end: still valid)."""

    __tablename__ = "tariff_version"
    __table_args__ = (
        Index("uq_tariff_version_from", "tariff_id", "valid_from", unique=True),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="period"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    tariff_id: Mapped[int] = mapped_column(ForeignKey("tariff.id"))
    valid_from: Mapped[date] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()
    definition: Mapped[dict[str, Any]] = mapped_column(Json)


class Bill(Base):
    """What an account was charged for a time, with its frozen lines.

    The period is the days from ``period_from`` to ``period_to``, both included.
    ``balance_after`` is the account's balance when the bill was issued, in the customer's eyes.
    ``kind`` tells a bill from its cancellation (the same lines with the other sign, ``cancels_id``)
    and from a credit note on it (``credits_id``); ``replaces_id`` is the cancelled bill that this one
    was issued for. ``estimated`` when a reading of it is an estimate.
    """

    __tablename__ = "bill"
    __table_args__ = (
        CheckConstraint(one_of("status", BILL_STATUSES), name="status"),
        CheckConstraint(one_of("kind", BILL_KINDS), name="kind"),
        CheckConstraint("(kind = 'cancellation') = (cancels_id IS NOT NULL)", name="cancels"),
        CheckConstraint("(kind = 'credit_note') = (credits_id IS NOT NULL)", name="credits"),
        CheckConstraint("period_to >= period_from", name="period"),
        Index("ix_bill_account", "account_id", "id"),
        Index("ix_bill_credits", "credits_id", sqlite_where=_CREDITS, postgresql_where=_CREDITS),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    bill_no: Mapped[str] = mapped_column(String(24), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    period: Mapped[str] = mapped_column(String(7))
    period_from: Mapped[date] = mapped_column()
    period_to: Mapped[date] = mapped_column()
    status: Mapped[str] = mapped_column(String(10), default="issued", index=True)
    quantity: Mapped[Decimal] = mapped_column(Quantity)
    total: Mapped[Decimal] = mapped_column(Money)
    balance_after: Mapped[Decimal] = mapped_column(Money)
    due: Mapped[date] = mapped_column()
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(12), default="bill")
    estimated: Mapped[bool] = mapped_column(default=False)
    cancels_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"), unique=True)
    credits_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"), unique=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("bill_run.id"))
    reason: Mapped[str | None] = mapped_column(String(255))
    issued_by_id: Mapped[int | None] = mapped_column(BigId)
    tariff_version_id: Mapped[int] = mapped_column(ForeignKey("tariff_version.id"))


class BillLine(Base):
    """One line of a bill, for ever: quantity × price = amount by the rules of a tariff version.

    ``usage_year`` is the calendar year whose use the quantity counts for, none when it does not
    count; ``register_kind`` is ``sum`` for the time-of-use registers taken together.
    """

    __tablename__ = "bill_line"
    __table_args__ = (Index("uq_bill_line_position", "bill_id", "position", unique=True),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"))
    position: Mapped[int] = mapped_column()
    component: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str | None] = mapped_column(String(12))
    tariff_version_id: Mapped[int | None] = mapped_column(ForeignKey("tariff_version.id"))
    days: Mapped[int | None] = mapped_column()
    register_kind: Mapped[str | None] = mapped_column(String(8))
    usage_year: Mapped[int | None] = mapped_column()
    quantity: Mapped[Decimal] = mapped_column(Quantity)
    price: Mapped[Decimal] = mapped_column(Quantity)
    amount: Mapped[Decimal] = mapped_column(Money)
    cumulative_before: Mapped[Decimal] = mapped_column(Quantity)
    reading_from: Mapped[Decimal | None] = mapped_column(Quantity)
    reading_to: Mapped[Decimal | None] = mapped_column(Quantity)


class UsageYear(Base):
    """What an account has used in a calendar year; ``opening`` of it before this system.

    ``quantity`` includes ``opening`` and is what the tiers of the year are filled with. No id.
    """

    __tablename__ = "usage_year"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    opening: Mapped[Decimal] = mapped_column(Quantity, default=Decimal(0))
    quantity: Mapped[Decimal] = mapped_column(Quantity, default=Decimal(0))


class Journal(Base):
    """One entry of the ledger; ``source_key`` makes posting the same thing twice impossible."""

    __tablename__ = "journal"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    source_key: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(24))
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reverses_id: Mapped[int | None] = mapped_column(ForeignKey("journal.id"), unique=True)


class LedgerLine(Base):
    """One side of a journal: an account of the chart, whose it is, the unit, debit or credit."""

    __tablename__ = "ledger_line"
    __table_args__ = (
        CheckConstraint("debit >= 0 AND credit >= 0 AND (debit = 0 OR credit = 0)", name="side"),
        Index("ix_ledger_line_journal", "journal_id"),
        Index("ix_ledger_line_account", "account_id", "unit", "id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))
    ledger: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    unit: Mapped[str] = mapped_column(String(40))
    debit: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    credit: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))


class AccountBalance(Base):
    """The cached balance of an account: Σ credits − Σ debits of its receivable; below 0: owes.

    ``last_line_id`` is the newest ledger line in it. No id.
    """

    __tablename__ = "account_balance"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    unit: Mapped[str] = mapped_column(String(40), primary_key=True)
    balance: Mapped[Decimal] = mapped_column(Money)
    last_line_id: Mapped[int] = mapped_column(BigId)


class AccountingPeriod(Base):
    """A month (YYYY-MM) of the operator's calendar; nothing is posted into a closed one.

    A month without a row is open.
    """

    __tablename__ = "accounting_period"
    __table_args__ = (CheckConstraint(one_of("status", PERIOD_STATUSES), name="status"),)

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    period: Mapped[str] = mapped_column(String(7), unique=True)
    status: Mapped[str] = mapped_column(String(8), default="open")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(BigId)


class BillRun(Base):
    """Billing a period's readings: of one route, or of all routes that are not billed on reading.

    ``estimate`` fills missing readings. One run of a scope is under way at most; whoever starts it
    again goes on with it. ``scope`` is ``route:<id>`` or ``all``.
    """

    __tablename__ = "bill_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        Index(
            "uq_bill_run_running",
            "period",
            "scope",
            unique=True,
            sqlite_where=_RUNNING,
            postgresql_where=_RUNNING,
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    period: Mapped[str] = mapped_column(String(7))
    scope: Mapped[str] = mapped_column(String(32))
    estimate: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(8), default="running")
    started_by_id: Mapped[int | None] = mapped_column(BigId)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BillRunChunk(Base):
    """A part of a bill run: accounts by their ids, billed in one transaction that marks it done.

    The counts are of accounts with points in the scope, of what was issued for them, and of those
    that wait for a reading.
    """

    __tablename__ = "bill_run_chunk"
    __table_args__ = (
        Index("uq_bill_run_chunk_number", "run_id", "number", unique=True),
        Index("ix_bill_run_chunk_open", "run_id", "done_at", "number"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    run_id: Mapped[int] = mapped_column(ForeignKey("bill_run.id"))
    number: Mapped[int] = mapped_column()
    first_account_id: Mapped[int] = mapped_column(BigId)
    last_account_id: Mapped[int] = mapped_column(BigId)
    accounts: Mapped[int] = mapped_column()
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    bills: Mapped[int] = mapped_column(default=0)
    total: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    estimates: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)


APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "bill": (
        "created_at",
        "bill_no",
        "account_id",
        "period",
        "period_from",
        "period_to",
        "quantity",
        "total",
        "balance_after",
        "due",
        "issued_at",
        "kind",
        "estimated",
        "cancels_id",
        "credits_id",
        "replaces_id",
        "run_id",
        "reason",
        "issued_by_id",
        "tariff_version_id",
    ),
    "bill_line": (
        "bill_id",
        "position",
        "component",
        "kind",
        "tariff_version_id",
        "days",
        "register_kind",
        "usage_year",
        "quantity",
        "price",
        "amount",
        "cumulative_before",
        "reading_from",
        "reading_to",
    ),
    "journal": ("created_at", "source_key", "kind", "posted_at", "reverses_id"),
    "ledger_line": (
        "created_at",
        "journal_id",
        "ledger",
        "account_id",
        "unit",
        "debit",
        "credit",
    ),
    "tariff_version": ("tariff_id", "valid_from", "definition"),
}
"""Content columns that triggers keep as they were written; the migration makes the triggers."""
