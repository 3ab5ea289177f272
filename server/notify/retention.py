"""Forgetting whom we told what: old messages lose number, text and references, counts and costs stay.

Works in slices along the ids behind a mark, so that nothing is read twice and no lock is held long.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, case, cast, literal, select, update

from server import clock
from server.db import Session, insert_rows
from server.notify.models import NoticeSetup, OutboxMessage
from server.notify.rules.states import FINAL

AT_ONCE = 2000
_M = OutboxMessage
_N = NoticeSetup


def forget_slice(session: Session, before: datetime, most: int = AT_ONCE) -> int:
    """Anonymise the next messages that were queued before an instant; how many, 0 when all are.

    One that was never sent in all that time expires.
    """
    row = {"id": 1, "created_at": clock.now(), "token": "", "forgotten_through": 0}
    insert_rows(session, _N, [row], on_conflict=("id",))
    through = session.scalars(
        select(_N.forgotten_through).where(_N.id == 1).with_for_update()
    ).one()
    rows = session.execute(
        select(_M.id, _M.created_at).where(_M.id > through).order_by(_M.id).limit(most)
    ).all()
    old = [row.id for row in rows if row.created_at < before]
    if not old:
        return 0
    session.execute(
        update(_M)
        .where(_M.id > through, _M.id <= old[-1], _M.created_at < before)
        .values(
            key=literal("forgotten:") + cast(_M.id, String),
            phone="",
            text="",
            contact_id=None,
            account_id=None,
            status=case((_M.status.in_((*FINAL, "accepted")), _M.status), else_="expired"),
        )
    )
    session.execute(update(_N).where(_N.id == 1).values(forgotten_through=old[-1]))
    return len(old)
