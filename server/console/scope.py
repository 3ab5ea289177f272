"""The scope of the signed-in person, and the one answer for what he may not see."""

from __future__ import annotations

from typing import TypeVar

from server.console import entry
from server.db import Session
from server.errors import NotFound
from server.rounds.scope import Scope, scope_of

T = TypeVar("T")


def of(session: Session, resource: str, action: str) -> Scope:
    """The scope of the signed-in person's right.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
    """
    return scope_of(session, entry.actor(), resource, action)


def may(resource: str, action: str) -> bool:
    """Whether the signed-in person has a right at all; for what a page offers."""
    return entry.actor().may(resource, action)


def found(thing: T | None, what: str) -> T:
    """Give a thing back, or say it does not exist: the same answer for what is out of scope.

    Raises:
        NotFound: ``<what>.unknown``.
    """
    if thing is None:
        raise NotFound(f"{what}.unknown", "There is no such thing, or it is not yours to see.")
    return thing
