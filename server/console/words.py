"""Codes in words: states, reasons, findings and refusals as people read them.

The tables are the whole vocabulary of the console; a code that is missing is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l

from server.capture.codes import SKIPS, TROUBLES
from server.console import words_accounts as about_accounts
from server.console import words_bills as about_bills
from server.console import words_dues as about_dues
from server.console import words_messages as about_messages
from server.console import words_tariffs as about_tariffs
from server.errors import DomainError

STATES: Mapping[str, tuple[str, Any]] = {
    # Each state has a tone for its shape and colour, and a word.
    "open": ("todo", _l("to do")),
    "held": ("warn", _l("held")),
    "done": ("good", _l("read")),
    "skipped": ("idle", _l("skipped")),
    "cancelled": ("idle", _l("cancelled")),
    "confirmed": ("good", _l("confirmed")),
    "superseded": ("idle", _l("superseded")),
    "discarded": ("bad", _l("refused")),
    "released": ("good", _l("released")),
    "corrected": ("good", _l("corrected")),
    "closed": ("idle", _l("closed")),
    "issued": ("good", _l("issued")),
    "active": ("good", _l("active")),
    "inactive": ("idle", _l("switched off")),
    "on": ("good", _l("on")),
    "off": ("idle", _l("off")),
    "suspended": ("warn", _l("suspended")),
    "revoked": ("bad", _l("shut out")),
    "replaced": ("idle", _l("replaced")),
    "silent": ("warn", _l("silent")),
    "queued": ("todo", _l("queued")),
    "deferred": ("todo", _l("waits for its time")),
    "claimed": ("todo", _l("being sent")),
    "submitted": ("todo", _l("handed over")),
    "accepted": ("todo", _l("accepted by the carrier")),
    "delivered": ("good", _l("delivered")),
    "failed": ("bad", _l("failed")),
    "expired": ("bad", _l("expired")),
    "unknown": ("warn", _l("fate unknown")),
    "suppressed": ("idle", _l("not wanted by the phone")),
    "returned": ("warn", _l("returned")),
    "refused": ("warn", _l("refused for now")),
    "applied": ("good", _l("applied")),
    "conflict": ("warn", _l("in conflict")),
    "rejected": ("bad", _l("rejected")),
    "used": ("good", _l("used")),
    "waiting": ("todo", _l("waiting")),
    "info": ("idle", _l("note")),
    "warn": ("warn", _l("look")),
    "hold": ("bad", _l("hold")),
    **about_accounts.STATES,
    **about_messages.STATES,
    **about_dues.STATES,
    **about_bills.STATES,
}

REASONS: Mapping[str, Any] = {
    "reading.unknown_point": _l("There is no such service point"),
    "reading.not_installed": _l("This meter did not hang at this point when it was read"),
    "reading.order": _l("The read order belongs to another point"),
    "reading.superseded": _l("Taken back by a later reading"),
    "reading.not_own": _l("Only one's own reading can be taken back"),
    "reading.exchange": _l("An exchange cannot be taken back by a reading"),
    "reading.billed": _l("The reading to take back has been billed"),
    "skip.unknown_point": _l("There is no such service point"),
    "skip.done": _l("The read order has been fulfilled already"),
    "skip.code": _l("There is no such reason for a skip"),
    "item.unknown_type": _l("The server does not know this kind of item"),
    "item.invalid": _l("A field of the item cannot be read"),
    "item.nul": _l("The item contains a NUL character"),
    "item.not_an_object": _l("What was sent is no item"),
    "item.no_id": _l("The item has no id"),
    "item.same_id_other_content": _l("Other content under an id that is taken"),
    "gps.invalid": _l("The position cannot be read"),
    "gps.out_of_range": _l("There is no such place on earth"),
    "gps.unknown_datum": _l("The position is in an unknown datum"),
    "visit.unknown_stop": _l("The stop is on no route"),
    "visit.not_your_route": _l("Visited on a route that was given to somebody else"),
    "position.proposed": _l("A rep says the premise lies elsewhere"),
    "position.unknown_point": _l("There is no such service point"),
    "exchange.other_meter": _l("Another meter hung there"),
    "exchange.no_meter": _l("No meter hung there"),
    "exchange.meter_in_use": _l("The new meter hangs elsewhere"),
    "exchange.read_after": _l("The old meter was read after the exchange"),
    "exchange.finals": _l("The final readings do not fit the old meter"),
    "exchange.registers": _l("The registers of the new meter do not fit"),
    "exchange.future": _l("The exchange lies in the future"),
    "exchange.unknown_point": _l("There is no such service point"),
    "attachment.invalid": _l("What is said of a photo cannot be read"),
    "attachment.too_large": _l("The photo or document is too large"),
    "attachment.type_not_allowed": _l("The file is neither a photo nor a document"),
    "attachment.type_mismatch": _l("The file is of another kind than the handheld says"),
    "attachment.hash_mismatch": _l("The file came damaged again and again"),
    "attachment.overdue": _l("The photo or document has not come"),
    "reading.not_your_route": _l("Read on a route that was given to somebody else"),
    "device.silent": _l("The handheld has not been heard for long"),
    "device.gap": _l("Items of the handheld have not come"),
    "track.crs_unknown": _l("The track is in an unknown datum"),
    "sync.bad_json": _l("The body was no JSON"),
    "sync.bad_gzip": _l("The body was no gzip"),
    "sync.bad_envelope": _l("The push had another shape"),
    "sync.body_too_large": _l("The body was too large"),
    "sync.too_many_items": _l("Too many items at once"),
    "sync.too_many_points": _l("Too many track points at once"),
    "device.revoked": _l("Sent by a handheld that had been shut out"),
    "capture.discarded": _l("Refused by the office"),
    "capture.fault": _l("The server failed on this item"),
    "capture.unknown": _l("Not understood"),
    **about_accounts.REASONS,
    **about_messages.REASONS,
    **about_dues.REASONS,
    **about_bills.REASONS,
    "billing.no_tariff": _l("No tariff is valid for the bill"),
    "reading.register": _l("The meter has no such register"),
    "reading.incomplete": _l("A register of the meter is missing"),
    "reading.digits": _l("The dial cannot show this value"),
    "reading.future": _l("The time of the reading lies in the future"),
    "reading.same_time": _l("There is a reading of the same moment"),
    "reading.before_previous": _l("A later reading has been billed already"),
    "reading.duplicate": _l("This read order has a confirmed reading"),
    "reading.previous_unconfirmed": _l("The previous reading still waits"),
    "reading.first": _l("First reading of this register"),
    "reading.below_previous": _l("Below the previous reading"),
    "reading.above_next": _l("Above the next reading"),
    "reading.zero": _l("Nothing was used"),
    "reading.high": _l("Use far above what was expected"),
    "reading.low": _l("Use far below what was expected"),
    "reading.tou_sum": _l("The time-of-use registers do not add up to the total"),
    "reading.estimates": _l("Too many estimates in a row"),
    "reading.inactive_use": _l("Use at a point that is switched off"),
    "reading.no_fix": _l("No position"),
    "reading.mock": _l("The position was made up on the handheld"),
    "reading.inaccurate": _l("The position is inaccurate"),
    "reading.far": _l("Read far from the service point"),
    "reading.hurried": _l("Read very soon after the one before"),
    "reading.speed": _l("Too fast from the place before"),
    "reading.hours": _l("Read outside working hours"),
    "reading.clock": _l("The handheld's clock is wrong"),
    "reading.as_expected": _l("Exactly the expected value"),
}

# What a finding says with its figures; the names are those of its detail.
FINDINGS: Mapping[str, Any] = {
    "reading.digits": _l(
        "%(value)s does not fit a dial of %(digits)s digits and %(decimals)s decimals."
    ),
    "reading.future": _l("The handheld says it was read %(minutes)s minutes from now."),
    "reading.below_previous": _l("%(value)s is below the previous %(previous)s."),
    "reading.above_next": _l("%(value)s is above the later %(next)s."),
    "reading.duplicate": _l(
        "The confirmed reading says %(confirmed)s, this one %(reread)s: a difference of %(difference)s."
    ),
    "reading.billed": _l(
        "Billed is %(confirmed)s, read again was %(reread)s: the bill differs by %(difference)s."
    ),
    "reading.not_own": _l(
        "The confirmed reading says %(confirmed)s, this one %(reread)s: a difference of %(difference)s."
    ),
    "reading.high": _l("Use %(quantity)s; expected about %(expected)s, at most %(limit)s."),
    "reading.low": _l("Use %(quantity)s; expected about %(expected)s, at least %(limit)s."),
    "reading.tou_sum": _l("They differ by %(difference)s; %(tolerance)s would be in order."),
    "reading.estimates": _l("This would be estimate number %(in_row)s in a row."),
    "reading.inactive_use": _l("Use %(quantity)s at an inactive point."),
    "reading.inaccurate": _l("Accurate to %(accuracy_m)s m only."),
    "reading.far": _l("%(distance_m)s m away; up to %(allowed_m)s m would be in order."),
    "reading.hurried": _l("%(seconds)s s after the reading before."),
    "reading.speed": _l("It would have taken %(speed_kmh)s km/h to get here."),
    "reading.hours": _l("At %(local_time)s local time."),
    "reading.clock": _l("The clock was %(skew_s)s s off."),
    "reading.incomplete": _l("Missing: %(registers)s."),
    "reading.register": _l("Register: %(register)s."),
}

RULES: Mapping[str, Any] = {
    "V1": _l("Meter installed at the read time"),
    "V2": _l("Digits fit the dial"),
    "V3": _l("Time of the reading"),
    "V4": _l("One reading per order and register"),
    "V5": _l("Previous reading confirmed"),
    "V6": _l("Dial did not go backwards"),
    "V7": _l("Something was used"),
    "V8": _l("Use as expected"),
    "V9": _l("Time-of-use sum"),
    "V10": _l("Estimates in a row"),
    "V11": _l("Inactive point"),
    "V12": _l("Place and time"),
}

READ_REASONS: Mapping[str, Any] = {
    "01": _l("periodic"),
    "02": _l("interim, billed"),
    "03": _l("final"),
    "06": _l("move-in"),
    "09": _l("interim, not billed"),
    "10": _l("control"),
    "13": _l("disconnection"),
    "18": _l("reconnection"),
    "21": _l("installation"),
    "22": _l("removal"),
}

NAMES: Mapping[str, Any] = {
    "total": _l("total"),
    "sharp": _l("sharp"),
    "peak": _l("peak"),
    "flat": _l("flat"),
    "valley": _l("valley"),
    "reactive": _l("reactive"),
    "device": _l("handheld"),
    "office": _l("office"),
    "customer": _l("customer"),
    "import": _l("import"),
    "system": _l("system"),
    "regular": _l("regular"),
    "verified": _l("keyed twice"),
    "office_estimate": _l("office estimate"),
    "system_estimate": _l("system estimate"),
    "system_prorate": _l("system prorate"),
    "postpaid": _l("postpaid"),
    "prepaid": _l("prepaid"),
    "residential": _l("residential"),
    "commercial": _l("commercial"),
    "industrial": _l("industrial"),
    "monthly": _l("monthly"),
    "bimonthly": _l("every two months"),
    "holder": _l("account holder"),
    "difference": _l("difference"),
    "rollover": _l("dial passed zero"),
    "exchange": _l("meter exchange"),
    "bill.issued": _l("bill notice"),
    "bill_issued": _l("bill notice"),
    "energy": _l("energy"),
    "bill": _l("bill"),
    "service": _l("service"),
    "crew": _l("crew"),
    "warehouse": _l("warehouse"),
    "van": _l("van"),
    "shop": _l("shop"),
    "meter_reading.v1": _l("meter reading"),
    "meter_skip.v1": _l("skip"),
    "shift.v1": _l("shift"),
    "reading": _l("reading"),
    "capture": _l("item from a handheld"),
    "capture_reject": _l("unreadable data from a handheld"),
    "attachment": _l("photo or document"),
    "billing": _l("billing"),
    "type": _l("kind"),
    "device_id": _l("number of the handheld"),
    "message": _l("message"),
    "date": _l("day"),
    "fixed": _l("fixed charge"),
    "simulated": _l("simulated"),
    "up": _l("up"),
    "down": _l("down"),
    "bound": _l("connected"),
    "stopped": _l("stopped"),
    **about_accounts.NAMES,
    **about_messages.NAMES,
    **about_dues.NAMES,
    **about_bills.NAMES,
    **about_tariffs.NAMES,
}

ROLES: Mapping[str, Any] = {
    "admin": _l("administrator"),
    "manager": _l("manager"),
    "billing_clerk": _l("billing clerk"),
    "dispatcher": _l("dispatcher"),
    "meter_reader": _l("meter reader"),
    "repair": _l("repair"),
    "seller": _l("seller"),
    "cashier": _l("cashier"),
    "account_manager": _l("account manager"),
    "auditor": _l("auditor"),
}

ACTS: Mapping[str, Any] = {
    "reading.released": _l("released the reading"),
    "reading.discarded": _l("refused the reading"),
    "reading.superseded": _l("superseded the reading"),
    "reading.move": _l("put the reading on another meter"),
    "meter.exchange": _l("exchanged the meter"),
    "device.token_renewed": _l("renewed the handheld's token"),
    "import.file": _l("imported a file"),
    "review.released": _l("released it from review"),
    "review.discarded": _l("refused it in review"),
    "review.closed": _l("closed it in review"),
    "review.corrected": _l("corrected it in review"),
    "review.reassigned": _l("gave it to somebody"),
    "device.enrolled": _l("enrolled the handheld"),
    "device.revoked": _l("shut the handheld out"),
    "staff.signed_in": _l("signed in"),
    "enrolment.offered": _l("made a code for a handheld"),
    "staff.added": _l("added the person"),
    "staff.deactivated": _l("switched the person off"),
    "staff.activated": _l("switched the person on again"),
    "staff.language": _l("changed the language"),
    "staff.second_factor_on": _l("set a second factor up"),
    "staff.second_factor_off": _l("took the second factor off"),
    "staff.second_factor_removed": _l("removed the second factor"),
    "staff.recovery_codes_made": _l("made recovery codes"),
    "staff.recovery_code_used": _l("used a recovery code"),
    "route.assigned": _l("gave the route to another reader"),
    "phone.shown": _l("looked at the phone number"),
    **about_accounts.ACTS,
    **about_messages.ACTS,
    **about_bills.ACTS,
}

REFUSALS: Mapping[str, Any] = {
    "identity.forbidden": _l(
        "You do not have the right to do this. Ask an administrator if you need it."
    ),
    "console.form_expired": _l(
        "This page had been open too long, or cookies are switched off. Nothing was changed."
        " Open the page again and repeat your entry."
    ),
    "review.closed": _l("Somebody has decided this already."),
    "review.unknown": _l("There is no such item in the queue."),
    "reading.same_person": _l(
        "You took this reading yourself. Somebody else with the right has to decide it."
    ),
    "reading.why": _l("Say in a few words why."),
    "review.why_missing": _l("Say in a few words why."),
    "review.not_json": _l("The corrected capture is no JSON object: look at commas and quotes."),
    "reading.nothing_to_replace": _l("There is no confirmed reading that it could replace."),
    "billing.nothing_billed": _l("Nothing could be billed: is there a tariff for that day?"),
    "review.not_his": _l("This person may not decide about it: right, team or own capture."),
    "capture.same_person": _l("You captured this yourself. Somebody else has to decide it."),
    "capture.not_stored": _l("The handheld still holds this: try it again."),
    "attachment.here": _l("The file is here: there is nothing to wait for."),
    "reading.figure": _l("A dial shows digits only."),
    "review.no_way": _l("This cannot be done with such an item."),
    "reading.below_previous": _l(
        "Below the previous reading: say that the dial passed zero, or refuse it."
    ),
    "reading.not_installed": _l(
        "The reading belongs to no meter of this point: move it to the right one, or refuse it."
    ),
    "staff.self": _l("You cannot switch yourself off."),
    "staff.own_factor": _l("Your own second factor is taken off on the page of your account."),
    "staff.no_second_factor": _l("There is no second factor to remove."),
    "staff.unchanged": _l("That is how it is already."),
    "staff.weak_password": _l("The password is too weak."),
    "reading.not_held": _l("This reading is no longer held; somebody has decided it already."),
    "reading.unknown": _l("There is no such reading, or it is not yours to see."),
    "staff.username_taken": _l("This user name is taken."),
    "staff.unknown_role": _l("One of the roles does not exist."),
    "staff.beyond_own_rights": _l("This goes beyond your own rights."),
    "staff.foreign_unit": _l("This team is not yours."),
    "staff.unknown": _l("There is no such person, or you may not see them."),
    "device.unknown": _l("There is no such handheld, or you may not see it."),
    "account.unknown": _l("There is no such account, or it is not yours to see."),
    "route.unknown": _l("There is no such route, or it is not yours to see."),
    "message.unknown": _l("There is no such message, or it is not yours to see."),
    "bill.unknown": _l("There is no such bill, or it is not yours to see."),
    "api_token.unknown": _l("You have no such token."),
    "operator.missing": _l("This system has not been set up yet: run `flask init` on the server."),
    **about_accounts.REFUSALS,
    **about_messages.REFUSALS,
    **about_dues.REFUSALS,
    **about_bills.REFUSALS,
    **about_tariffs.REFUSALS,
}


def language_is_chinese() -> bool:
    """Whether the page speaks Chinese."""
    return str(get_locale()).startswith("zh")


def sentence(error: DomainError) -> str:
    """A failure in the reader's language; with its code where we have no words for it."""
    if error.code in REFUSALS:
        return str(REFUSALS[error.code])
    if error.code in REASONS:
        return f"{REASONS[error.code]}{'。' if language_is_chinese() else '.'}"
    return error.message


