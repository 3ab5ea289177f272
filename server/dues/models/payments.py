"""Payments, what they settle, late fees that were charged, and refunds."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid
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

CHANNELS = ("counter", "field", "api", "bank")
METHODS = ("cash", "card", "cheque", "transfer", "wallet")
PAYMENT_STATUSES = ("received", "suspense", "reversed")
PARTS = ("principal", "fee", "refund")
REFUND_STATUSES = ("asked", "paid", "refused")


class Payment(Base):
    """Money that came in, by whatever road; ``account_id`` is none while it is in suspense.

    ``external_ref`` names the payment where it was made and exists once for ever; ``content_hash``
    is that of what was said with it. ``paid_at`` is when the customer paid and decides about late
    fees; the journal is posted when we learned of it. ``device_receipt`` is the number a handheld
    printed, ``handover_id`` says when a rep's cash reached a till.
    """

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint(one_of("channel", CHANNELS), name="channel"),
        CheckConstraint(one_of("method", METHODS), name="method"),
        CheckConstraint(one_of("status", PAYMENT_STATUSES), name="status"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(account_id IS NULL) <= (status <> 'received')", name="whose"),
        Index("ix_payment_account", "account_id", "id"),
        Index("ix_payment_till", "till_session_id"),
        Index("ix_payment_suspense", "id", **only("status = 'suspense'")),
        Index(
            "ix_payment_in_hand",
            "staff_id",
            **only("channel = 'field' AND method = 'cash' AND handover_id IS NULL"),
        ),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    receipt_no: Mapped[str] = mapped_column(String(24), unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    channel: Mapped[str] = mapped_column(String(8))
    method: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(8), default="received")
    amount: Mapped[Decimal] = mapped_column(Money)
    unit: Mapped[str] = mapped_column(String(3))
    external_ref: Mapped[str] = mapped_column(String(120), unique=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    paid_at: Mapped[datetime] = mapped_column(UtcDateTime)
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    payer: Mapped[str | None] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(String(255))
    given_account_no: Mapped[str | None] = mapped_column(String(40))
    device_receipt: Mapped[str | None] = mapped_column(String(24), unique=True)
    capture_uuid: Mapped[UUID | None] = mapped_column(Uuid, unique=True)
    staff_id: Mapped[int | None] = mapped_column(BigId)
    till_session_id: Mapped[int | None] = mapped_column(ForeignKey("till_session.id"))
    handover_id: Mapped[int | None] = mapped_column(ForeignKey("cash_handover.id"))
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))


class Allocation(Base):
    """Part of a credit that settles part of a bill, or leaves as a refund; never changed.

    A row without payment settles from credit that came otherwise (an opening balance, a credit
    note). A released allocation has a mirrored row with ``releases_id``; ``day`` is when the debt
    ended for late fees: that of the payment, or of the day credit was used.
    """

    __tablename__ = "allocation"
    __table_args__ = (
        CheckConstraint(one_of("part", PARTS), name="part"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("(part = 'refund') = (bill_id IS NULL)", name="subject"),
        CheckConstraint("(amount < 0) <= (releases_id IS NOT NULL)", name="release"),
        Index("ix_allocation_account", "account_id", "id"),
        Index("ix_allocation_bill", "bill_id"),
        Index("ix_allocation_payment", "payment_id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    part: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(Money)
    day: Mapped[date] = mapped_column()
    releases_id: Mapped[int | None] = mapped_column(ForeignKey("allocation.id"), unique=True)


class LateFee(Base):
    """A late fee that was charged on a bill, or (below zero) taken back; never changed.

    ``through`` is the day up to which the bill's fee has been charged; ``detail`` keeps the spans it
    was computed from, so that it can be explained for ever.
    """

    __tablename__ = "late_fee"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_late_fee_account", "account_id"),
        Index("ix_late_fee_bill", "bill_id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"))
    through: Mapped[date] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Money)
    detail: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))


class Refund(Base):
    """Credit that goes back to the customer; above a limit a second person says yes first."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint(one_of("status", REFUND_STATUSES), name="status"),
        CheckConstraint(one_of("method", METHODS), name="method"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(status = 'paid') = (journal_id IS NOT NULL)", name="journal"),
        Index("ix_refund_account", "account_id"),
        Index("ix_refund_asked", "id", **only("status = 'asked'")),
        Index("ix_refund_till", "till_session_id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[Decimal] = mapped_column(Money)
    method: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(8), default="asked")
    asked_by_id: Mapped[int | None] = mapped_column(BigId)
    decided_by_id: Mapped[int | None] = mapped_column(BigId)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    till_session_id: Mapped[int | None] = mapped_column(ForeignKey("till_session.id"))
    journal_id: Mapped[int | None] = mapped_column(ForeignKey("journal.id"))
