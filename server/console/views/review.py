"""Review: an inbox of what the system could not settle; `ways` says what can be done about it."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server import review as queue
from server.console import entry, paging, scope, ways, words
from server.console.queries import readings, review
from server.db import Session, carry_out, snapshot
from server.errors import Conflict, DomainError, Invalid
from server.identity.models import Staff
from server.review import ReviewItem
from server.rounds.scope import Scope


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
        ways=ways.of(chosen) if chosen else {},
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
        "place": _place(item),
    }


def _place(item: ReviewItem) -> str | None:
    """The page on which what an item is about can be put right."""
    about = item.subject_id
    if item.kind != "notices" or not scope.may("messages", "view"):
        return None
    if item.subject_type == "gateway":
        return url_for("console.messages_gateways_one", gateway_id=int(about))
    if item.subject_type == "template":
        return url_for("console.messages_templates_one", event=about)
    return url_for("console.messages_sendings")


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
    needed = {way.right for way in ways.of(item).values()} | {ways.DECIDE}
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


def _decide(session: Session, item_id: int, why: str) -> ways.Way:
    """Do what the form asks for and return the way it was done in."""
    seen = scope.of(session, "review", "decide")
    item = scope.found(review.one(session, seen, item_id), "review")
    way = ways.of(item).get(request.form.get("way", ""))
    if way is None:
        raise Invalid("review.no_way", "This cannot be done with such an item.")
    if not why:
        raise Invalid("review.why_missing", "Say in a few words why.")
    actor = entry.actor()
    actor.require(*way.right)
    way.act(session, actor, item, why[:255])
    return way
