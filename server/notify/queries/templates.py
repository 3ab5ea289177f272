"""The wordings in force."""

from __future__ import annotations

from server.db import Session
from server.notify.rules import events, mails
from server.notify.service.wording import Wording, load_wording


def wordings(session: Session) -> dict[tuple[str, str], str]:
    """What each event says in each variant of `mails.VARIANTS` now."""
    words = load_wording(session)
    return {
        (name, variant): words.body(event, variant)
        for name, event in events.EVENTS.items()
        for variant in mails.VARIANTS
    }


def wordings_without_own(session: Session, event: events.Event) -> dict[str, str]:
    """What an event would say in each variant if that were not worded by the operator.

    An e-mail follows the text of its language, also when that is the operator's own.
    """
    words = load_wording(session)
    texts = {key: body for key, body in words.bodies.items() if not mails.is_mail(key[1])}
    followed = Wording(words.operator, texts)
    defaults = Wording(words.operator, events.DEFAULT_TEMPLATES)
    return {
        variant: (followed if mails.is_mail(variant) else defaults).body(event, variant)
        for variant in mails.VARIANTS
    }
