"""Tables of the outbox: messages, their segments, what carriers reported, and the wordings.

The partial indexes repeat the literal predicate and the order of the statements in `dispatch.claims`;
neither database uses them otherwise.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
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
    sorted_text,
)
from server.notify.rules.categories import DELIVERY_CLASSES
from server.notify.rules.states import SEGMENT_STATES, STATES

# States that need a look and are rare: an index over all states would be written at every step of
# every message, and would be taken by the claim instead of the queue's own.
_ENDED = ("failed", "expired", "suppressed", "cancelled")


class OutboxMessage(Base):
    """One text to one phone. `key` is the caller's name for the event and phone: one key, one row.

    `gateway_id` is the way out that routing chose, `owner` that of the last claim; `not_before` of a
    held message is when it goes back to the queue; `attempts` counts tries that a carrier answered or
    may have seen, `copies` the resends of an unknown one, `losses` how often a crash or a cut line
    left it unknown. `phone` holds an address where the way out is e-mail.
    """

    __tablename__ = "outbox_message"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    key: Mapped[str] = mapped_column(sorted_text(200), unique=True)
    event: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(30))
    priority: Mapped[int]
    delivery: Mapped[str] = mapped_column(String(20))
    phone: Mapped[str] = mapped_column(String(254))
    contact_id: Mapped[int | None] = mapped_column(BigId)
    account_id: Mapped[int | None] = mapped_column(BigId)
    language: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    segments: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    gateway_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("gateway.id"))
    owner: Mapped[str | None] = mapped_column(String(80))
    attempts: Mapped[int] = mapped_column(default=0)
    copies: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    possible_duplicate: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(String(60))
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(one_of("status", STATES), name="status"),
        CheckConstraint(one_of("delivery", DELIVERY_CLASSES), name="delivery"),
        Index(
            "ix_outbox_message_queue",
            "gateway_id",
            "priority",
            "id",
            **only("status = 'queued'"),
        ),
        Index(
            "ix_outbox_message_held",
            "not_before",
            **only("status = 'held'"),
        ),
        Index(
            "ix_outbox_message_claimed",
            "owner",
            **only("status = 'claimed'"),
        ),
        Index(
            "ix_outbox_message_submitted",
            "owner",
            **only("status = 'submitted'"),
        ),
        Index(
            "ix_outbox_message_unknown",
            "status_at",
            **only("status = 'unknown'"),
        ),
        Index("ix_outbox_message_phone", "phone", "id"),
        Index("ix_outbox_message_account", "account_id", "id"),
        Index("ix_outbox_message_ended", "status", "id", **only(one_of("status", _ENDED))),
    )


class OutboxSegment(Base):
    """One part of a message as given to a gateway: the unit of ids, reports and cost.

    `part` of `parts` counts from 1; `copy` is 0, and more for resends of a part whose fate was unknown. A part
    that a carrier refused for a while, or that was never written, is submitted again in its own row.
    `price` is that of one segment when it was submitted; `units` is how many segments the row stands
    for: one, or all of them where the way out takes whole texts.
    """

    __tablename__ = "outbox_segment"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    message_id: Mapped[int] = mapped_column(BigId, ForeignKey("outbox_message.id"))
    part: Mapped[int]
    parts: Mapped[int] = mapped_column(default=1, server_default="1")
    copy: Mapped[int] = mapped_column(default=0)
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    status: Mapped[str] = mapped_column(String(20))
    carrier_id: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(String(60))
    units: Mapped[int] = mapped_column(default=1, server_default="1")
    price: Mapped[Decimal | None] = mapped_column(Money)
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(one_of("status", SEGMENT_STATES), name="status"),
        UniqueConstraint("message_id", "part", "copy"),
        Index(
            "ix_outbox_segment_carrier_id",
            "carrier_id",  # first: few ids are looked up among all that a gateway ever gave
            "gateway_id",
            **only("carrier_id IS NOT NULL"),
        ),
    )


class OutboxTransition(Base):
    """A step of a message off the straight road: back to the queue, held, given up, sent again, re-routed.

    The straight road is told by the times of the message and of its segments.
    """

    __tablename__ = "outbox_transition"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    message_id: Mapped[int] = mapped_column(BigId, ForeignKey("outbox_message.id"))
    source: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(60))
    gateway_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("gateway.id"))
    detail: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = (Index("ix_outbox_transition_message_id", "message_id", "id"),)


class DeliveryReport(Base):
    """What a carrier reported about a segment.

    Without `segment_id` it is parked: it came before the answer that tells its id, or belongs to
    nothing of ours. `stamp` is the carrier's own time, so that a repeated report is one row.
    """

    __tablename__ = "delivery_report"

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    gateway_id: Mapped[int] = mapped_column(BigId, ForeignKey("gateway.id"))
    carrier_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20))
    error: Mapped[str] = mapped_column(String(20))
    stamp: Mapped[str] = mapped_column(String(20))
    segment_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("outbox_segment.id"))

    __table_args__ = (
        UniqueConstraint("gateway_id", "carrier_id", "state", "stamp"),
        Index(
            "ix_delivery_report_parked",
            "carrier_id",
            "gateway_id",
            **only("segment_id IS NULL"),
        ),
        Index("ix_delivery_report_segment", "segment_id"),
    )
