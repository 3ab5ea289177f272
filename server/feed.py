"""The change feed: what changed for whom, in an order that equals the order of commits.

One row per (scope, collection, document) with the sequence of its last change. The sequence of
a scope is a counter row whose lock is held to the commit, taken as the last step of the
transaction with scopes in sorted order: a reader who has seen sequence n has seen everything
below n. Sequences made earlier in a transaction (identity columns, clocks) lose rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Index, String, bindparam, func, select
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigId, Session, among_texts, at_end, bulk_upsert, many_texts, run

_TOUCHED = "fieldbell_touched"
SEQUENCES = "fieldbell_sequences"


class FeedScope(Base):
    """The counter of one scope; no id, no created_at."""

    __tablename__ = "feed_scope"

    scope: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(BigId)


class FeedEntry(Base):
    """The last change of one document in one scope; no id, no created_at."""

    __tablename__ = "feed_entry"
    __table_args__ = (Index("ix_feed_entry_scope_seq", "scope", "seq"),)

    scope: Mapped[str] = mapped_column(String(40), primary_key=True)
    collection: Mapped[str] = mapped_column(String(40), primary_key=True)
    document_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigId)
    deleted: Mapped[bool] = mapped_column(default=False)


class Change(NamedTuple):
    """One entry of the feed as a reader sees it; there are thousands of them in a pull."""

    scope: str
    collection: str
    document_id: str
    seq: int
    deleted: bool


def touch(
    session: Session, scope: str, collection: str, document_id: object, *, deleted: bool = False
) -> None:
    """Note that a document of a scope changed; the sequence is taken at the end."""
    touched: dict[tuple[str, str, str], bool] = session.info.setdefault(_TOUCHED, {})
    touched[scope, collection, str(document_id)] = deleted
    at_end(session, "feed", _take_sequences)


def touch_many(session: Session, collection: str, documents: Iterable[tuple[str, object]]) -> None:
    """Touch many (scope, document id) pairs of one collection."""
    for scope, document_id in documents:
        touch(session, scope, collection, document_id)


def sequences(session: Session) -> dict[str, int]:
    """The last sequence each scope got in the transaction that just ended."""
    taken: dict[str, int] = session.info.get(SEQUENCES, {})
    return taken


_CHANGES = (
    select(
        FeedEntry.scope,
        FeedEntry.collection,
        FeedEntry.document_id,
        FeedEntry.seq,
        FeedEntry.deleted,
    )
    .where(FeedEntry.scope == bindparam("scope"), FeedEntry.seq > bindparam("seq"))
    .order_by(FeedEntry.seq)
    .limit(bindparam("limit"))
)


def changes_after(session: Session, scope: str, seq: int, limit: int) -> list[Change]:
    """The changes of a scope after a sequence, oldest first."""
    rows = run(session, _CHANGES, {"scope": scope, "seq": seq, "limit": limit})
    return list(map(Change._make, rows))


_COUNTERS = select(FeedScope.scope, FeedScope.seq).where(
    among_texts(FeedScope.scope, many_texts("scopes"))
)


def advanced(session: Session, read: Mapping[str, int]) -> list[str]:
    """The scopes in which something changed after the sequence that was read, in the order given."""
    counters = dict(run(session, _COUNTERS, {"scopes": list(read)}))
    return [scope for scope, seq in read.items() if counters.get(scope, 0) > seq]


def count_documents(session: Session, scopes: Sequence[str]) -> dict[str, int]:
    """How many documents each scope holds now; a reader that has them all can tell."""
    rows = session.execute(
        select(FeedEntry.scope, func.count())
        .where(FeedEntry.scope.in_(scopes), FeedEntry.deleted.is_(False))
        .group_by(FeedEntry.scope)
    )
    return {scope: count for scope, count in rows}


def _take_sequences(session: Session) -> None:
    touched: dict[tuple[str, str, str], bool] = session.info.pop(_TOUCHED)
    by_scope: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    for (scope, collection, document_id), deleted in touched.items():
        by_scope[scope].append((collection, document_id, deleted))
    counters = [{"scope": s, "seq": len(by_scope[s])} for s in sorted(by_scope)]
    last = dict(
        bulk_upsert(
            session, FeedScope, counters, ("scope",), add=("seq",), returning=("scope", "seq")
        )
    )
    session.info[SEQUENCES] = last
    bulk_upsert(session, FeedEntry, list(_entries(by_scope, last)), FEED_KEY)


FEED_KEY = ("scope", "collection", "document_id")


def _entries(
    by_scope: dict[str, list[tuple[str, str, bool]]], last: dict[str, int]
) -> Iterable[dict[str, Any]]:
    for scope, documents in sorted(by_scope.items()):
        first = last[scope] - len(documents) + 1
        for seq, (collection, document_id, deleted) in enumerate(documents, start=first):
            yield {
                "scope": scope,
                "collection": collection,
                "document_id": document_id,
                "seq": seq,
                "deleted": deleted,
            }
