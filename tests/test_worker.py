"""The worker: beats, runs jobs, carries gateways, stops in order, comes back after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from server import worker
from server.db import snapshot, transaction
from server.jobs import JOBS, JobRun, WorkerHeartbeat, run_due
from server.notify.models import Gateway
from server.operator import found
from tests.waiting import PATIENCE, wait_until


class Running:
    """A worker in a thread of this process."""

    def __init__(self, app, name="host:1"):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=worker.work, args=(app, self.stop, name, 0.05))
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def start(app):
    running = []

    def start_one(*args):
        running.append(Running(app, *args))
        return running[-1]

    with app.app_context():
        yield start_one
    for one in running:
        one.end()


def beats():
    with snapshot() as session:
        return {
            row.name: (row.seen_at, row.stopped_at)
            for row in session.execute(select(WorkerHeartbeat)).scalars()
        }


def jobs_ended():
    """Who ran which slot of which job to its end; a slot may begin anew while a test looks on."""
    with snapshot() as session:
        ended = select(JobRun.name, JobRun.slot, JobRun.worker, JobRun.started_at).where(
            JobRun.finished_at.is_not(None)
        )
        return {(row.name, row.slot): row[2:] for row in session.execute(ended)}


def names_ended():
    return {name for name, _ in jobs_ended()}


def all_ended():
    return names_ended() == {job.name for job in JOBS}


def test_a_worker_says_that_it_lives_and_runs_the_jobs_once(start):
    running = start()
    first = wait_until(beats)["host:1"][0]
    wait_until(lambda: beats()["host:1"][0] > first)
    wait_until(all_ended)
    first_runs = jobs_ended()
    wait_until(lambda: beats()["host:1"][0] > first + timedelta(seconds=0.2))
    running.end()
    assert beats()["host:1"][1] is not None
    assert jobs_ended().items() >= first_runs.items(), "a slot that was run is not run again"


def test_two_workers_share_the_jobs(start):
    one, two = start("a:1"), start("b:1")
    wait_until(all_ended)
    shared = jobs_ended()
    one.end()
    two.end()
    assert jobs_ended().items() >= shared.items()
    assert {run[0] for run in jobs_ended().values()} <= {"a:1", "b:1"}


def test_a_worker_waits_for_a_system_that_is_not_founded_and_then_carries_its_gateways(start):
    running = start()
    wait_until(beats)
    with transaction() as session:
        found(session, "X", "CNY", "Asia/Shanghai", "en")
        session.add(Gateway(name="paper", kind="log", config={}, enabled=True))

    def up():
        with snapshot() as session:
            return session.execute(select(Gateway.state)).scalar_one() == "bound"

    wait_until(up)
    running.end()


def test_a_worker_outlives_a_database_that_is_away(start, monkeypatch, caplog):
    failures = iter(range(3))

    def failing(app, name):
        if next(failures, None) is not None:
            raise OperationalError("select", {}, Exception("gone"))
        return run_due(app, name)

    monkeypatch.setattr(worker, "run_due", failing)
    start()
    wait_until(all_ended)
    assert "the database is away: OperationalError" in caplog.messages


# --- as a process -------------------------------------------------------------------------


def process(settings):
    env = {
        **os.environ,
        "FIELDBELL_DATABASE_URL": settings.database_url,
        "FIELDBELL_VAR_DIR": str(settings.var_dir),
        "FIELDBELL_SECRET_KEY": settings.secret_key,
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi.py", "worker"]
    root = Path(__file__).parent.parent
    return subprocess.Popen(command, env=env, cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_killed_worker_is_followed_by_another_and_that_one_stops_when_told(app, settings):
    with app.app_context():
        killed = process(settings)
        wait_until(all_ended, 2 * PATIENCE)
        before = jobs_ended()
        killed.kill()
        assert killed.wait(PATIENCE) == -signal.SIGKILL
        second = process(settings)
        wait_until(lambda: len(beats()) == 2, 2 * PATIENCE)
        second.send_signal(signal.SIGTERM)
        said, _ = second.communicate(timeout=PATIENCE)
        assert second.returncode == 0
        lines = [json.loads(line) for line in said.splitlines()]
        assert [line["message"] for line in lines if line["logger"] == "server.worker"] == [
            "worker started",
            "worker stops",
            "worker stopped",
        ]
        stopped = {name.rpartition(":")[2]: row[1] is not None for name, row in beats().items()}
        assert stopped == {str(killed.pid): False, str(second.pid): True}
        assert jobs_ended().items() >= before.items(), "a slot that was run is not run again"
