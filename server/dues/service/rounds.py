"""The timed rounds of balances: slices of accounts, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection

from server.db import Session, snapshot, transaction
from server.dues.service import estimates, prepaid
from server.operator import Operator


def look_at_balances() -> int:
    """Tell low balances of every account whose ledger or estimate has moved; how many were told."""
    return _all(prepaid.candidates, prepaid.look_at)


def estimate_charges() -> int:
    """Estimate the charges of every account with hourly values; how many have one."""
    return _all(estimates.next_accounts, estimates.estimate)


def _all(
    following: Callable[[Session, int], list[int]], work: Callable[[Session, Collection[int]], int]
) -> int:
    """Work through accounts by id; they are found outside of the transactions that work on them."""
    done = after = 0
    while True:
        with snapshot() as session:
            founded = session.get(Operator, 1) is not None
            ids = following(session, after) if founded else []
        if not ids:
            return done
        with transaction() as session:
            done += work(session, ids)
        after = ids[-1]
