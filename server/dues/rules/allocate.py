"""What a credit settles: the bill the customer names, then the oldest due; the rest is credit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Part = Literal["principal", "fee"]
Order = Literal["fee_first", "principal_first"]
ORDERS: tuple[Order, ...] = ("fee_first", "principal_first")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Owed:
    """What is open of a bill on the day the credit counts for."""

    bill_id: int
    due: date
    principal: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a credit and what it settles."""

    bill_id: int
    part: Part
    amount: Decimal


def allocate(
    amount: Decimal, owed: Sequence[Owed], order: Order, directed: int | None = None
) -> tuple[list[Share], Decimal]:
    """Split an amount among bills; returns the shares and what remains as credit.

    Never more than the amount in all, nor than is open of each part.
    """
    shares: list[Share] = []
    rest = max(amount, ZERO)
    for bill in sorted(owed, key=lambda one: (one.bill_id != directed, one.due, one.bill_id)):
        for part, is_open in _parts(bill, order):
            share = min(rest, is_open)
            if share > 0:
                shares.append(Share(bill.bill_id, part, share))
                rest -= share
    return shares, rest


def _parts(bill: Owed, order: Order) -> tuple[tuple[Part, Decimal], tuple[Part, Decimal]]:
    fee: tuple[Part, Decimal] = ("fee", bill.fee)
    principal: tuple[Part, Decimal] = ("principal", bill.principal)
    return (fee, principal) if order == "fee_first" else (principal, fee)
