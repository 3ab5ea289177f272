"""The chart of accounts: every ledger that lines may stand in, and what kind of account it is.

A balance is credits − debits for what the operator owes or earns and for the customer's eyes, so
a receivable below zero is a debt. Payments come in through one clearing or cash ledger for each
channel; money that belongs to nobody yet stands in ``suspense``.
"""

from __future__ import annotations

from dataclasses import dataclass

RECEIVABLE = "receivable"
REVENUE_ENERGY = "revenue.energy"
REVENUE_FIXED = "revenue.fixed"
REVENUE_SURCHARGE = "revenue.surcharge"
REVENUE_DISCOUNT = "revenue.discount"
REVENUE_LATE_FEE = "revenue.late_fee"
REVENUE_ADJUSTMENT = "revenue.adjustment"
TAX = "tax"
OPENING = "opening"
CASH_COUNTER = "cash.counter"
CASH_FIELD = "cash.field"
CASH_DIFFERENCE = "cash.difference"
CLEARING_BANK = "clearing.bank"
CLEARING_API = "clearing.api"
SUSPENSE = "suspense"
WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class Ledger:
    """One account of the chart.

    ``kind`` is asset, liability, equity, income or expense; ``number`` is what an accounting system
    knows it by, in the order of Chinese charts (1 assets, 2 liabilities, 4 equity, 6 result).
    """

    code: str
    number: str
    kind: str


CHART: dict[str, Ledger] = {
    ledger.code: ledger
    for ledger in (
        Ledger(CASH_COUNTER, "1001.01", "asset"),
        Ledger(CASH_FIELD, "1001.02", "asset"),
        Ledger(CLEARING_BANK, "1012.01", "asset"),
        Ledger(CLEARING_API, "1012.02", "asset"),
        Ledger(RECEIVABLE, "1122", "asset"),
        Ledger(TAX, "2221", "liability"),
        Ledger(SUSPENSE, "2241", "liability"),
        Ledger(OPENING, "4104", "equity"),
        Ledger(REVENUE_ENERGY, "6001.01", "income"),
        Ledger(REVENUE_FIXED, "6001.02", "income"),
        Ledger(REVENUE_SURCHARGE, "6001.03", "income"),
        Ledger(REVENUE_DISCOUNT, "6001.04", "income"),
        Ledger(REVENUE_ADJUSTMENT, "6001.05", "income"),
        Ledger(REVENUE_LATE_FEE, "6301", "income"),
        Ledger(CASH_DIFFERENCE, "6602.01", "expense"),
        Ledger(WRITE_OFF, "6602.02", "expense"),
    )
}
"""Every ledger by its code; a line in any other is refused."""

_BY_COMPONENT = {
    "energy": REVENUE_ENERGY,
    "minimum": REVENUE_ENERGY,
    "fixed": REVENUE_FIXED,
    "surcharge": REVENUE_SURCHARGE,
    "discount": REVENUE_DISCOUNT,
    "tax": TAX,
}


def income_of(component_kind: str) -> str:
    """The ledger that a line of a bill earns into, by the kind of its tariff component."""
    return _BY_COMPONENT.get(component_kind, REVENUE_ENERGY)
