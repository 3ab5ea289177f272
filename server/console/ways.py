"""What can be done about an item of the review queue: the ways out of it, kind by kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from flask import request
from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError

from server import review as queue
from server.billing.rules.classes import BillingRules
from server.capture import decide as captures
from server.capture import decide_files as files
from server.capture import settle
from server.capture.schemas import DialValue
from server.console import entry
from server.db import Session
from server.dues import service as dues
from server.errors import Invalid
from server.identity.actor import Actor
from server.metering.service import DialEntry
from server.review import ReviewItem

Act = Callable[[Session, Actor, ReviewItem, str], object]


@dataclass(frozen=True)
class Way:
    """A way out of the queue: its button, what it does, and the field of the form it reads."""

    word: Any
    done: Any
    act: Act
    right: tuple[str, str]
    style: str = ""
    field: str | None = None


def _rules() -> BillingRules:
    return settle.billing_rules(entry.settings())


def _release(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return settle.release_reading(session, actor, int(item.subject_id), why, _rules())


def _discard(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    settle.discard_reading(session, actor, int(item.subject_id), why)
    return None


def _close(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return queue.close(session, actor, item.id, "closed", why)


def _passed_zero(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    reading_id = int(item.subject_id)
    return settle.release_reading(session, actor, reading_id, why, _rules(), rollover=True)


def _move(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return settle.move_reading(session, actor, int(item.subject_id), why, _rules())


def _replace(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return settle.replace_confirmed(session, actor, int(item.subject_id), why, _rules())


def _bill(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    settle.bill_account(session, actor, int(item.subject_id), _rules())
    return queue.close(session, actor, item.id, "released", why)


def _correct_bill(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return dues.decide_correction(session, actor, item.id, why, _rules())


def _take(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return captures.take(session, actor, item.id, why, entry.settings())


def _correct(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    payload = _object(request.form.get("payload", ""))
    return captures.correct(session, actor, item.id, payload, why, entry.settings())


def _object(text: str) -> dict[str, Any]:
    """The corrected capture as it was typed."""
    try:
        payload = orjson.loads(text)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        raise Invalid("review.not_json", "The corrected capture must be a JSON object.")
    return payload


def _discard_capture(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    captures.discard(session, actor, item.id, why)
    return None


def _wait_longer(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return files.wait_longer(session, actor, item.id, why, entry.settings())


def _go_without(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return files.go_without(session, actor, item.id, why)


def _accept_file(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return files.accept_as_it_is(session, actor, item.id, why)


def _accept_visit(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    captures.accept_visit(session, actor, item.id, why)
    return None


def _accept_position(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    captures.accept_position(session, actor, item.id, why)
    return None


def _correct_reading(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    dials = [
        DialEntry(name.removeprefix("dial."), _figure(value))
        for name, value in request.form.items()
        if name.startswith("dial.")
    ]
    return settle.correct_reading(session, actor, int(item.subject_id), dials, why, _rules())


def _figure(text: str) -> Decimal:
    """A dial's figure as it was typed."""
    try:
        return DialValue().deserialize(text.strip())
    except ValidationError as error:
        raise Invalid("reading.figure", "A dial shows digits only.") from error


RELEASE = ("readings", "release")
DECIDE = ("review", "decide")
_RELEASED = _l("Released: the reading counts.")

