"""What an installation's settings say about bills."""

from __future__ import annotations

from decimal import Decimal

from config.settings import Settings
from server.billing.rules.classes import BillingRules, ClassRule


def billing_rules(settings: Settings) -> BillingRules:
    """The rules of billing as this installation sets them."""
    return BillingRules(ClassRule(due_days=settings.bill_due_days))


def correction_limit(settings: Settings) -> Decimal:
    """Above which amount a second person decides about a correction."""
    return Decimal(settings.bill_correction_limit)
