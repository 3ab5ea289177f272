"""What a customer wants to be told, noted for him by an agent: refused or wanted again, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from server import audit
from server.accounts.models import Account, Contact
from server.db import Session
from server.errors import Invalid, NotFound
from server.identity.actor import Actor
from server.notify import consent
from server.rounds.scope import Scope

LONGEST = 160


@dataclass(frozen=True)
class Preference:
    """A contact wants texts of a category, or does not; ``why`` in the customer's own words."""

    contact_id: int
    category: str
    wants: bool
    why: str


def note(
    session: Session,
    actor: Actor,
    seen: Scope,
    account_id: int,
    said: Preference,
    source: str = "console",
) -> bool:
    """Record what a contact of the account wants; False when that was known already.

    It belongs to the phone, so that it holds for everything that phone is sent, and at once.

    Raises:
        NotFound: ``account.unknown`` for an account that is not visible, ``contact.unreachable``
            for a contact that is not its customer's or has no phone.
        Invalid: ``preference.why`` without a reason, ``notify.not_refusable`` for other categories.
    """
    why = said.why.strip()[:LONGEST]
    if not why:
        raise Invalid("preference.why", "Say in a few words why.")
    phone = _phone(session, seen, account_id, said.contact_id)
    if said.wants:
        changed = bool(consent.allow(session, actor, phone, [said.category], source))
    else:
        changed = bool(consent.refuse(session, actor, phone, [said.category], source, why))
    if changed:
        action = "preference.wanted" if said.wants else "preference.refused"
        what = {"contact_id": said.contact_id, "category": said.category, "why": why}
        audit.record(session, actor, action, "account", account_id, after=what)
    return changed


def _phone(session: Session, seen: Scope, account_id: int, contact_id: int) -> str:
    row = session.execute(
        select(Account.id, Contact.phone)
        .outerjoin(
            Contact, (Contact.customer_id == Account.customer_id) & (Contact.id == contact_id)
        )
        .where(Account.id == account_id, seen.accounts())
    ).first()
    if row is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours to see.")
    if row.phone is None:
        raise NotFound(
            "contact.unreachable",
            "There is no such contact with a phone, or it is not yours to see.",
        )
    return str(row.phone)
