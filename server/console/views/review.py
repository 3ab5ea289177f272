"""Review: an inbox of what the system could not settle, with what can be done about each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from flask import flash, redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from server import review as queue
from server.billing.rules.classes import BillingRules
from server.capture import settle
from server.console import entry, paging, scope, words
from server.console.look import look
from server.console.queries import readings, review
from server.db import Session, transaction
from server.errors import DomainError, Invalid
from server.identity.actor import Actor
from server.review import ReviewItem
from server.rounds.scope import Scope

Act = Callable[[Session, Actor, ReviewItem, str], object]


@dataclass(frozen=True)
class Way:
    """A way out of the queue: its button, whether it needs a reason, what it does."""

    word: Any
    done: Any
    act: Act
    right: tuple[str, str]
    style: str = ""


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


RELEASE = ("readings", "release")
_RELEASED = _l("Released: the reading counts.")

# What can be done about what: by kind, or by kind and reason; anything else can be closed.
CLOSE = Way(_l("Close"), _l("Closed."), _close, ("review", "decide"))
DISCARD = Way(_l("Refuse"), _l("Refused: the read order is open again."), _discard, RELEASE, "bad")
WAYS: dict[tuple[str, str], dict[str, Way]] = {
    ("reading", ""): {
        "release": Way(_l("Release"), _RELEASED, _release, RELEASE, "main"),
        "discard": DISCARD,
    },
    ("reading", "reading.below_previous"): {
        "rollover": Way(_l("Release: the dial passed zero"), _RELEASED, _passed_zero, RELEASE),
        "release": Way(_l("Release"), _RELEASED, _release, RELEASE),
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
    with look() as session:
        seen = scope.of(session, "review", "view")
        statement = review.listed(seen, reason, kind)
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
    return {"it": whole, "sent": sent, "body": body}


def decide(item_id: int) -> Response | str | tuple[str, int]:
    """Take an item out of the queue in one of its ways, with the reason that was given."""
    why = request.form.get("why", "").strip()
    actor = entry.actor()
    try:
        with transaction() as session:
            seen = scope.of(session, "review", "decide")
            item = scope.found(review.one(session, seen, item_id), "review")
            way = ways(item).get(request.form.get("way", ""))
            if way is None:
                raise Invalid("review.no_way", "This cannot be done with such an item.")
            if not why:
                raise Invalid("review.why_missing", "Say in a few words why.")
            actor.require(*way.right)
            way.act(session, actor, item, why[:255])
    except DomainError as error:
        return _page({"why": words.sentence(error)}, why, item_id), error.status
    flash(str(way.done), "message")
    kept: dict[str, Any] = {n: request.args[n] for n in ("reason", "kind") if request.args.get(n)}
    return redirect(url_for("console.review", **kept))
