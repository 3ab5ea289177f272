"""The wordings in force."""

from __future__ import annotations

from sqlalchemy import func, select

from server.db import Session
from server.notify.models import NoticeTemplate
from server.notify.rules.events import DEFAULT_TEMPLATES


def wordings(session: Session) -> dict[tuple[str, str], str]:
    """What each event says in each language now: the operator's newest version, else the default."""
    n = NoticeTemplate
    newest = select(func.max(n.id).label("id")).group_by(n.event, n.language).subquery()
    rows = session.execute(select(n.event, n.language, n.body).join(newest, newest.c.id == n.id))
    own = {(row.event, row.language): row.body for row in rows if row.body is not None}
    return {**DEFAULT_TEMPLATES, **own}
