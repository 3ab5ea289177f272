"""What the other tests stand on: every database test gets an empty, migrated database of both kinds."""

from __future__ import annotations

import socket

import flask
import pytest
from sqlalchemy import func, select, text

from server import operator
from server.db import snapshot, transaction


def _operators(app: flask.Flask) -> int:
    with app.app_context(), snapshot() as session:
        return session.scalar(select(func.count()).select_from(operator.Operator)) or 0


@pytest.mark.parametrize("turn", [1, 2])
def test_what_one_test_has_written_the_next_does_not_see(app: flask.Flask, turn: int) -> None:
    assert _operators(app) == 0, turn
    with app.app_context(), transaction() as session:
        operator.found(session, "Gas", "CNY", "Asia/Shanghai", "en")
    assert _operators(app) == 1


def test_the_database_is_of_the_kind_that_was_asked_for(app: flask.Flask, engine_url: str) -> None:
    with app.app_context(), snapshot() as session:
        assert session.get_bind().dialect.name == engine_url.partition(":")[0].partition("+")[0]
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def test_a_test_that_does_not_say_so_reaches_no_network() -> None:
    with pytest.raises(AssertionError, match=r"pytest\.mark\.sockets"):
        socket.create_connection(("127.0.0.1", 9))


@pytest.mark.sockets
def test_a_test_that_says_so_may_listen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        assert listener.getsockname()[1] > 0
