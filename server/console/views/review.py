"""Review: an inbox of what the system could not settle, with what can be done about each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
from flask import flash, redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from server import review as queue
from server.billing.rules.classes import BillingRules
from server.capture import decide as captures
from server.capture import decide_files as files
from server.capture import settle
from server.capture.schemas import DialValue
from server.console import entry, paging, scope, words
from server.console.queries import readings, review
from server.db import Session, carry_out, snapshot
from server.errors import Conflict, DomainError, Invalid
from server.identity.actor import Actor
from server.identity.models import Staff
from server.metering.service import DialEntry
from server.review import ReviewItem
from server.rounds.scope import Scope

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


def ways(item: ReviewItem) -> dict[str, Way]:
    """The ways out for an item."""
    found = WAYS.get((item.kind, item.reason)) or WAYS.get((item.kind, ""))
    return found or {"close": CLOSE}


def page() -> str:
    """The inbox; the chosen item, or the first, stands at the side."""
    return _page({}, "")


def _page(wrong: dict[str, str], why: str, item_id: int | None = None) -> str:
    reason, kind = request.args.get("reason"), request.args.get("kind")
    mine = request.args.get("owner") == "me"
    with snapshot() as session:
        seen = scope.of(session, "review", "view")
        owner_id = entry.actor().staff_id if mine else None
        statement = review.listed(seen, reason, kind, owner_id)
        found = paging.page(session, statement, ReviewItem.id, descending=False)
        abouts = review.abouts(session, [row.ReviewItem for row in found.rows])
        chosen = _chosen(session, seen, found, item_id)
        detail = _detail(session, chosen) if chosen else {}
        reasons = review.reasons(session, seen)
    return render_template(
        "console/review.html",
        page=found,
        abouts=abouts,
        chosen=chosen,
        reasons=reasons,
        reason=reason,
        mine=mine,
        wrong=wrong,
        why=why,
        ways=ways(chosen) if chosen else {},
        **detail,
    )


def _chosen(
    session: Session, seen: Scope, found: paging.Page, item_id: int | None
) -> ReviewItem | None:
    wanted = request.args.get("item", "")
    if item_id is None and wanted.isdigit() and len(wanted) < 19:
        item_id = int(wanted)
    if item_id is not None:
        return scope.found(review.one(session, seen, item_id), "review")
    return found.rows[0].ReviewItem if found.rows else None


def _detail(session: Session, item: ReviewItem) -> dict[str, Any]:
    whole = None
    if item.subject_type == "reading" and scope.may("readings", "view"):
        seen = scope.of(session, "readings", "view")
        whole = readings.whole(session, seen, int(item.subject_id))
    sent = review.sent(session, item)
    body = None
    if sent is not None:
        payload = getattr(sent, "payload", None)
        body = (
            orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode()
            if payload is not None
            else getattr(sent, "body", "")
        )
    return {
        "it": whole,
        "sent": sent,
        "body": body,
        "dials": _dials(whole) if whole is not None else [],
        "people": _people(session, item),
    }


def _dials(whole: readings.Whole) -> list[tuple[str, str]]:
    """The figures of a capture as they can be typed over."""
    return [
        (row.register_kind, f"{row.value.normalize():f}" if row.value is not None else "")
        for row in (whole.reading, *whole.siblings)
    ]


def give(item_id: int) -> Response:
    """Give an item to somebody, or back to the whole team."""
    wanted = request.form.get("owner", "")
    owner_id = int(wanted) if wanted.isdigit() and len(wanted) < 19 else None
    carry_out(partial(_give, item_id=item_id, owner_id=owner_id))
    return redirect(url_for("console.review", item=item_id))


def _give(session: Session, item_id: int, owner_id: int | None) -> None:
    seen = scope.of(session, "review", "decide")
    item = scope.found(review.one(session, seen, item_id), "review")
    if owner_id is not None and owner_id not in {p.id for p in _people(session, item)}:
        raise Conflict(
            "review.not_his", "This person may not decide about it.", {"owner_id": owner_id}
        )
    queue.reassign(session, entry.actor(), item_id, owner_id)


def _people(session: Session, item: ReviewItem) -> list[Staff]:
    """Those whom the viewer sees and who may take the item out of the queue."""
    needed = {way.right for way in ways(item).values()} | {DECIDE}
    return review.people(session, scope.of(session, "review", "view"), item, needed)


def decide(item_id: int) -> Response | str | tuple[str, int]:
    """Take an item out of the queue in one of its ways, with the reason that was given."""
    why = request.form.get("why", "").strip()
    try:
        way = carry_out(partial(_decide, item_id=item_id, why=why))
    except DomainError as error:
        field = "why" if error.code in ("review.why_missing", "reading.why") else "way"
        return _page({field: words.sentence(error)}, why, item_id), error.status
    flash(str(way.done), "message")
    kept: dict[str, Any] = {n: request.args[n] for n in ("reason", "kind") if request.args.get(n)}
    return redirect(url_for("console.review", **kept))


def _decide(session: Session, item_id: int, why: str) -> Way:
    """Do what the form asks for and return the way it was done in."""
    seen = scope.of(session, "review", "decide")
    item = scope.found(review.one(session, seen, item_id), "review")
    way = ways(item).get(request.form.get("way", ""))
    if way is None:
        raise Invalid("review.no_way", "This cannot be done with such an item.")
    if not why:
        raise Invalid("review.why_missing", "Say in a few words why.")
    actor = entry.actor()
    actor.require(*way.right)
    way.act(session, actor, item, why[:255])
    return way
