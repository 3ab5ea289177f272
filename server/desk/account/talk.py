"""What was said to the people of an account and by them, and what their phones refuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, union_all

from server.db import Session, among_texts
from server.desk import texts
from server.desk.account.cut import Cut, cut
from server.identity.actor import Actor
from server.notify.models import InboundMessage, OutboxMessage, PhoneRefusal
from server.rounds.scope import Scope

MESSAGES = 10
_O, _I = OutboxMessage, InboundMessage


@dataclass(frozen=True)
class Said:
    """One text: ``out`` from us, else from the phone."""

    out: bool
    id: int
    at: datetime
    phone: str
    text: str
    status: str
    event: str | None


@dataclass(frozen=True)
class Refused:
    """A category that a phone refuses, since when, by which way and in which words."""

    id: int
    category: str
    since: datetime
    source: str
    note: str | None


def messages(
    session: Session, actor: Actor, seen: Scope, account_id: int, phones: Collection[str]
) -> Cut[Said]:
    """The newest texts both ways: about the account, to its people about no account, and from them."""
    columns = (_O.id, _O.created_at, _O.phone, _O.text, _O.status, _O.event)
    visible = texts.visible(actor, seen)
    about = select(*columns).where(_O.account_id == account_id, visible)
    to = select(*columns).where(among_texts(_O.phone, phones), _O.account_id.is_(None), visible)
    newest = [
        select(one.order_by(_O.id.desc()).limit(MESSAGES + 1).subquery()) for one in (about, to)
    ]
    sent = [Said(True, *row) for row in session.execute(union_all(*newest))]
    rows = session.execute(
        select(_I.id, _I.received_at, _I.phone, _I.text, _I.state, _I.command)
        .where(among_texts(_I.phone, phones))
        .order_by(_I.id.desc())
        .limit(MESSAGES + 1)
    )
    came = [Said(False, *row) for row in rows]
    return cut(sorted((*sent, *came), key=lambda one: one.at, reverse=True), MESSAGES)


def refusals(session: Session, phones: Collection[str]) -> Mapping[str, list[Refused]]:
    """What each of these phones refuses at present."""
    rows = session.execute(
        select(PhoneRefusal)
        .where(among_texts(PhoneRefusal.phone, phones))
        .order_by(PhoneRefusal.phone, PhoneRefusal.category)
    ).scalars()
    found: dict[str, list[Refused]] = defaultdict(list)
    for row in rows:
        found[row.phone].append(Refused(row.id, row.category, row.created_at, row.source, row.note))
    return found
