"""What monitors ask, and what they are told when something is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from server import clock, review
from server.db import db, transaction
from server.health import FIGURES, OUTBOX_STATES, problems
from server.jobs import WorkerHeartbeat
from server.notify.rules.states import STATES
from tests import world as worlds

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def figures(app):
    found = {}
    for line in app.test_client().get("/metrics").get_data(as_text=True).splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def test_a_process_that_answers_is_live(app):
    answer = app.test_client().get("/health/live")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "live"})


def test_an_installation_that_can_serve_is_ready(app):
    answer = app.test_client().get("/health/ready")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ready", "reasons": []})


def test_a_database_of_another_version_is_not_ready(app):
    with app.app_context(), transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = app.test_client().get("/health/ready")
    assert answer.status_code == 503
    assert [reason["code"] for reason in answer.get_json()["reasons"]] == [
        "health.migrations_pending"
    ]
    assert "flask db upgrade" in answer.get_json()["reasons"][0]["message"]
    with app.app_context(), transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def test_a_database_that_is_away_is_not_ready_and_live_all_the_same(app, monkeypatch, tmp_path):
    gone = create_engine(f"sqlite:///{tmp_path}/no/such/folder.db")
    monkeypatch.setattr(type(db), "engine", property(lambda self: gone))
    answer = app.test_client().get("/health/ready")
    assert answer.status_code == 503
    assert [reason["code"] for reason in answer.get_json()["reasons"]] == [
        "health.database_unreachable"
    ]
    assert app.test_client().get("/health/live").status_code == 200
    assert figures(app)["fieldbell_database_up"] == 0


def test_a_folder_that_cannot_be_written_is_named(app):
    var = app.extensions["fieldbell"].var_dir
    var.mkdir(parents=True, exist_ok=True)
    # A file in its place: a mode would not stop a test that runs as root.
    var.rename(var.with_name("elsewhere"))
    var.write_text("in the way")
    with app.app_context():
        found = problems(app)
    assert [problem.code for problem in found] == ["health.var_not_writable"]
    assert str(var) in found[0].message


def test_requests_are_counted_by_route_and_not_by_path(app):
    client = app.test_client()
    name = 'fieldbell_http_requests_total{method="GET",route="unknown",status="404"}'
    before = figures(app).get(name, 0)
    client.get("/no/such/account/31")
    client.get("/no/such/account/32")
    after = figures(app)
    assert after[name] == before + 2
    assert not [line for line in after if "/no/such" in line]
    assert after['fieldbell_http_seconds_count{method="GET",route="/metrics"}'] >= 1


def test_the_figures_of_the_database_are_there_on_an_empty_system(app):
    found = figures(app)
    assert found["fieldbell_database_up"] == 1
    assert found["fieldbell_devices_silent"] == 0
    assert found["fieldbell_workers_alive"] == 0
    assert found['fieldbell_outbox_messages{status="queued"}'] == 0


def test_the_figures_tell_devices_reviews_workers_and_captures(app):
    world = worlds.build(app, points=0, now=NOW)
    client = app.test_client()
    client.post(
        "/device/v1/push",
        json=worlds.push_body([{"id": str(uuid4()), "type": "no_such.v1", "seq": 1, "data": {}}]),
        headers={"Authorization": f"Bearer {world.token}"},
    )
    with app.app_context(), transaction() as session:
        for n in range(2):
            review.raise_item(
                session, key=f"k{n}", kind="x", reason="too_odd", subject_type="x", subject_id=n
            )
        seen = NOW - timedelta(seconds=29)
        session.add(WorkerHeartbeat(name="a", started_at=seen, seen_at=seen))
        session.add(WorkerHeartbeat(name="b", started_at=seen, seen_at=NOW - timedelta(hours=1)))
    clock.set(NOW)
    found = figures(app)
    assert found['fieldbell_review_open{reason="too_odd"}'] == 2
    assert found['fieldbell_devices{status="active"}'] == 1
    assert found["fieldbell_workers_alive"] == 1
    assert found["fieldbell_devices_silent"] == 0
    captures = {name: n for name, n in found.items() if name.startswith("fieldbell_captures_day")}
    assert len(captures) == 1
    assert "no_such.v1" in next(iter(captures))


def test_a_handheld_silent_for_a_day_is_counted(app):
    worlds.build(app, points=0, now=NOW)
    clock.set(NOW + timedelta(hours=25))
    assert figures(app)["fieldbell_devices_silent"] == 1


def test_the_database_is_asked_at_most_every_ten_seconds(app):
    assert figures(app)["fieldbell_workers_alive"] == 0
    with app.app_context(), transaction() as session:
        session.add(WorkerHeartbeat(name="a", started_at=clock.now(), seen_at=clock.now()))
    assert figures(app)["fieldbell_workers_alive"] == 0


def test_every_state_of_a_message_is_counted_or_went_well():
    assert set(STATES) - set(OUTBOX_STATES) == {"accepted", "delivered"}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_figure_reads_only_tables_and_columns_that_exist(figure, app):
    with app.app_context():
        statement = figure.query(app.extensions["fieldbell"])
        with transaction() as session:
            session.execute(statement).all()
