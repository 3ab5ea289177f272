"""Reads of dues: who is meant, what an account owes, what happened to it."""

from __future__ import annotations

from server.dues.queries.accounts import Chased, Owing, Position, chased, find_accounts, position
from server.dues.queries.lookups import accounts_by_no, bills_by_no, used_receipts

__all__ = [
    "Chased",
    "Owing",
    "Position",
    "accounts_by_no",
    "bills_by_no",
    "chased",
    "find_accounts",
    "position",
    "used_receipts",
]
