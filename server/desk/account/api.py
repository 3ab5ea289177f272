"""Accounts over the JSON API: finding one, everything about it in one answer, what its people want."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask_smorest import Blueprint

from server import audit
from server.db import snapshot, transaction
from server.desk.account import overview, schemas, search
from server.desk.account.cut import Cut
from server.desk.account.overview import Overview
from server.desk.account.preferences import Preference, note
from server.errors import NotFound
from server.identity.actor import Actor
from server.identity.bearer import bearer_required, current_actor
from server.notify.rules.phones import masked
from server.rounds.scope import scope_of

blueprint = Blueprint(
    "accounts",
    __name__,
    url_prefix="/api/v1/accounts",
    description="Accounts: search, everything about one, what customers want to be told.",
)


@blueprint.route("", methods=["GET"])
@bearer_required
@blueprint.arguments(schemas.SearchQuery, location="query")
@blueprint.response(200, schemas.HitsOut)
def find_accounts(query: dict[str, Any]) -> dict[str, Any]:
    """Accounts by account, customer, point or meter number, phone, name or address."""
    with snapshot() as session:
        seen = scope_of(session, current_actor(), "accounts", "view")
        hits = search.accounts(session, seen, query["q"], anywhere=query["anywhere"])
    return {"accounts": hits, "more": len(hits) >= search.LIMIT}


@blueprint.route("/<account_no>/overview", methods=["GET"])
@bearer_required
@blueprint.arguments(schemas.OverviewQuery, location="query")
@blueprint.response(200, schemas.OverviewOut)
def get_overview(query: dict[str, Any], account_no: str) -> dict[str, Any]:
    """Everything an agent needs to know of one account."""
    actor = current_actor()
    with snapshot() as session:
        found = overview.of_number(session, actor, account_no)
    if query["phones"]:
        _note_look(actor, found)
    else:
        found = _hidden(found)
    return _document(found)


@blueprint.route("/<account_no>/preferences", methods=["PUT"])
@bearer_required
@blueprint.arguments(
    schemas.PreferenceIn,
    example={
        "contact_id": 12,
        "category": "promotion",
        "wants": False,
        "why": "asked on the phone",
    },
)
@blueprint.response(200, schemas.PreferenceOut)
def put_preference(document: dict[str, Any], account_no: str) -> dict[str, Any]:
    """Note for a customer what a contact of his wants to be told; it holds at once."""
    actor = current_actor()
    with transaction() as session:
        seen = scope_of(session, actor, "messages", "send")
        account_id = search.id_of(session, seen, account_no)
        if account_id is None:
            raise NotFound(
                "account.unknown", "There is no such account, or it is not yours to see."
            )
        changed = note(session, actor, seen, account_id, Preference(**document), "api")
    return {"changed": changed}


def _note_look(actor: Actor, found: Overview) -> None:
    with transaction() as session:
        audit.record(session, actor, "phone.shown", "account", found.account.id)


def _hidden(found: Overview) -> Overview:
    """The same with the middle of every phone number hidden."""
    people = tuple(
        replace(one, phone=masked(one.phone)) if one.phone else one for one in found.contacts.rows
    )
    texts = found.messages
    if texts is not None:
        said = tuple(replace(one, phone=masked(one.phone)) for one in texts.rows)
        texts = Cut(said, texts.more)
    return replace(found, contacts=Cut(people, found.contacts.more), messages=texts)


def _document(found: Overview) -> dict[str, Any]:
    """The overview as its schema names it."""
    account, customer = found.account, found.customer
    return {
        **{name: getattr(found, name, None) for name in schemas.OverviewOut().fields},
        "account_no": account.account_no,
        "customer": customer.name,
        "customer_no": customer.customer_no,
        "account_class": account.account_class,
        "mode": account.mode,
        "status": account.status,
        "tariff": account.tariff_code,
    }
