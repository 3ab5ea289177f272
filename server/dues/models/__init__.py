"""Tables of dues: money that came in, what it settled, and what happens to debts that stay."""

from __future__ import annotations

from server.dues.models.dunning import (
    DisconnectProposal,
    Dispute,
    DuesRules,
    DunningRun,
    DunningStep,
)
from server.dues.models.files import BankFile, BankRow
from server.dues.models.payments import Allocation, LateFee, Payment, Refund
from server.dues.models.prepaid import (
    BalanceAlarm,
    BalanceRule,
    BalanceWatch,
    ChargeEstimate,
    LoadTerminal,
    TerminalCall,
)
from server.dues.models.tills import CashHandover, Till, TillSession

__all__ = [
    "APPEND_ONLY",
    "Allocation",
    "BalanceAlarm",
    "BalanceRule",
    "BalanceWatch",
    "BankFile",
    "BankRow",
    "CashHandover",
    "ChargeEstimate",
    "DisconnectProposal",
    "Dispute",
    "DuesRules",
    "DunningRun",
    "DunningStep",
    "LateFee",
    "LoadTerminal",
    "Payment",
    "Refund",
    "TerminalCall",
    "Till",
    "TillSession",
]

APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "payment": (
        "created_at",
        "receipt_no",
        "channel",
        "method",
        "amount",
        "unit",
        "external_ref",
        "content_hash",
        "paid_at",
        "device_receipt",
        "capture_uuid",
        "staff_id",
        "till_session_id",
        "journal_id",
    ),
    "allocation": (
        "created_at",
        "account_id",
        "payment_id",
        "bill_id",
        "refund_id",
        "part",
        "amount",
        "day",
        "releases_id",
    ),
    "late_fee": (
        "created_at",
        "account_id",
        "bill_id",
        "through",
        "amount",
        "detail",
        "journal_id",
    ),
    "bank_row": ("bank_file_id", "position", "reference", "account_no", "amount", "fields"),
    "dunning_step": ("created_at", "account_id", "bill_id", "step", "amount", "fee"),
    "balance_alarm": (
        "created_at",
        "key",
        "account_id",
        "kind",
        "balance",
        "remaining",
        "threshold",
        "measure",
    ),
    "dues_rules": ("created_at", "definition", "staff_id"),
}
"""Content columns that triggers keep as they were written; the migration makes the triggers."""
