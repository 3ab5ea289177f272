"""What notices say now: the operator's own wordings before those the system came with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from server.db import Session
from server.notify import setup
from server.notify.models import NoticeTemplate
from server.notify.rules import events, mails, templates
from server.operator import Operator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wording:
    """The operator's name and the body of every event, by event and variant (`mails.VARIANTS`).

    `broken` names the operator's own templates that can no longer be filled; the default stands in.
    """

    operator: str
    bodies: Mapping[tuple[str, str], str]
    broken: frozenset[tuple[str, str]] = frozenset()

    def text(self, event: events.Event, variant: str, data: Mapping[str, Any]) -> str:
        """The text of an event in one variant; raises what `templates.render` raises."""
        if "co" in event.variables and "co" not in data:
            data = {"co": self.operator, **data}
        if event.free and mails.is_mail(variant):
            return self._free(str(data["text"]))
        return templates.render(event, mails.language_of(variant), self.body(event, variant), data)

    def body(self, event: events.Event, variant: str) -> str:
        """The template of an event in one variant."""
        if (event.name, variant) in self.bodies:
            return self.bodies[event.name, variant]
        language = mails.language_of(variant)
        return mails.derived(event, language, self.bodies[event.name, language])

    def _free(self, text: str) -> str:
        """What a person wrote: his first line is the subject when an empty one stands behind it."""
        return text if mails.GAP in text else mails.joined(self.operator, text)


def wording(session: Session, token: str | None) -> Wording:
    """What texts are made of under a token of `setup`."""
    return setup.by_age(session, "wording", token, load_wording)


def load_wording(session: Session) -> Wording:
    """What texts are made of, as the database has it."""
    operator = session.scalar(select(Operator.name).where(Operator.id == 1)) or ""
    own = own_wordings(session)
    broken = frozenset(key for key, body in own.items() if not templates.usable(key[0], body))
    for name, variant in sorted(broken):
        log.error("the wording of %s in %s cannot be used; the default stands in", name, variant)
    kept = {key: body for key, body in own.items() if key not in broken}
    return Wording(operator, {**events.DEFAULT_TEMPLATES, **kept}, broken)


def own_wordings(session: Session) -> dict[tuple[str, str], str]:
    """The newest version of each of the operator's own wordings, by event and variant."""
    t = NoticeTemplate
    rows = session.execute(select(t.event, t.language, t.body).order_by(t.version))
    newest = {(event, variant): body for event, variant, body in rows}
    return {key: body for key, body in newest.items() if body is not None}
