"""What keeps texts from leaving until a person has changed something: one review item for each.

Looked at every minute. A trouble that is over closes its item; one that somebody has put aside is not
raised again for a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, select

from server import review
from server.clock import to_ms
from server.db import Session
from server.identity.actor import SYSTEM
from server.notify.models import FanOut
from server.notify.queries.gateways import GatewayView, gateway_views
from server.notify.rules import answers
from server.notify.service.wording import load_wording
from server.review import NewItem, ReviewItem

KIND = "notices"
PUT_ASIDE = timedelta(days=1)
_AT_WORK = ("bound", "up", "paused")


class Trouble(NamedTuple):
    """Why texts do not leave, and what it is about."""

    reason: str
    subject_type: str
    subject_id: str


def look(session: Session, now: datetime) -> int:
    """Raise what is new, close what is over; how many troubles there are."""
    views = gateway_views(session)
    found = dict(_troubles(session, views))
    undecided = _undecided(views)
    known = {_of(item): item.id for item in session.scalars(_items().where(_OPEN))}
    for trouble, item_id in known.items():
        if trouble not in found and not (
            trouble.subject_type == "gateway" and trouble.subject_id in undecided
        ):
            review.close(session, SYSTEM, item_id, "closed", "It is over.")
    aside = {_of(item) for item in session.scalars(_items().where(_put_aside(now - PUT_ASIDE)))}
    review.raise_items(
        session,
        [
            NewItem(
                key=f"{'.'.join(trouble)}:{to_ms(now)}"[-120:],
                kind=KIND,
                detail=detail,
                **trouble._asdict(),
            )
            for trouble, detail in found.items()
            if trouble not in known and trouble not in aside
        ],
    )
    return len(found)


def _troubles(
    session: Session, views: list[GatewayView]
) -> Iterator[tuple[Trouble, dict[str, object]]]:
    for view in views:
        about = ("gateway", str(view.id))
        if view.now.enabled and view.now.state == "refused":
            said: dict[str, object] = {"gateway": view.now.name, "said": view.now.detail}
            yield Trouble("gateway.refused", *about), said
        wrong = view.errors().get(answers.CONFIGURATION, 0)
        if view.now.enabled and wrong:
            yield Trouble("gateway.configuration", *about), {"gateway": view.now.name}
    for event, variant in sorted(load_wording(session).broken):
        yield Trouble("template.broken", "template", event), {"event": event, "language": variant}
    stopped = select(FanOut.id, FanOut.key, FanOut.error).where(FanOut.status == "stopped")
    for number, key, error in session.execute(stopped):
        yield Trouble("fan_out.stopped", "fan_out", str(number)), {"key": key, "error": error}


def _undecided(views: list[GatewayView]) -> set[str]:
    """Gateways in use of which nobody can say yet whether they work: between two tries, or not run."""
    return {
        str(view.id)
        for view in views
        if view.now.enabled and not (view.now.alive and view.now.state in _AT_WORK)
    }


_OPEN = ReviewItem.status == "open"


def _put_aside(since: datetime) -> ColumnElement[bool]:
    return ReviewItem.closed_by_id.is_not(None) & (ReviewItem.closed_at > since)


def _items() -> Select[ReviewItem]:
    return select(ReviewItem).where(ReviewItem.kind == KIND)


def _of(item: ReviewItem) -> Trouble:
    return Trouble(item.reason, item.subject_type, item.subject_id)
