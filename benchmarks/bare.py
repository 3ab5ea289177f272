"""The lower bound of the work: the very rows of settled readings, written with nothing around them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from server.billing.models import AccountBalance, Bill, BillLine, Journal, LedgerLine, UsageYear
from server.capture.models import CaptureEvent
from server.db import Base, bulk_upsert, insert_rows, snapshot, transaction, update_rows
from server.feed import FEED_KEY, FeedEntry, FeedScope
from server.metering.models import Consumption, Reading, ReadingCheck, ReadOrder
from server.notify.models import OutboxMessage

Rows = list[dict[str, Any]]

INSERTED: tuple[type[Base], ...] = (
    CaptureEvent,
    Reading,
    ReadingCheck,
    Bill,
    BillLine,
    Consumption,
    Journal,
    LedgerLine,
    OutboxMessage,
)
"""Tables that get new rows, parents before children."""


@dataclass(frozen=True)
class Block:
    """The rows of one transaction, by table."""

    readings: int
    inserted: Mapping[type[Base], Rows]
    balances: Rows
    years: Rows
    orders: Rows
    scopes: Rows
    entries: Rows

    @property
    def rows(self) -> int:
        """How many rows are written."""
        others = (self.balances, self.years, self.orders, self.scopes, self.entries)
        return sum(map(len, self.inserted.values())) + sum(map(len, others))


def read_blocks(readings: int, size: int, after: int = 0) -> list[Block]:
    """Read back what settled readings have become: at most ``readings``, without the first ``after``.

    Needs an app context on a database that a round has filled.
    """
    found = _Found(after + readings)
    uuids = list(found.events)[after:]
    return [
        found.block(uuids[start : start + size])
        for start in range(0, len(uuids) - len(uuids) % size or len(uuids), size)
    ]


def write_blocks(blocks: Iterable[Block]) -> float:
    """Write each block in a transaction of its own and return the seconds it all took.

    Needs an app context on a copy of the database as it was before the round.
    """
    began = time.perf_counter()
    for block in blocks:
        with transaction() as session:
            for model, rows in block.inserted.items():
                insert_rows(session, model, rows)
            bulk_upsert(session, AccountBalance, block.balances, ("account_id", "unit"))
            bulk_upsert(session, UsageYear, block.years, ("account_id", "year"))
            update_rows(session, ReadOrder, ("id",), block.orders)
            bulk_upsert(session, FeedScope, block.scopes, ("scope",))
            bulk_upsert(session, FeedEntry, block.entries, FEED_KEY)
    return time.perf_counter() - began


class _Found:
    """Rows of the settled database, by what joins them to their reading."""

    def __init__(self, readings: int) -> None:
        events = _rows(CaptureEvent, limit=readings)
        self.events = {row["uuid"]: row for row in events}
        self.readings = {row["capture_uuid"]: row for row in _rows(Reading) if row["capture_uuid"]}
        self.checks = _by(_rows(ReadingCheck), "reading_id")
        self.uses = {row["reading_id"]: row for row in _rows(Consumption)}
        self.bills = {row["id"]: row for row in _rows(Bill)}
        self.bill_lines = _by(_rows(BillLine), "bill_id")
        self.journals = {row["source_key"]: row for row in _rows(Journal)}
        self.ledger = _by(_rows(LedgerLine), "journal_id")
        self.messages = _by(_rows(OutboxMessage), "account_id")
        self.balances = {row["account_id"]: row for row in _rows(AccountBalance)}
        self.years = _by(_rows(UsageYear), "account_id")
        self.orders = {row["id"]: row for row in _rows(ReadOrder)}
        self.entries = {
            row["document_id"]: row for row in _rows(FeedEntry) if row["collection"] == "read_order"
        }
        self.scopes = {row["scope"]: row for row in _rows(FeedScope)}

    def block(self, uuids: Sequence[Any]) -> Block:
        """The rows of some readings."""
        inserted: dict[type[Base], Rows] = {model: [] for model in INSERTED}
        accounts, orders = [], []
        for uuid in uuids:
            reading = self.readings[uuid]
            use = self.uses[reading["id"]]
            bill = self.bills[use["bill_id"]]
            journal = self.journals[f"bill:{bill['id']}"]
            inserted[CaptureEvent].append(self.events[uuid])
            inserted[Reading].append(reading)
            inserted[ReadingCheck] += self.checks[reading["id"]]
            inserted[Bill].append(bill)
            inserted[BillLine] += self.bill_lines[bill["id"]]
            inserted[Consumption].append(use)
            inserted[Journal].append(journal)
            inserted[LedgerLine] += self.ledger[journal["id"]]
            inserted[OutboxMessage] += self.messages[bill["account_id"]]
            accounts.append(bill["account_id"])
            orders.append(reading["order_id"])
        entries = [self.entries[str(order)] for order in orders]
        return Block(
            readings=len(uuids),
            inserted={model: _without_empty(rows) for model, rows in inserted.items()},
            balances=[self.balances[account] for account in accounts],
            years=[row for account in accounts for row in self.years[account]],
            orders=[{"id": order, "status": self.orders[order]["status"]} for order in orders],
            scopes=[self.scopes[scope] for scope in sorted({row["scope"] for row in entries})],
            entries=entries,
        )


def _rows(model: type[Base], limit: int | None = None) -> Rows:
    table = model.__table__
    with snapshot() as session:
        found = session.execute(select(table).order_by(*table.primary_key).limit(limit))
        return [dict(row) for row in found.mappings()]


def _by(rows: Rows, column: str) -> dict[Any, Rows]:
    grouped: dict[Any, Rows] = defaultdict(list)
    for row in rows:
        grouped[row[column]].append(row)
    return grouped


def _without_empty(rows: Rows) -> Rows:
    """The rows without the columns that none of them uses: the services do not write those either."""
    used = {name for row in rows for name, value in row.items() if value is not None}
    return [{name: value for name, value in row.items() if name in used} for row in rows]
