"""The verbs of billing; each takes the session first and never commits.

Whoever changes a balance locks the account first (``select … order by id for update``), always
in the order of the ids.
"""

from __future__ import annotations

from server.billing.service.bills import IssuedBill, bill_judged, bill_points
from server.billing.service.opening import OpeningBalance, post_opening_balance, post_opening_usage
from server.billing.service.reconcile import Difference, reconcile
from server.billing.service.tariffs import put_tariff, read_tariff_file

__all__ = [
    "Difference",
    "IssuedBill",
    "OpeningBalance",
    "bill_judged",
    "bill_points",
    "post_opening_balance",
    "post_opening_usage",
    "put_tariff",
    "read_tariff_file",
    "reconcile",
]
