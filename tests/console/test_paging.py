"""Lists by pages: a search that no index serves looks so far and says that it does."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from server.audit import AuditEvent
from server.console import paging
from server.console.paging import Reach
from server.console.queries.since import ends
from server.db import snapshot, transaction
from tests.world import NOW


def test_a_search_stops_after_its_reach_and_goes_on_where_it_stopped(app: Flask) -> None:
    with app.app_context():
        with snapshot() as session:
            assert ends(session, AuditEvent.id) == (0, 1)
        with transaction() as session:
            for number in range(1, 11):
                session.add(
                    AuditEvent(
                        id=number,
                        created_at=NOW,
                        actor_kind="system",
                        actor_name="x",
                        action="rare" if number in (2, 9) else "common",
                        subject_type="x",
                        subject_id="1",
                    )
                )
    rare = select(AuditEvent).where(AuditEvent.action == "rare")
    seen, after = [], ""
    for _ in range(4):
        with app.test_request_context(f"/?after={after}"), snapshot() as session:
            reach = Reach(*ends(session, AuditEvent.id), most=4)
            found = paging.page(session, rare, AuditEvent.id, reach=reach)
            seen.append(([row.AuditEvent.id for row in found.rows], found.short, found.count))
        if found.next is None:
            break
        after = found.next
    assert seen == [([9], True, "1+"), ([], True, "1+"), ([2], False, "1+")]
    with app.test_request_context("/"), snapshot() as session:
        whole = paging.page(session, rare, AuditEvent.id, reach=Reach(1, 11, most=100))
        assert (len(whole.rows), whole.next, whole.count) == (2, None, "2")
        every = paging.page(session, select(AuditEvent), AuditEvent.id, size=3)
        assert (len(every.rows), every.next, every.count) == (3, "8", "10")
