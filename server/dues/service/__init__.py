"""The verbs of dues; each takes the session first and never commits.

Whoever changes what an account owes locks the account first, always in the order of the ids.
"""

from __future__ import annotations

from server.dues.service.freeing import (
    assign,
    cancel_bill,
    credit_bill,
    decide_correction,
    free_bills,
    reverse_payment,
)
from server.dues.service.payments import NewPayment, Receipt, receive, receive_one
from server.dues.service.settling import settle, use_credit

__all__ = [
    "NewPayment",
    "Receipt",
    "assign",
    "cancel_bill",
    "credit_bill",
    "decide_correction",
    "free_bills",
    "receive",
    "receive_one",
    "reverse_payment",
    "settle",
    "use_credit",
]
