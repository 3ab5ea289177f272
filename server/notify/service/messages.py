"""Queueing notices, withdrawing them, and saying beforehand what they would be and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update

from server import clock
from server.db import Session, among, among_texts, insert_new, take_ids
from server.errors import Conflict, Invalid, NotFound
from server.notify import budgets, consent, routes
from server.notify.models import OutboxMessage
from server.notify.rules import categories, events, mails, segments, states
from server.notify.rules.phones import is_email, is_recipient
from server.notify.rules.routing import Routes
from server.notify.service.wording import Wording, wording

_SLICE = 5000
_LONGEST_KEY = 200
_M = OutboxMessage


@dataclass(frozen=True)
class Notice:
    """One notice to one phone, or to an e-mail address where a gateway of that kind is set up.

    `key` names event and phone for ever: a second notice of the same key is the same message. `data`
    holds exactly the variables that `rules.events` declares for `event` (values, not words: see
    `rules.templates`); the operator's name `co` is added here. `language` is the contact's. Before
    `not_before` it waits, after `expires_at` it is not sent any more. `priority` stands before the
    event's; `category` too, for texts that somebody wrote (`Event.free`).
    """

    event: str
    key: str
    phone: str
    language: str | None
    data: Mapping[str, Any]
    contact_id: int | None = None
    account_id: int | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    category: str | None = None
    priority: int | None = None


@dataclass(frozen=True)
class Preview:
    """What notices would be if they were queued now: counts by state, and the cost of what would go.

    `texts` holds different texts with their segments, the first few of them.
    """

    messages: int
    segments: int
    cost: Decimal
    states: Mapping[str, int]
    errors: Mapping[str, int]
    texts: Sequence[tuple[str, int]]

    def plus(self, other: Preview) -> Preview:
        """Both together; the different texts of both are few."""
        return Preview(
            self.messages + other.messages,
            self.segments + other.segments,
            self.cost + other.cost,
            Counter(self.states) + Counter(other.states),
            Counter(self.errors) + Counter(other.errors),
            list(dict([*self.texts, *other.texts]).items()),
        )


def enqueue(session: Session, notices: Sequence[Notice], *, strict: bool = False) -> dict[str, int]:
    """Queue notices in the caller's transaction and return the message id of every key.

    The number of statements does not grow with the notices below five thousand. A recipient that no
    gateway can take makes a failed message instead of an error, so that one bad number never undoes
    what it was to be told about; one who refuses the category makes a suppressed message. With
    `strict`, a key that was used for another text or phone raises Conflict `notify.key_reused`;
    without, the earlier message stands.

    Raises Invalid `notify.unknown_event`, `notify.unknown_category`, `notify.missing_data`,
    `notify.unknown_data`, `notify.text_too_long` or `notify.bad_key`: mistakes of the caller or of a
    template; Conflict `notify.over_budget` when the budget of a category does not bear it.
    """
    wanted = {notice.key: notice for notice in notices}
    return _store(session, _plan(session, wanted.values()), strict=strict) if wanted else {}


def enqueue_worded(
    session: Session, notices: Sequence[Notice], texts: Mapping[str, str]
) -> Decimal:
    """As `enqueue`, for notices that all say one of `texts`, worded beforehand for `mails.VARIANTS`.

    Returns what those of them cost that were not there before.
    """
    wanted = {notice.key: notice for notice in notices}
    plan = _plan(session, wanted.values(), texts)
    return sum((plan.cost(row) for row in _insert(session, plan)), Decimal(0))


def _store(session: Session, plan: _Plan, *, strict: bool) -> dict[str, int]:
    fresh = _insert(session, plan)
    found: dict[str, int] = {row["key"]: row["id"] for row in fresh}
    earlier = [row for row in plan.rows if row["key"] not in found]
    for start in range(0, len(earlier), _SLICE):
        found |= _stored(session, earlier[start : start + _SLICE], strict=strict)
    return found


def _insert(session: Session, plan: _Plan) -> list[dict[str, Any]]:
    """Store the rows whose key is new and charge their budgets; these rows."""
    ids = take_ids(session, {_M: len(plan.rows)})[_M]
    for row, number in zip(plan.rows, ids, strict=True):
        row["id"] = number
    new = set(insert_new(session, _M, plan.rows, ("key",), "key"))
    fresh = [row for row in plan.rows if row["key"] in new]
    bounded = [row for row in fresh if plan.rules.policy(row["category"]).has_budget]
    budgets.charge(session, plan.rules, [(row["category"], plan.cost(row)) for row in bounded])
    return fresh


def preview(session: Session, notices: Sequence[Notice], texts: int = 3) -> Preview:
    """What `enqueue` would do with these notices now; nothing is stored.

    Raises what `enqueue` raises about mistakes in notices.
    """
    wanted = {notice.key: notice for notice in notices}
    plan = _plan(session, wanted.values())
    going = [row for row in plan.rows if row["status"] in ("queued", "held")]
    distinct = {row["text"]: row["segments"] for row in plan.rows}
    return Preview(
        messages=len(plan.rows),
        segments=sum(row["segments"] for row in going),
        cost=sum((plan.cost(row) for row in going), Decimal(0)),
        states=Counter(row["status"] for row in plan.rows),
        errors=Counter(row["error"] for row in plan.rows if row["error"]),
        texts=list(distinct.items())[:texts],
    )


def cancel(session: Session, message_id: int) -> None:
    """Withdraw a message that is still queued or held.

    Raises NotFound `notify.no_message`, or Conflict `notify.too_late` when it has left already.
    """
    if cancel_many(session, [message_id]):
        return
    status = session.scalar(select(_M.status).where(_M.id == message_id))
    if status is None:
        raise NotFound("notify.no_message", f"There is no message {message_id}.")
    raise Conflict(
        "notify.too_late",
        f"Message {message_id} is {status} and cannot be withdrawn.",
        {"status": status},
    )


def cancel_many(session: Session, message_ids: Collection[int]) -> list[int]:
    """Withdraw those of these messages that are still queued or held; their ids."""
    statement = (
        update(_M)
        .where(among(_M.id, message_ids), _M.status.in_(states.sources("cancelled")))
        .values(status="cancelled", status_at=clock.now())
        .returning(_M.id)
    )
    return sorted(session.execute(statement).scalars())


# --- how a notice becomes a row -------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """Rows as they would be stored, judged and routed, with what decided about them."""

    rows: list[dict[str, Any]]
    rules: consent.Rules
    routes: Routes
    now: datetime

    def cost(self, row: Mapping[str, Any]) -> Decimal:
        """What the message costs on its way if the carrier takes it; nothing when it will not go."""
        if row["gateway_id"] is None or row["status"] not in ("queued", "held"):
            return Decimal(0)
        price = self.routes.price(row["gateway_id"], row["phone"], self.now)
        return price * int(row["segments"])


def _plan(
    session: Session, notices: Collection[Notice], texts: Mapping[str, str] | None = None
) -> _Plan:
    now = clock.now()
    token, refused = consent.standing(session, {notice.phone for notice in notices})
    ways = routes.under(session, token)
    rules = consent.rules(session, token)
    make = _row_maker(wording(session, token), texts, now)
    rows = [make(notice) for notice in notices]
    consent.decide(session, rows, rules, refused, now)
    for row in rows:
        row["gateway_id"] = ways.choose(row["phone"], row["category"])
    if not ways.mails:
        _suppress_mails(rows)
    return _Plan(rows, rules, ways, now)


def _suppress_mails(rows: Iterable[dict[str, Any]]) -> None:
    """Without any gateway for e-mails they would wait for ever, and go out when they are old."""
    for row in rows:
        if row["status"] in ("queued", "held") and is_email(row["phone"]):
            row["status"], row["error"] = "suppressed", "notify.no_mail"


def _row_maker(
    words: Wording, texts: Mapping[str, str] | None, now: datetime
) -> Callable[[Notice], dict[str, Any]]:
    """Makes rows; notices that share their data (an outage to a town) are worded and cut once."""
    worded: dict[tuple[str, str, int, bool], tuple[str, int]] = {}

    def make(notice: Notice) -> dict[str, Any]:
        event = events.event(notice.event)
        language = events.language(notice.language)
        mail = is_email(notice.phone)
        key = (event.name, language, id(notice.data), mail)
        if key not in worded:
            variant = mails.of(language) if mail else language
            text = words.text(event, variant, notice.data) if texts is None else texts[variant]
            worded[key] = (text, 1 if mail else segments.split(text).count)
        return _row(notice, event, language, *worded[key], now)

    return make


def _row(
    notice: Notice, event: events.Event, language: str, text: str, count: int, now: datetime
) -> dict[str, Any]:
    if not 0 < len(notice.key) <= _LONGEST_KEY:
        raise Invalid("notify.bad_key", f"A key has 1 to {_LONGEST_KEY} characters.")
    category, priority, delivery = class_of(event, notice.category, notice.priority)
    good = is_recipient(notice.phone)
    waits = notice.not_before is not None and notice.not_before > now
    return {
        "created_at": now,
        "key": notice.key,
        "event": event.name,
        "category": category,
        "priority": priority,
        "delivery": delivery,
        "phone": notice.phone if good else notice.phone[:20],
        "contact_id": notice.contact_id,
        "account_id": notice.account_id,
        "language": language,
        "text": text,
        "segments": count,
        "status": "failed" if not good else "held" if waits else "queued",
        "gateway_id": None,
        "attempts": 0,
        "copies": 0,
        "possible_duplicate": False,
        "error": None if good else "notify.bad_phone",
        "not_before": notice.not_before,
        "expires_at": notice.expires_at,
        "status_at": now,
    }


def class_of(
    event: events.Event, category: str | None, priority: int | None
) -> tuple[str, int, str]:
    """Category, priority and delivery of a notice that may wish for its own.

    Raises Invalid `notify.unknown_category` when there is none of the name, or the event has its own.
    """
    if category is None or category == event.category:
        return event.category, event.priority if priority is None else priority, event.delivery
    chosen = categories.category(category)
    if not event.free:
        raise Invalid(
            "notify.unknown_category",
            f"The notice {event.name} is of category {event.category} always.",
            {"event": event.name, "category": category},
        )
    return chosen.name, chosen.priority if priority is None else priority, chosen.delivery


def _stored(session: Session, rows: Iterable[Mapping[str, Any]], *, strict: bool) -> dict[str, int]:
    """The message of every key that an earlier call has used."""
    wanted = {row["key"]: row for row in rows}
    found = session.execute(
        select(_M.key, _M.id, _M.phone, _M.text).where(among_texts(_M.key, wanted))
    ).all()
    if strict:
        for key, _, phone, text in found:
            if (phone, text) != (wanted[key]["phone"], wanted[key]["text"]):
                raise Conflict(
                    "notify.key_reused",
                    f"The key {key} belongs to another notice already.",
                    {"key": key},
                )
    return {key: number for key, number, _, _ in found}
