"""What a phone may be sent and when: refusals by category, quiet hours, holidays, frequency caps.

`judge` decides about messages before they are stored, `recheck` about messages a gateway is about to
send; both ask for a whole batch at once. This package alone knows what a phone has refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Select, String, delete, literal, select, union_all

from server import audit, clock
from server.db import Session, among_texts, insert_new, many_texts, run
from server.errors import Invalid
from server.notify import setup
from server.notify.models import (
    REFUSAL_SOURCES,
    Holiday,
    NoticePolicy,
    NoticeSetup,
    OutboxMessage,
    PhoneRefusal,
)
from server.notify.rules import phones, quiet
from server.notify.rules.categories import DEFAULT_POLICIES, REFUSABLE, Policy
from server.operator import Operator

REFUSED = "notify.refused"
CAPPED = "notify.capped"
QUIET = "notify.quiet_hours"
EXPIRED = "notify.expired"

# States that count against a frequency cap: sent, or about to be.
_COUNTED = ("queued", "held", "claimed", "submitted", "accepted", "delivered", "unknown")
_SENT = ("submitted", "accepted", "delivered", "unknown")
_M = OutboxMessage


# --- refusals -----------------------------------------------------------------------------


def refuse(
    session: Session,
    actor: audit.Acting,
    phone: str,
    categories: Iterable[str],
    source: str,
    note: str | None = None,
) -> list[str]:
    """Note that a phone wants no more messages of these categories; those that are new.

    Holds at once: messages that wait are suppressed when their turn comes.

    Raises Invalid `notify.not_refusable`, `notify.bad_phone` or `notify.bad_source`.
    """
    wanted = _refusable(categories)
    if not phones.is_recipient(phone):
        raise Invalid("notify.bad_phone", "That is not a phone number such as +8613800000000.")
    if source not in REFUSAL_SOURCES:
        raise Invalid("notify.bad_source", f"A refusal does not come by {source}.")
    rows = [
        {
            "created_at": clock.now(),
            "phone": phone,
            "category": category,
            "source": source,
            "note": note[:160] if note else None,
            "staff_id": actor.id if actor.kind == "staff" else None,
        }
        for category in wanted
    ]
    new = set(insert_new(session, PhoneRefusal, rows, ("phone", "category"), "category"))
    for category in sorted(new):
        what = {"category": category, "source": source}
        audit.record(session, actor, "notify.refused", "phone", phone[:64], after=what)
    return sorted(new)


def allow(
    session: Session,
    actor: audit.Acting,
    phone: str,
    categories: Iterable[str],
    source: str,
) -> list[str]:
    """Take refusals back; the categories that were refused until now.

    Raises Invalid `notify.not_refusable`.
    """
    wanted = _refusable(categories)
    gone = session.scalars(
        delete(PhoneRefusal)
        .where(PhoneRefusal.phone == phone, PhoneRefusal.category.in_(wanted))
        .returning(PhoneRefusal.category)
    ).all()
    for category in sorted(gone):
        what = {"category": category, "source": source}
        audit.record(session, actor, "notify.allowed", "phone", phone[:64], before=what)
    return sorted(gone)


def refusals(session: Session, phone: str) -> list[PhoneRefusal]:
    """What a phone refuses at present, by category."""
    rows = session.scalars(
        select(PhoneRefusal).where(PhoneRefusal.phone == phone).order_by(PhoneRefusal.category)
    )
    return list(rows)


def _refusable(categories: Iterable[str]) -> list[str]:
    wanted = sorted(set(categories))
    wrong = [name for name in wanted if name not in REFUSABLE]
    if wrong or not wanted:
        raise Invalid(
            "notify.not_refusable",
            f"Only these categories can be refused: {', '.join(REFUSABLE)}.",
            {"categories": wrong},
        )
    return wanted


# --- rules --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """What the operator rules about every category, and when nobody is to be disturbed."""

    policies: Mapping[str, Policy]
    holidays: frozenset[date]
    home: str

    def policy(self, category: str) -> Policy:
        """The policy of a category."""
        return self.policies.get(category) or Policy()

    def release(self, phone: str, category: str, key: str, wished: datetime) -> datetime | None:
        """When a message for `wished` may leave instead; None when it may then."""
        policy = self.policy(category)
        if policy.quiet_from is None and not policy.quiet_holidays:
            return None
        zone = ZoneInfo(phones.zone(phone, self.home))
        return quiet.not_before(wished, key, zone, policy, self.holidays)


def rules(session: Session, token: str | None) -> Rules:
    """The rules under a token of `setup`; kept until one of them changes."""
    return setup.by_age(session, "rules", token, load_rules)


def load_rules(session: Session) -> Rules:
    """The rules as the database has them."""
    own = {row.category: policy_of(row) for row in session.scalars(select(NoticePolicy))}
    holidays = frozenset(session.scalars(select(Holiday.day)))
    home = session.scalar(select(Operator.time_zone)) or "UTC"
    return Rules({**DEFAULT_POLICIES, **own}, holidays, home)


def policy_of(row: NoticePolicy) -> Policy:
    """A row as the rules know it."""
    return Policy(
        row.quiet_from,
        row.quiet_to,
        row.quiet_holidays,
        row.spread_minutes,
        row.cap_count,
        row.cap_hours,
        row.budget_day,
        row.budget_month,
    )


# --- before a message is stored --------------------------------------------------------------


def judge(session: Session, rows: Sequence[dict[str, Any]], now: datetime) -> Rules:
    """Decide about planned messages in place; gives the rules it went by.

    A row has `phone`, `category`, `key`, `status`, `error` and `not_before`. One that is queued or
    held may become `suppressed` (error `notify.refused` or `notify.capped`) or `held` until
    `not_before` (error `notify.quiet_hours`). One statement, and one more where a cap applies.
    """
    token, refused = standing(session, {row["phone"] for row in rows})
    found = rules(session, token)
    decide(session, rows, found, refused, now)
    return found


def decide(
    session: Session,
    rows: Sequence[dict[str, Any]],
    found: Rules,
    refused: Collection[tuple[str, str]],
    now: datetime,
) -> None:
    """As `judge`, for a caller who has read the rules and the refusals already."""
    open_rows = [row for row in rows if row["status"] in ("queued", "held")]
    for row in open_rows:
        if (row["phone"], row["category"]) in refused:
            row["status"], row["error"] = "suppressed", REFUSED
    _cap(session, [row for row in open_rows if row["status"] != "suppressed"], found, now)
    for row in open_rows:
        if row["status"] != "suppressed":
            _hold(row, found, now)


_STANDING = union_all(
    select(literal("", String).label("phone"), NoticeSetup.token.label("word")),
    select(PhoneRefusal.phone, PhoneRefusal.category).where(
        among_texts(PhoneRefusal.phone, many_texts("recipients"))
    ),
)


def standing(
    session: Session, recipients: Collection[str]
) -> tuple[str | None, set[tuple[str, str]]]:
    """The token of the set-up and every (phone, category) refused by these recipients: one statement."""
    found = [
        (row[0], row[1]) for row in run(session, _STANDING, {"recipients": sorted(recipients)})
    ]
    token = next((word for phone, word in found if not phone), None)
    return token, {pair for pair in found if pair[0]}


def _hold(row: dict[str, Any], found: Rules, now: datetime) -> None:
    wished = row["not_before"] if row["not_before"] and row["not_before"] > now else now
    later = found.release(row["phone"], row["category"], row["key"], wished)
    if later is not None:
        row["status"], row["error"], row["not_before"] = "held", QUIET, later


def _cap(session: Session, rows: Sequence[dict[str, Any]], found: Rules, now: datetime) -> None:
    """Suppress what is more than a phone may get of a category, those of this batch counted too."""
    capped = [row for row in rows if found.policy(row["category"]).cap_count is not None]
    if not capped:
        return
    by_category = _by_category((row["category"], row["phone"]) for row in capped)
    own = {row["key"] for row in capped}
    counts: Counter[tuple[str, str]] = Counter()
    statements = [
        _had(category, recipients, found.policy(category), now, _COUNTED).add_columns(_M.key)
        for category, recipients in by_category.items()
    ]
    for phone, category, key in session.execute(union_all(*statements)):
        # A message that is enqueued again is not another one.
        counts[phone, category] += key not in own
    for row in capped:
        pair = (row["phone"], row["category"])
        if counts[pair] >= (found.policy(row["category"]).cap_count or 0):
            row["status"], row["error"] = "suppressed", CAPPED
        counts[pair] += row["status"] != "suppressed"


def _had(
    category: str,
    recipients: Collection[str],
    policy: Policy,
    now: datetime,
    states: Sequence[str],
) -> Select[str, str]:
    """The messages of a category that these phones had in the period of the cap."""
    since = now - timedelta(hours=policy.cap_hours)
    return select(_M.phone, _M.category).where(
        among_texts(_M.phone, recipients),
        _M.category == category,
        _M.created_at > since,
        _M.status.in_(states),
    )


# --- before a message is sent -----------------------------------------------------------------


class Waiting(Protocol):
    """What `recheck` needs to know of a message that a gateway has claimed."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def phone(self) -> str:
        """Its recipient."""

    @property
    def category(self) -> str:
        """Its category."""

    @property
    def expires_at(self) -> datetime | None:
        """When it is not worth sending any more."""


