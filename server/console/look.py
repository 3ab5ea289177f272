"""Reading for a page: what was loaded stays readable while the page is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from server.db import Session, snapshot


@contextmanager
def look() -> Iterator[Session]:
    """A session for reading whose objects outlive it; relationships must be loaded inside."""
    with snapshot() as session:
        yield session
        session.expunge_all()
