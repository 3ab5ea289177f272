"""Bank files: each file once, each row with what became of it."""

from __future__ import annotations

from datetime import datetime
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

OUTCOMES = ("matched", "wrong_amount", "duplicate", "conflict", "unknown_account", "invalid")


class BankFile(Base):
    """A file of payments that a bank sent; ``sha256`` is that of its bytes, so it comes once."""

    __tablename__ = "bank_file"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    name: Mapped[str] = mapped_column(String(160))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    rows: Mapped[int] = mapped_column()
    staff_id: Mapped[int | None] = mapped_column(BigId)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BankRow(Base):
    """A row of a bank file; without an outcome it has not been looked at yet.

    ``fields`` holds what else the file says, ``problem`` why it is invalid.
    """

    __tablename__ = "bank_row"
    __table_args__ = (
        CheckConstraint(f"outcome IS NULL OR {one_of('outcome', OUTCOMES)}", name="outcome"),
        Index("uq_bank_row_position", "bank_file_id", "position", unique=True),
        Index("ix_bank_row_waiting", "bank_file_id", **only("outcome IS NULL")),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    bank_file_id: Mapped[int] = mapped_column(ForeignKey("bank_file.id"))
    position: Mapped[int] = mapped_column()
    reference: Mapped[str | None] = mapped_column(String(100))
    account_no: Mapped[str | None] = mapped_column(String(40))
    amount: Mapped[Decimal | None] = mapped_column(Money)
    fields: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    outcome: Mapped[str | None] = mapped_column(String(16))
    problem: Mapped[str | None] = mapped_column(String(160))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
