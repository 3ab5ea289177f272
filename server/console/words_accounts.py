"""Codes about accounts in words: balances that are watched, hourly values, what customers want."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

NAMES: Mapping[str, Any] = {
    "cut.propose": _l("a person decides"),
    "cut.automatic": _l("at once"),
    "counter": _l("counter"),
    "field": _l("in the field"),
    "api": _l("another system"),
    "bank": _l("bank file"),
    "cash": _l("cash"),
    "card": _l("card"),
    "cheque": _l("cheque"),
    "transfer": _l("bank transfer"),
    "wallet": _l("wallet"),
    "dunning": _l("arrears"),
    "dues": _l("dues"),
    "paid": _l("paid"),
    "dispute": _l("in dispute"),
    "account": _l("account"),
    "file": _l("file"),
}

STATES: Mapping[str, tuple[str, Any]] = {
    "received": ("good", _l("received")),
    "suspense": ("warn", _l("without an account")),
    "reversed": ("bad", _l("reversed")),
    "proposed": ("warn", _l("proposed")),
    "ordered": ("warn", _l("ordered")),
    "withdrawn": ("idle", _l("withdrawn")),
}

REASONS: Mapping[str, Any] = {
    "prepaid.reconnect": _l("Paid: the supply is to be given back"),
    "estimate.went_back": _l("An hourly value is below the last reading"),
}

ACTS: Mapping[str, Any] = {
    "preference.refused": _l("noted for the customer that he wants no more of it"),
    "preference.wanted": _l("noted for the customer that he wants it again"),
    "account.threshold": _l("changed the threshold of the balance"),
    "terminal.put": _l("set the load terminal up"),
    "terminal.off": _l("switched the load terminal off"),
}

REFUSALS: Mapping[str, Any] = {
    "preference.why": _l("Say in a few words why."),
    "contact.unreachable": _l("This contact has no phone."),
    "notify.not_refusable": _l("Texts of this kind always go."),
}
