"""What the bills must be, computed from published prices and the captures alone.

Independent of the server on purpose: one page of arithmetic that a person can follow. A reading that
the server reports as applied is billed at once, for what the dial gained since the reading applied
before it, together with others of its push; the tiers of the calendar year fill up from what was used before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

# Zhejiang, residential, below 1 kV without time-of-use: yuan a kWh by kWh of the calendar year.
TIERS: tuple[tuple[Decimal | None, Decimal], ...] = (
    (Decimal(2760), Decimal("0.538")),
    (Decimal(4800), Decimal("0.588")),
    (None, Decimal("0.838")),
)
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Home:
    """An account with its one meter, as it was taken over.

    ``previous`` is the last billed reading, ``used`` what the year had until then, ``balance`` what the
    customer has (below zero he owes), ``per_day`` how fast the dial turns.
    """

    account_no: str
    serial: str
    point_no: str
    phone: str | None
    previous: Decimal
    per_day: Decimal
    used: Decimal
    balance: Decimal
    digits: int = 5


@dataclass(frozen=True)
class Applied:
    """A reading the server says it applied; readings of one ``batch`` came in one push."""

    id: str
    serial: str
    order: int | None
    at: datetime
    value: Decimal
    batch: str = ""


@dataclass(frozen=True)
class Expected:
    """A bill that must exist, in the figures of its text."""

    account_no: str
    quantity: Decimal
    amount: Decimal
    balance: Decimal


def charge(before: Decimal, quantity: Decimal) -> Decimal:
    """The price of ``quantity`` when the year had ``before`` already; each tier rounded by itself."""
    total, floor = Decimal(0), Decimal(0)
    for top, price in TIERS:
        low = max(before, floor)
        high = before + quantity if top is None else min(before + quantity, top)
        if high > low:
            total += ((high - low) * price).quantize(CENT, ROUND_HALF_UP)
        if top is None:
            break
        floor = top
    return total


def bills(home: Home, readings: Sequence[Applied]) -> list[Expected]:
    """The bills of one account in the order of the readings' times.

    Every applied reading is billed at once; those of one push together, on one bill.
    """
    value, used, balance = home.previous, home.used, home.balance
    found = []
    ordered = sorted(readings, key=lambda r: r.at)
    for _, together in groupby(enumerate(ordered), key=lambda pair: pair[1].batch or pair[0]):
        quantity = Decimal(0)
        for _, reading in together:
            gained = reading.value - value
            quantity += gained if gained >= 0 else gained + Decimal(10) ** home.digits
            value = reading.value
        amount = charge(used, quantity)
        used, balance = used + quantity, balance - amount
        found.append(Expected(home.account_no, quantity, amount, balance))
    return found


def read_twice(readings: Iterable[Applied]) -> list[int]:
    """Orders with more than one applied reading: there must be none."""
    seen: set[int] = set()
    twice = []
    for reading in readings:
        if reading.order is not None and reading.order in seen:
            twice.append(reading.order)
        elif reading.order is not None:
            seen.add(reading.order)
    return twice
