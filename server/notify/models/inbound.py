"""Tables of what phones send: the parts as they came, and the texts that people wrote."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, UtcDateTime, created_at_column, id_column, one_of

INBOUND_STATES = (
    "partial",  # some parts have not come yet
    "received",  # whole; waits for its command
    "handled",  # a command was carried out
    "refused",  # a command was understood and not carried out; `code` says why
    "unmatched",  # no command: for people to read
    "repeat",  # suspected to be `repeat_of_id` once more: shown, never carried out
    "incomplete",  # parts did not come in time: shown, never carried out
    "failed",  # carrying it out went wrong; `code` says how
)

# What people look at until somebody has: the predicate of an index, repeated literally in queries.
FOR_PEOPLE = "handled_at IS NULL AND state IN ('unmatched', 'incomplete', 'repeat', 'failed')"


class InboundMessage(Base):
    """A text from a phone: `arrived` of its `total` parts have come.

    `phone` and `destination` are E.164 where they can be; `damaged` says that octets or parts are
    missing from `text`; `masked` that secrets were taken out of it, or that it was forgotten with
    time. `open_key` names carrier account, numbers, reference and total while parts may still come.
    `reply_id` is our answer; `handled_at` is when a command or a person was done with it.
    """

    __tablename__ = "inbound_message"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    phone: Mapped[str] = mapped_column(String(20))
    destination: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    damaged: Mapped[bool] = mapped_column(default=False)
    masked: Mapped[bool] = mapped_column(default=False)
    total: Mapped[int]
    arrived: Mapped[int]
    open_key: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(String(60))
    command: Mapped[str | None] = mapped_column(String(40))
    repeat_of_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("inbound_message.id"))
    reply_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("outbox_message.id"))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", INBOUND_STATES), name="state"),
        Index("uq_inbound_message_open_key", "open_key", unique=True),
        Index(
            "ix_inbound_message_received",
            "id",
            sqlite_where=sql("state = 'received'"),
            postgresql_where=sql("state = 'received'"),
        ),
        Index(
            "ix_inbound_message_received_phone",
            "phone",
            "id",
            sqlite_where=sql("state = 'received'"),
            postgresql_where=sql("state = 'received'"),
        ),
        Index(
            "ix_inbound_message_partial",
            "received_at",
            sqlite_where=sql("state = 'partial'"),
            postgresql_where=sql("state = 'partial'"),
        ),
        Index(
            "ix_inbound_message_open",
            "id",
            sqlite_where=sql(FOR_PEOPLE),
            postgresql_where=sql(FOR_PEOPLE),
        ),
        Index("ix_inbound_message_phone", "phone", "id"),
        Index("ix_inbound_message_received_at", "received_at"),
    )


class InboundPart(Base):
    """One part as a carrier delivered it; a short text has one.

    `fingerprint` finds what a carrier without ids delivers again; `carrier_key` is gateway and the
    carrier's own id. A part that was suspected to be a repeat has neither, so that it does not make
    later ones suspect.
    """

    __tablename__ = "inbound_part"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    message_id: Mapped[int] = mapped_column(BigId, ForeignKey("inbound_message.id"))
    part: Mapped[int]
    charset: Mapped[str] = mapped_column(String(20))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    fingerprint: Mapped[int | None] = mapped_column(BigId)
    carrier_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("uq_inbound_part_message_part", "message_id", "part", unique=True),
        Index("ix_inbound_part_fingerprint", "fingerprint", "received_at"),
    )