def tone(state: str | None) -> str:
    """Which of the state colours a state has: good, warn, bad, todo or idle."""
    return str(STATES[state][0]) if state is not None and state in STATES else "idle"


def word(state: str | None) -> str:
    """A state in words."""
    if state is None:
        return "–"
    return str(STATES[state][1]) if state in STATES else state.replace("_", " ")


def message_state(state: str) -> str:
    """The state of a message; one that is held waits for its time, not for a person."""
    return "deferred" if state == "held" else state


def reason(code: str | None) -> str:
    """Why something was held or refused."""
    if code is None:
        return "–"
    return str(REASONS[code]) if code in REASONS else name(code)


def finding(code: str, detail: Mapping[str, Any] | None) -> str:
    """What a check found with its figures, or nothing when the reason says it all."""
    if code not in FINDINGS:
        return ""
    try:
        return str(FINDINGS[code]) % (detail or {})
    except KeyError:
        return ""


def rule(code: str) -> str:
    """What a check looks at."""
    return str(RULES.get(code, code))


def name(code: str | None) -> str:
    """The word for a code of one of the many small lists."""
    if not code:
        return "–"
    for table in (NAMES, READ_REASONS, ROLES, ACTS):
        if code in table:
            return str(table[code])
    for codes in (TROUBLES, SKIPS):
        if code in codes:
            return codes[code][0 if language_is_chinese() else 1]
    return code.replace("_", " ").replace(".", " · ")
