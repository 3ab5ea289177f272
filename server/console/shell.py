"""What stands around every page: the rail, the search, what is wrong now, the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import has_request_context, request, url_for
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from server import operator
from server.console import entry, scope
from server.console.queries import trouble
from server.db import snapshot
from server.errors import NotFound

# (section, endpoint, resource that must be viewable, word)
RAIL = (
    ("today", "console.today", "today", _l("Today")),
    ("map", "console.map", "map", _l("Map")),
    ("review", "console.review", "review", _l("Review")),
    ("readings", "console.readings", "readings", _l("Readings")),
    ("routes", "console.routes", "routes", _l("Routes")),
    ("accounts", "console.accounts", "accounts", _l("Accounts")),
    ("bills", "console.bills", "bills", _l("Bills")),
    ("dues", "console.dues", "payment", _l("Cashier")),
    ("messages", "console.messages", "messages", _l("Messages")),
    ("devices", "console.devices", "devices", _l("Devices")),
    ("staff", "console.staff", "staff", _l("Staff")),
    ("settings", "console.settings", "settings", _l("Settings")),
)
IN_BAR = 4


@dataclass(frozen=True)
class Item:
    """One entry of the rail."""

    section: str
    endpoint: str
    word: Any
    here: bool
    count: int = 0


def context() -> dict[str, Any]:
    """Values for the frame of a page; little for a stranger."""
    if not has_request_context() or not current_user.is_authenticated:
        return {
            "signed_in": False,
            "may": lambda *_right: False,
            "with_args": with_args,
            **_operator(),
        }
    actor = entry.actor()
    with snapshot() as session:
        wrong = trouble.now(session, entry.settings()) if actor.may("today", "view") else []
    held = sum(item.count for item in wrong if item.kind == "held")
    rail = [
        Item(section, endpoint, word, _here(section), held if section == "review" else 0)
        for section, endpoint, resource, word in RAIL
        if actor.may(resource, "view")
    ]
    return {
        "signed_in": True,
        "actor": actor,
        "actor_has_factor": current_user.has_second_factor,
        "actor_roles": [role.name for role in current_user.roles],
        "may": scope.may,
        "rail": rail,
        "in_bar": IN_BAR,
        "troubles": wrong,
        "with_args": with_args,
        **_operator(),
    }


def with_args(**changes: Any) -> str:
    """This page's address with some filters changed; None takes a filter away."""
    values = {**request.view_args, **request.args.to_dict(), **changes}  # type: ignore[dict-item]
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return url_for(request.endpoint or "console.today", **kept)


def _here(section: str) -> bool:
    endpoint = (request.endpoint or "").removeprefix("console.")
    return endpoint.partition("_")[0] == section


def _operator() -> dict[str, Any]:
    with snapshot() as session:
        try:
            found = operator.current(session)
        except NotFound:
            return {"operator": None, "currency": ""}
        return {"operator": found, "currency": found.currency}
