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
from server.capture import settle
from server.console import entry, paging, scope, words
from server.console.look import look
from server.console.queries import readings, review
from server.db import Session, transaction
from server.errors import DomainError, Invalid
from server.identity.actor import Actor
from server.review import ReviewItem

Act = Callable[[Session, Actor, ReviewItem, str], object]


@dataclass(frozen=True)
class Way:
    """A way out of the queue: its button, whether it needs a reason, what it does."""

    word: Any
    done: Any
    act: Act
    right: tuple[str, str]
    style: str = ""


def _release(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return settle.release_reading(session, actor, int(item.subject_id), why)


def _discard(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return settle.discard_reading(session, actor, int(item.subject_id), why)


def _close(session: Session, actor: Actor, item: ReviewItem, why: str) -> object:
    return queue.close(session, actor, item.id, "closed", why)


# What can be done about each kind of item; every other kind can be closed with a reason.
CLOSE = Way(_l("Close"), _l("Closed."), _close, ("review", "decide"))
WAYS: dict[str, dict[str, Way]] = {
    "reading": {
        "release": Way(
            _l("Release"),
            _l("Released: the reading counts."),
            _release,
            ("readings", "release"),
            "main",
        ),
        "discard": Way(
            _l("Refuse"),
            _l("Refused: the read order is open again."),
            _discard,
            ("readings", "release"),
            "bad",
        ),
    },
}


def ways(item: ReviewItem) -> dict[str, Way]:
    """The ways out for an item."""
    return WAYS.get(item.kind, {"close": CLOSE})


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
    session: Session, seen: scope.Scope, found: paging.Page, item_id: int | None
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
    kept = {name: request.args[name] for name in ("reason", "kind") if request.args.get(name)}
    return redirect(url_for("console.review", **kept))
