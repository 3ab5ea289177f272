"""Who is behind a phone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from server.accounts.models import Contact
from server.commands.calls import Sender
from server.db import Session, among_texts
from server.notify.models import Gateway
from server.notify.rules import events, inbound
from server.operator import Operator


def load(session: Session, phones: Collection[str]) -> dict[str, Sender]:
    """The sender behind every phone; a phone of several contacts is answered as the first default one."""
    home = events.language(session.scalar(select(Operator.language)))
    rows = session.execute(
        select(Contact.id, Contact.phone, Contact.customer_id, Contact.language)
        .where(among_texts(Contact.phone, phones))
        .order_by(Contact.is_default.desc(), Contact.id)
    )
    contacts: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        contacts[row.phone].append(row)
    return {phone: _sender(phone, contacts[phone], home) for phone in phones}


def own_numbers(session: Session) -> set[str]:
    """The numbers we send from, as phones are written."""
    found: set[str] = set()
    for (config,) in session.execute(select(Gateway.config)):
        source = config.get("source")
        if isinstance(source, str) and source:
            found.add(inbound.sender(source, inbound.habits(config).country))
    return found


def _sender(phone: str, contacts: list[Any], home: str) -> Sender:
    if not contacts:
        return Sender(phone, home)
    customers = tuple(dict.fromkeys(row.customer_id for row in contacts))
    return Sender(phone, events.language(contacts[0].language), contacts[0].id, customers)
