"""The console's words about bills, bill runs, the turns of accounts and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

STATES: Mapping[str, tuple[str, Any]] = {
    "run.running": ("todo", _l("under way")),
    "run.done": ("good", _l("done")),
    "run.stopped": ("idle", _l("stopped")),
    "period.open": ("todo", _l("open")),
    "period.closed": ("good", _l("closed")),
}

REASONS: Mapping[str, Any] = {
    "bill.cancel_above_limit": _l("A bill above the limit is to be cancelled"),
    "bill.credit_above_limit": _l("A credit above the limit is to be given"),
}

NAMES: Mapping[str, Any] = {
    "cancellation": _l("cancellation"),
    "credit_note": _l("credit note"),
    "adjustment": _l("adjustment"),
    "bill.cancels": _l("Cancels"),
    "bill.credits": _l("Gives back of"),
    "bill.replaces": _l("Replaces"),
    "bill.cancelled_by": _l("Cancelled by"),
    "bill.credited_by": _l("Credit note"),
    "bill.replaced_by": _l("Replaced by"),
    "bill_correction": _l("correction of a bill"),
    "turn.close": _l("Close the account"),
    "turn.hand_over": _l("Transfer of name"),
    "turn.suspend": _l("Suspend"),
    "turn.resume": _l("Resume"),
    "turn.change_class": _l("Change of class"),
}

ACTS: Mapping[str, Any] = {
    "bill.cancel": _l("cancelled the bill"),
    "bill.credit": _l("gave back a part"),
    "bill_run.begin": _l("began a bill run"),
    "bill_run.stop": _l("stopped a bill run"),
    "period.close": _l("closed the period"),
    "period.reopen": _l("opened the period again"),
    "ledger.exported": _l("took the ledger along"),
    "ledger.reverse": _l("reversed a journal"),
    "account.close": _l("closed the account"),
    "account.hand_over": _l("handed the account over"),
    "account.take_over": _l("took the points over"),
    "account.suspend": _l("suspended the account"),
    "account.resume": _l("resumed the account"),
    "account.change_class": _l("changed the class"),
    "account.move_balance": _l("moved the balance"),
}

REFUSALS: Mapping[str, Any] = {
    "bill.reason": _l("A correction needs a reason."),
    "bill.credit_amount": _l("A credit is above zero, to the cent."),
    "bill.credit_above": _l("The credit is more than is left of the bill."),
    "bill.not_cancellable": _l("This cannot be cancelled: it is no bill that stands."),
    "bill.same_person": _l("Somebody else must decide about this."),
    "bill_run.period": _l("A period is a year and a month, such as 2026-10."),
    "ledger.period_closed": _l("The accounting period is closed."),
    "ledger.period_running": _l("The period has not ended, or only just."),
    "ledger.period_order": _l("Periods are closed one after the other, and opened the other way."),
    "ledger.not_clean": _l("The books do not agree: flask reconcile says where."),
    "ledger.reason": _l("A reason is needed."),
    "account.reason": _l("A reason is needed."),
    "account.closed": _l("The account is closed."),
    "account.suspended": _l("The account is suspended already."),
    "account.not_suspended": _l("The account is not suspended."),
    "account.future": _l("This lies in the future."),
    "account.exists": _l("There is an account of this number already."),
    "account.no_reading": _l("Every meter needs a reading, or one of the last day."),
    "account.reading_held": _l(
        "A reading is unusual. Look at the dial again; when it is so, mark it as seen twice."
    ),
    "account.missing": _l("A field is missing."),
    "account.same": _l("The balance goes to another account."),
    "account.dial": _l("A dial shows digits only."),
    "customer.unknown": _l("There is no such customer."),
    "tariff.unknown": _l("There is no such tariff."),
}
