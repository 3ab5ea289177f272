"""The vocabulary of payments and debts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

STATES: Mapping[str, tuple[str, Any]] = {
    "received": ("good", _l("received")),
    "suspense": ("warn", _l("without an account")),
    "reversed": ("bad", _l("taken back")),
    "proposed": ("todo", _l("proposed")),
    "ordered": ("warn", _l("ordered")),
    "withdrawn": ("idle", _l("withdrawn")),
}

NAMES: Mapping[str, Any] = {
    "channel.counter": _l("counter"),
    "channel.field": _l("at the door"),
    "channel.api": _l("another system"),
    "channel.bank": _l("bank file"),
    "method.cash": _l("cash"),
    "method.card": _l("card"),
    "method.cheque": _l("cheque"),
    "method.transfer": _l("transfer"),
    "method.wallet": _l("phone wallet"),
    "part.principal": _l("bill"),
    "part.fee": _l("late fee"),
    "step.reminder": _l("Reminder"),
    "step.demand": _l("Demand"),
    "step.cut_notice": _l("Notice of disconnection"),
    "step.disconnect": _l("Disconnection proposed"),
    "reason.dunning": _l("unpaid bills"),
    "reason.prepaid": _l("prepayment used up"),
    "outcome.matched": _l("matched"),
    "outcome.wrong_amount": _l("other amount than the bill"),
    "outcome.duplicate": _l("known already"),
    "outcome.conflict": _l("reference stands for another payment"),
    "outcome.unknown_account": _l("unknown account"),
    "outcome.invalid": _l("cannot be read"),
    "outcome.waiting": _l("waits"),
    "paid": _l("paid"),
    "payment.v1": _l("payment"),
    "accountant": _l("accountant"),
    "payment.receive": _l("took money"),
    "payment.reverse": _l("took a payment back"),
    "payment.assign": _l("assigned waiting money"),
    "refund.ask": _l("asked for a refund"),
    "refund.paid": _l("paid a refund"),
    "refund.refused": _l("refused a refund"),
    "dispute.open": _l("put into dispute"),
    "dispute.close": _l("ended a dispute"),
    "proposal.order": _l("ordered a disconnection"),
    "proposal.withdraw": _l("withdrew a proposal to disconnect"),
}

REASONS: Mapping[str, Any] = {
    "payment.unknown_account": _l("There is no such account"),
    "payment.receipt_used": _l("The receipt number stands for another payment"),
}

REFUSALS: Mapping[str, Any] = {
    "payment.account_moved": _l(
        "Something was posted to this account meanwhile. Nothing was taken: look again."
    ),
    "payment.ref_reused": _l("This reference stands for another payment."),
    "payment.amount": _l("An amount is above 0 and has two decimals."),
    "payment.given": _l("Less was given than is to be paid."),
    "payment.reversed": _l("This payment was taken back already."),
    "payment.refunded": _l("A part of this payment was paid back to the customer."),
    "payment.reason": _l("Say why the money belongs there."),
    "payment.not_in_suspense": _l("This payment has its account already."),
    "refund.too_much": _l("The account has less credit than that."),
    "refund.reason": _l("A refund needs a reason."),
    "refund.same_person": _l("Somebody else must decide about this."),
    "refund.decided": _l("Somebody has decided about this already."),
    "till.none_open": _l("Open a till before you take or give cash."),
    "till.in_use": _l("This till has not been closed yet."),
    "till.another_open": _l("You have another till open: close it first."),
    "till.reason": _l("A difference needs a reason."),
    "till.amount": _l("The cash counted is 0 or more, with two decimals."),
    "till.exists": _l("There is a till of this code already."),
    "till.same_person": _l("Somebody else must do this."),
    "till.nothing_to_hand_in": _l("This rep carries no cash."),
    "bank_file.known": _l("This file came before."),
    "bank_file.columns": _l("The file lacks one of the columns reference, account_no, amount."),
    "bank_file.encoding": _l("The file is neither UTF-8 nor GB 18030 text."),
    "bank_file.empty": _l("The file has no rows."),
    "dispute.open": _l("This is in dispute already."),
    "dispute.reason": _l("Say what the customer contests."),
    "proposal.too_soon": _l("Plan the cut later: the last notice needs its time."),
    "proposal.closed": _l("This proposal is not open any more."),
    "proposal.dispute": _l("A debt of this account is in dispute."),
}
