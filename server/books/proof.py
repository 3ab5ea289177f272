"""The proof of all books: what billing checks, and what the packages on top of it check."""

from __future__ import annotations

from collections.abc import Iterator

from server.billing.service.reconcile import Check, Difference
from server.billing.service.reconcile import differences as of_billing
from server.db import Session
from server.dues.service.reconcile import CHECKS

MORE: tuple[Check, ...] = CHECKS
"""The checks of packages above billing."""


def differences(session: Session) -> Iterator[Difference]:
    """Every place where the books of any package disagree with their lines, as it is found."""
    yield from of_billing(session, MORE)
