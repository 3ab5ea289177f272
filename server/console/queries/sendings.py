"""Texts to very many: how far each is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, select, true

from server.console import entry
from server.db import Session
from server.identity.models import Staff
from server.notify.models import FanOut
from server.rounds.scope import Scope


def listed(seen: Scope) -> Select[*tuple[Any, ...]]:
    """All sendings that the viewer may see with the name of who announced them."""
    return (
        select(FanOut, Staff.name.label("staff"))
        .outerjoin(Staff, Staff.id == FanOut.staff_id)
        .where(_visible(seen))
    )


def one(session: Session, seen: Scope, number: int | None) -> FanOut | None:
    """One sending, or None when there is none or it is not the viewer's."""
    return session.scalar(select(FanOut).where(FanOut.id == number, _visible(seen)))


def _visible(seen: Scope) -> ColumnElement[bool]:
    """Those who do not see everybody see what they have sent themselves."""
    return true() if seen.sees_all else FanOut.staff_id == entry.actor().staff_id
