"""One text to many: what it will be and cost, shown before, and never more than was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server import audit
from server.db import Session
from server.desk import audience, texts
from server.desk.audience import Audience
from server.errors import Conflict, Invalid
from server.identity.actor import Actor
from server.notify import service
from server.notify.rules import events
from server.notify.service import Notice, Preview
from server.rounds.scope import Scope

FREE = "operator.text"
_SLICE = 2000


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
    """What a campaign would be if it went now."""

    campaign: Campaign
    audience: Audience
    notices: Sequence[Notice]
    preview: Preview

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
    words = {
        "zh_Hans": {"text": campaign.text},
        "en": {"text": campaign.text_en or campaign.text},
    }
    prefix = texts.stored_key(actor.staff_id, campaign.token)
    notices = [
        Notice(
            event=FREE,
            key=f"{prefix}:{to.phone}",
            phone=to.phone,
            language=to.language,
            data=words[events.language(to.language)],
            contact_id=to.contact_id,
            account_id=to.account_id,
            not_before=campaign.not_before,
            category=campaign.category,
        )
        for to in people.recipients
    ]
    return Plan(campaign, people, notices, service.preview(session, notices))


def covers(shown: tuple[int, Decimal], wanted: Plan) -> bool:
    """Whether the count and cost that somebody has agreed to cover what would be sent now."""
    return wanted.count <= shown[0] and wanted.preview.cost <= shown[1]


def send(session: Session, actor: Actor, wanted: Plan) -> int:
    """Queue what was planned; how many messages there are of it. Asked twice it is queued once.

    Raises:
        Conflict: ``message.over_budget``, or ``notify.over_budget`` of the category.
    """
    if wanted.over_budget:
        raise Conflict(
            "message.over_budget",
            "It would cost more than it may.",
            {"cost": str(wanted.preview.cost), "budget": str(wanted.campaign.budget)},
        )
    ids: dict[str, int] = {}
    for start in range(0, len(wanted.notices), _SLICE):
        ids |= service.enqueue(session, wanted.notices[start : start + _SLICE])
    said = {
        "to": wanted.campaign.to,
        "count": len(ids),
        "segments": wanted.preview.segments,
        "cost": str(wanted.preview.cost),
        "category": wanted.campaign.category,
    }
    audit.record(session, actor, "messages.sent", "campaign", wanted.campaign.token, after=said)
    return len(ids)
