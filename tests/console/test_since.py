"""Finding the rows of today by halving ids finds exactly those of today."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from server.audit import AuditEvent
from server.console.queries.since import rows_since
from server.db import snapshot, transaction
from tests.world import NOW


@pytest.mark.parametrize("hours", [[], [1], [-1], [-3, -2, -1], [1, 2], [-5, -4, -1, 0, 1, 6]])
def test_it_finds_the_rows_from_the_instant_on(app: Flask, hours: list[int]) -> None:
    with app.app_context():
        with transaction() as session:
            for hour in hours:
                at = NOW + timedelta(hours=hour)
                session.add(
                    AuditEvent(
                        created_at=at,
                        actor_kind="system",
                        actor_name="x",
                        action=f"h{hour}",
                        subject_type="x",
                        subject_id="1",
                    )
                )
                session.flush()
        with snapshot() as session:
            recent = rows_since(session, AuditEvent.id, AuditEvent.created_at, NOW)
            found = session.scalars(select(AuditEvent.action).where(recent)).all()
    assert sorted(found) == sorted(f"h{hour}" for hour in hours if hour >= 0)
