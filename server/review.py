"""The review queue: whatever the system could not settle by itself waits here for a person.

Every item has a reason, an age, an owner's team and a way out; nothing leaves silently.
Any package may raise an item; what can be done about a kind is the console's table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server import audit, clock
from server.db import (
    Base,
    BigId,
    Json,
    Session,
    UtcDateTime,
    created_at_column,
    id_column,
    insert_rows,
    one_of,
)
from server.errors import Conflict, NotFound

STATUSES = ("open", "released", "corrected", "discarded", "closed")


class ReviewItem(Base):
    """Something that needs a person, with what it is about and what was decided."""

    __tablename__ = "review_item"
    __table_args__ = (
        CheckConstraint(one_of("status", STATUSES), name="status"),
        Index(
            "ix_review_item_open",
            "created_at",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_review_item_subject", "subject_type", "subject_id"),
    )

    id: Mapped[int] = id_column()
    created_at: Mapped[datetime] = created_at_column()
    key: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    org_unit_id: Mapped[int | None] = mapped_column(BigId)
    route_id: Mapped[int | None] = mapped_column(BigId)
    owner_id: Mapped[int | None] = mapped_column(BigId)
    lat_e7: Mapped[int | None] = mapped_column()
    lon_e7: Mapped[int | None] = mapped_column()
    status: Mapped[str] = mapped_column(String(12), default="open")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(BigId)
    why: Mapped[str | None] = mapped_column(String(255))


@dataclass(frozen=True)
class NewItem:
    """What is needed to raise an item; ``key`` makes raising it twice harmless."""

    key: str
    kind: str
    reason: str
    subject_type: str
    subject_id: object
    detail: dict[str, Any] = field(default_factory=dict)
    org_unit_id: int | None = None
    route_id: int | None = None
    lat_e7: int | None = None
    lon_e7: int | None = None


def raise_items(session: Session, items: Sequence[NewItem]) -> None:
    """Put many items into the queue with one statement; known keys are left as they are."""
    at = clock.now()
    rows = [
        {
            "created_at": at,
            "key": item.key,
            "kind": item.kind,
            "reason": item.reason,
            "subject_type": item.subject_type,
            "subject_id": str(item.subject_id),
            "detail": item.detail,
            "org_unit_id": item.org_unit_id,
            "route_id": item.route_id,
            "lat_e7": item.lat_e7,
            "lon_e7": item.lon_e7,
            "status": "open",
        }
        for item in items
    ]
    insert_rows(session, ReviewItem, rows, on_conflict=("key",))


def raise_item(session: Session, **fields: Any) -> None:
    """Put one item into the queue; the fields are those of :class:`NewItem`."""
    raise_items(session, [NewItem(**fields)])


def waiting(session: Session, item_id: int) -> ReviewItem:
    """An item that waits for a decision, locked for whoever decides.

    Raises:
        NotFound: ``review.unknown``.
        Conflict: ``review.closed`` when somebody has decided already.
    """
    item = session.get(ReviewItem, item_id, with_for_update=True, populate_existing=True)
    if item is None:
        raise NotFound("review.unknown", f"There is no review item {item_id}.")
    if item.status != "open":
        raise Conflict("review.closed", "Somebody has decided this already.", {"id": item_id})
    return item


def close(
    session: Session, actor: audit.Acting, item_id: int, status: str, why: str | None
) -> ReviewItem:
    """Take an open item out of the queue with a decision; the act is audited.

    Raises:
        NotFound: ``review.unknown``.
        Conflict: ``review.closed`` when somebody has decided already.
    """
    item = waiting(session, item_id)
    item.status, item.closed_at, item.closed_by_id, item.why = status, clock.now(), actor.id, why
    audit.record(
        session,
        actor,
        f"review.{status}",
        "review_item",
        item_id,
        before={"status": "open"},
        after={"status": status, "why": why, "reason": item.reason},
    )
    return item


def reassign(session: Session, actor: audit.Acting, item_id: int, owner_id: int | None) -> None:
    """Give an open item to somebody, or back to the team; the act is audited.

    Raises:
        NotFound: ``review.unknown``.
        Conflict: ``review.closed``.
    """
    item = waiting(session, item_id)
    before, item.owner_id = item.owner_id, owner_id
    audit.record(
        session,
        actor,
        "review.reassigned",
        "review_item",
        item_id,
        before={"owner_id": before},
        after={"owner_id": owner_id},
    )


def close_for(
    session: Session,
    actor: audit.Acting,
    subject_type: str,
    subject_ids: Sequence[object],
    status: str,
    why: str | None,
) -> int:
    """Close every open item about these subjects and return how many there were."""
    ids = session.execute(
        select(ReviewItem.id).where(
            ReviewItem.subject_type == subject_type,
            ReviewItem.subject_id.in_([str(subject) for subject in subject_ids]),
            ReviewItem.status == "open",
        )
    ).scalars()
    closed = [close(session, actor, item_id, status, why) for item_id in ids]
    return len(closed)


def open_by_reason(session: Session) -> list[tuple[str, int, datetime]]:
    """(reason, how many, since when) of what waits, the most frequent first."""
    rows = session.execute(
        select(ReviewItem.reason, func.count(), func.min(ReviewItem.created_at))
        .where(ReviewItem.status == "open")
        .group_by(ReviewItem.reason)
        .order_by(func.count().desc(), ReviewItem.reason)
    )
    return [(reason, count, since) for reason, count, since in rows]
