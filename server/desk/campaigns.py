"""One text to many: what it will be and cost, shown before, and never more than was shown.

A text to more than :data:`AT_ONCE` phones is announced, and the worker makes the messages; a smaller one
is queued on the spot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce

from sqlalchemy import select

from server import audit
from server.db import Session
from server.desk import audience, texts
from server.desk.audience import Audience
from server.errors import Conflict, Invalid
from server.identity.actor import Actor
from server.notify import budgets, service
from server.notify.models import FanOut
from server.notify.rules import events
from server.notify.rules.phones import key_part
from server.notify.service import Announcement, Notice, Preview, Recipient
from server.rounds.scope import Scope

FREE = "operator.text"
AT_ONCE = 2000
_SLICE = 5000


@dataclass(frozen=True)
class Campaign:
    """A text as somebody wrote it: `to` and `whom` are a kind of `audience.KINDS` and its value.

    `token` names this sending for ever, so that pressing twice sends once. `text_en` goes to those who
    read English; `budget` is what it may cost at most.
    """

    token: str
    to: str
    whom: str
    text: str
    text_en: str | None
    category: str
    not_before: datetime | None = None
    budget: Decimal | None = None


@dataclass(frozen=True)
class Plan:
    """What a campaign would be if it went now; `key` begins the keys of its messages."""

    campaign: Campaign
    key: str
    audience: Audience
    preview: Preview

    @property
    def announced(self) -> bool:
        """Whether the worker makes its messages, because they are so many."""
        return len(self.audience.recipients) > AT_ONCE

    @property
    def count(self) -> int:
        """How many texts would leave, now or later."""
        return sum(self.preview.states.get(state, 0) for state in ("queued", "held"))

    @property
    def over_budget(self) -> bool:
        """Whether it costs more than it may."""
        budget = self.campaign.budget
        return budget is not None and self.preview.cost > budget


def plan(session: Session, actor: Actor, seen: Scope, campaign: Campaign) -> Plan:
    """Find everybody, word it, and say what it would be; nothing is stored.

    Raises:
        Invalid: ``message.whom``, ``message.nobody``, ``message.too_many``, ``message.bad_list`` and
            what ``notify.service.enqueue`` says of texts.
        NotFound: ``account.unknown``, ``route.unknown``.
    """
    people = audience.find(session, seen, campaign.to, campaign.whom)
    if not people.recipients:
        raise Invalid("message.nobody", "Nobody of them has a phone.")
    key = texts.stored_key(actor.staff_id, campaign.token)
    slices = _slices(campaign, key, people)
    shown = reduce(Preview.plus, (service.preview(session, some) for some in slices))
    return Plan(campaign, key, people, shown)


def _slices(campaign: Campaign, key: str, people: Audience) -> Iterator[list[Notice]]:
    """The notices of a campaign, some thousands at a time."""
    words = _words(campaign)
    everybody = people.recipients
    for start in range(0, len(everybody), _SLICE):
        yield [
            Notice(
                event=FREE,
                key=f"{key}:{key_part(to.phone)}",
                phone=to.phone,
                language=to.language,
                data=words[events.language(to.language)],
                contact_id=to.contact_id,
                account_id=to.account_id,
                not_before=campaign.not_before,
                category=campaign.category,
            )
            for to in everybody[start : start + _SLICE]
        ]


def _words(campaign: Campaign) -> Mapping[str, Mapping[str, str]]:
    return {
        "zh_Hans": {"text": campaign.text},
        "en": {"text": campaign.text_en or campaign.text},
    }


def covers(shown: tuple[int, Decimal], wanted: Plan) -> bool:
    """Whether the count and cost that somebody has agreed to cover what would be sent now."""
    return wanted.count <= shown[0] and wanted.preview.cost <= shown[1]


def send(session: Session, actor: Actor, wanted: Plan) -> int | None:
    """Queue what was planned, or announce it where it is to very many: the fan-out's id then.

    Asked twice it goes once.

    Raises:
        Conflict: ``message.over_budget``, or ``notify.over_budget`` of the category.
    """
    if wanted.over_budget:
        raise Conflict(
            "message.over_budget",
            "It would cost more than it may.",
            {"cost": str(wanted.preview.cost), "budget": str(wanted.campaign.budget)},
        )
    number = None
    if wanted.announced:
        number = _announce(session, actor, wanted)
    else:
        for some in _slices(wanted.campaign, wanted.key, wanted.audience):
            service.enqueue(session, some)
    said = {
        "to": wanted.campaign.to,
        "count": wanted.preview.messages,
        "segments": wanted.preview.segments,
        "cost": str(wanted.preview.cost),
        "category": wanted.campaign.category,
    }
    audit.record(session, actor, "messages.sent", "campaign", wanted.campaign.token, after=said)
    return number


def _announce(session: Session, actor: Actor, wanted: Plan) -> int:
    campaign, words = wanted.campaign, _words(wanted.campaign)
    if session.scalar(select(FanOut.id).where(FanOut.key == wanted.key)) is None:
        budgets.require(session, campaign.category, wanted.preview.cost)
    announcement = Announcement(
        key=wanted.key,
        event=FREE,
        data=words["zh_Hans"],
        category=campaign.category,
        not_before=campaign.not_before,
        other=words,
        budget=campaign.budget,
    )
    people = (
        Recipient(to.phone, to.language, to.contact_id, to.account_id)
        for to in wanted.audience.recipients
    )
    return service.announce(session, announcement, people, actor.staff_id)