# What can be done about what: by kind, or by kind and reason; anything else can be closed.
CLOSE = Way(_l("Close"), _l("Closed."), _close, ("review", "decide"))
DISCARD = Way(_l("Refuse"), _l("Refused: the read order is open again."), _discard, RELEASE, "bad")
CORRECT_READING = Way(
    _l("Correct"),
    _l("Corrected: the new figure was judged."),
    _correct_reading,
    RELEASE,
    field="dials",
)
_SETTLED = _l("Settled: it counts.")
REFUSE = Way(
    _l("Refuse"), _l("Refused: it counts for nothing and is kept."), _discard_capture, DECIDE, "bad"
)
TRY_AGAIN = Way(_l("Try again"), _SETTLED, _take, DECIDE, "main")
CORRECT = Way(_l("Settle as corrected"), _SETTLED, _correct, DECIDE, "main", field="payload")
WAIT = Way(
    _l("Wait longer"),
    _l("The handheld is asked for it again."),
    _wait_longer,
    DECIDE,
    "main",
)
GO_WITHOUT = Way(
    _l("Go without"), _l("Nobody waits for the file any more."), _go_without, DECIDE, "bad"
)
REPLACE = Way(
    _l("Replace the confirmed reading"),
    _l("Replaced: the re-read counts, what was used is found anew."),
    _replace,
    RELEASE,
    "main",
)
WAYS: dict[tuple[str, str], dict[str, Way]] = {
    ("capture", ""): {"correct": CORRECT, "discard": REFUSE},
    ("capture", "device.revoked"): {
        "take": Way(_l("Settle"), _SETTLED, _take, DECIDE, "main"),
        "discard": REFUSE,
    },
    ("capture", "capture.fault"): {"take": TRY_AGAIN, "discard": REFUSE},
    ("capture", "exchange.other_meter"): {
        "correct": CORRECT,
        "take": Way(_l("Try again"), _SETTLED, _take, DECIDE),
        "discard": REFUSE,
    },
    ("capture", "item.same_id_other_content"): {
        "take": Way(_l("Settle this content too"), _SETTLED, _take, DECIDE, "main"),
        "discard": REFUSE,
    },
    ("capture", "visit.not_your_route"): {
        "accept": Way(_l("Count the visit"), _SETTLED, _accept_visit, DECIDE, "main"),
        "discard": REFUSE,
    },
    ("capture", "reading.billed"): {"take": TRY_AGAIN, "discard": REFUSE},
    ("billing", "billing.no_tariff"): {
        "bill": Way(
            _l("Bill now"),
            _l("Billed by the tariff it has now."),
            _bill,
            ("bills", "issue"),
            "main",
        ),
        "close": CLOSE,
    },
    ("bill_correction", ""): {
        "correct_bill": Way(
            _l("Carry it out"),
            _l("Carried out."),
            _correct_bill,
            ("bills", "cancel"),
            "main",
        ),
        "close": Way(_l("Refuse"), _l("Refused: the bill stays."), _close, DECIDE, "bad"),
    },
    ("attachment", ""): {"wait": WAIT, "without": GO_WITHOUT},
    ("attachment", "attachment.type_not_allowed"): {"without": GO_WITHOUT},
    ("attachment", "attachment.type_mismatch"): {
        "accept": Way(
            _l("Accept as it is"), _l("It is shown with its item."), _accept_file, DECIDE, "main"
        ),
        "without": GO_WITHOUT,
    },
    ("premise_position", ""): {
        "accept": Way(
            _l("Move the premise"),
            _l("Moved: handhelds hear of it."),
            _accept_position,
            DECIDE,
            "main",
        ),
        "discard": REFUSE,
    },
    ("reading", ""): {
        "release": Way(_l("Release"), _RELEASED, _release, RELEASE, "main"),
        "correct": CORRECT_READING,
        "discard": DISCARD,
    },
    ("reading", "reading.below_previous"): {
        "rollover": Way(_l("Release: the dial passed zero"), _RELEASED, _passed_zero, RELEASE),
        "release": Way(_l("Release"), _RELEASED, _release, RELEASE),
        "correct": CORRECT_READING,
        "discard": DISCARD,
    },
    ("reading", "reading.duplicate"): {"replace": REPLACE, "discard": DISCARD},
    ("reading", "reading.billed"): {"replace": REPLACE, "discard": DISCARD},
    ("reading", "reading.not_own"): {
        "replace": REPLACE,
        "release": Way(_l("Release beside it"), _RELEASED, _release, RELEASE),
        "discard": DISCARD,
    },
    ("reading", "reading.not_installed"): {
        "move": Way(
            _l("Move to the installed meter"),
            _l("Moved: the reading was judged anew for the right meter."),
            _move,
            RELEASE,
            "main",
        ),
        "discard": DISCARD,
    },
}


def of(item: ReviewItem) -> dict[str, Way]:
    """The ways out for an item."""
    found = WAYS.get((item.kind, item.reason)) or WAYS.get((item.kind, ""))
    return found or {"close": CLOSE}