@dataclass(frozen=True)
class Verdict:
    """Why a claimed message must not be sent now, and what becomes of it."""

    status: Literal["suppressed", "held", "expired"]
    error: str
    not_before: datetime | None = None


def recheck(session: Session, messages: Sequence[Waiting], now: datetime) -> dict[int, Verdict]:
    """The messages of a batch that must not be sent now, by id.

    A refusal since they were queued, the beginning of the quiet hours and a cap hold as at the
    enqueueing. One statement, and one more where a cap applies.
    """
    if not messages:
        return {}
    token, refused = standing(session, {one.phone for one in messages})
    found = rules(session, token)
    had = _sent(session, messages, found, now)
    verdicts: dict[int, Verdict] = {}
    for one in messages:
        verdict = _verdict(one, found, refused, had, now)
        if verdict is None:
            had[one.phone, one.category] += 1
        else:
            verdicts[one.id] = verdict
    return verdicts


def _verdict(
    one: Waiting,
    found: Rules,
    refused: Collection[tuple[str, str]],
    had: Mapping[tuple[str, str], int],
    now: datetime,
) -> Verdict | None:
    if one.expires_at is not None and one.expires_at <= now:
        return Verdict("expired", EXPIRED)
    if (one.phone, one.category) in refused:
        return Verdict("suppressed", REFUSED)
    most = found.policy(one.category).cap_count
    if most is not None and had.get((one.phone, one.category), 0) >= most:
        return Verdict("suppressed", CAPPED)
    later = found.release(one.phone, one.category, str(one.id), now)
    return Verdict("held", QUIET, later) if later is not None else None


def _sent(
    session: Session, messages: Sequence[Waiting], found: Rules, now: datetime
) -> Counter[tuple[str, str]]:
    """How many messages of capped categories were sent to these phones in the cap's period."""
    by_category = _by_category(
        (one.category, one.phone)
        for one in messages
        if found.policy(one.category).cap_count is not None
    )
    statements = [
        _had(category, recipients, found.policy(category), now, _SENT)
        for category, recipients in by_category.items()
    ]
    if not statements:
        return Counter()
    return Counter((row[0], row[1]) for row in session.execute(union_all(*statements)))


def _by_category(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for category, phone in pairs:
        found[category].add(phone)
    return found
