"""Whether what was measured really happened: the books of a database after a round."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from server.billing.models import Bill, Journal, LedgerLine
from server.billing.service import reconcile
from server.capture.models import CaptureEvent
from server.db import Session, snapshot
from server.metering.models import Consumption, Reading, ReadOrder
from server.notify.models import OutboxMessage
from server.review import ReviewItem


class Wrong(Exception):
    """The books do not agree with what was sent; the message says where."""


@dataclass(frozen=True)
class Books:
    """How many of each a database holds, and what the ledger adds up to."""

    events: int
    readings: int
    consumptions: int
    orders_done: int
    bills: int
    journals: int
    messages: int
    review_items: int
    ledger_sum: int
    differences: int


def read() -> Books:
    """Count the books; needs an app context."""
    with snapshot() as session:
        return Books(
            events=_count(session, CaptureEvent.id, CaptureEvent.verdict == "applied"),
            readings=_count(session, Reading.id, Reading.capture_uuid.is_not(None)),
            consumptions=_count(session, Consumption.id, Consumption.bill_id.is_not(None)),
            orders_done=_count(session, ReadOrder.id, ReadOrder.status == "done"),
            bills=_count(session, Bill.id, Bill.status == "issued"),
            journals=_count(session, Journal.id, Journal.kind == "bill"),
            messages=_count(session, OutboxMessage.id, OutboxMessage.status == "queued"),
            review_items=_count(session, ReviewItem.id, ReviewItem.status == "open"),
            ledger_sum=int(
                session.scalar(select(func.sum(LedgerLine.debit - LedgerLine.credit))) or 0
            ),
            differences=len(reconcile(session)),
        )


def _count(session: Session, column: object, condition: object) -> int:
    return int(session.scalar(select(func.count(column)).where(condition)) or 0)  # type: ignore[arg-type]


def check(books: Books, settled: int, before: Books | None = None) -> None:
    """Compare the books with the number of readings whose push was answered.

    Args:
        before: what the books held already; nothing when left out.

    Raises:
        Wrong: naming every count that differs.
    """
    expected = dict.fromkeys(
        ("events", "readings", "consumptions", "orders_done", "bills", "journals", "messages"),
        settled,
    ) | dict.fromkeys(("review_items", "ledger_sum", "differences"), 0)
    found = {
        name: getattr(books, name) - (getattr(before, name) if before else 0) for name in expected
    }
    wrong = [
        f"{name} is {found[name]}, not {value}"
        for name, value in expected.items()
        if found[name] != value
    ]
    if wrong:
        raise Wrong("; ".join(wrong))
