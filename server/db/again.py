"""A transaction that is run again when the database ended it to resolve a deadlock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from server.db.sessions import is_deadlock, transaction

T = TypeVar("T")

TRIES = 3
_PAUSE_SECONDS = 0.02


def carry_out(work: Callable[[Session], T], *, tries: int = TRIES) -> T:
    """Run ``work(session)`` in a transaction and return what it returns, after the commit.

    It is run again in a new transaction when the database chose it to end a deadlock, so whatever
    it does must be done through its session.

    Raises:
        OperationalError: when it was chosen the last time too, and for every other failure.
    """
    for attempt in range(1, tries):
        try:
            return _once(work)
        except OperationalError as error:
            if not is_deadlock(error):
                raise
            time.sleep(_PAUSE_SECONDS * attempt)
    return _once(work)


def _once(work: Callable[[Session], T]) -> T:
    with transaction() as session:
        return work(session)
