"""A connection that rested while the database was restarted is replaced, and nobody notices."""

from __future__ import annotations

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from server.db import sessions, snapshot, transaction


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)
def test_a_connection_lost_while_it_rested_is_made_anew(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_RESTS_SAFELY", -1.0)
    with app.app_context():
        with snapshot() as session:
            lost = session.scalar(text("SELECT pg_backend_pid()"))
            url = session.get_bind().engine.url.set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (lost,))
        with transaction() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) != lost
