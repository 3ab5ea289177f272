"""The worker: beats, runs jobs, carries gateways, stops in order, comes back after a kill."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import select

from server import worker
from server.db import snapshot, transaction
from server.jobs import JOBS, JobRun, WorkerHeartbeat
from server.notify.models import Gateway
from server.operator import found


class Running:
    """A worker in a thread of this process."""

    def __init__(self, app, name="host:1"):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=worker.work, args=(app, self.stop, name, 0.05))
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def start(app):
    running = []
    with app.app_context():
        yield lambda *args: running.append(Running(app, *args)) or running[-1]
    for one in running:
        one.end()


def until(question, seconds=15):
    """Wait for an answer that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.05)
    return pytest.fail("it did not happen in time")


def beats():
    with snapshot() as session:
        return {
            row.name: (row.seen_at, row.stopped_at)
            for row in session.execute(select(WorkerHeartbeat)).scalars()
        }


def jobs_ended():
    with snapshot() as session:
        ended = select(JobRun.name).where(JobRun.finished_at.is_not(None))
        return list(session.execute(ended).scalars())


def test_a_worker_says_that_it_lives_and_runs_the_jobs_once(start):
    running = start()
    first = until(beats)["host:1"][0]
    until(lambda: beats()["host:1"][0] > first)
    until(lambda: len(jobs_ended()) == len(JOBS))
    running.end()
    assert beats()["host:1"][1] is not None
    assert len(jobs_ended()) == len(JOBS)


def test_two_workers_share_the_jobs(start):
    one, two = start("a:1"), start("b:1")
    until(lambda: len(jobs_ended()) >= len(JOBS))
    one.end()
    two.end()
    assert sorted(jobs_ended()) == sorted(job.name for job in JOBS)


def test_a_worker_waits_for_a_system_that_is_not_founded_and_then_carries_its_gateways(start):
    running = start()
    until(beats)
    with transaction() as session:
        found(session, "X", "CNY", "Asia/Shanghai", "en")
        session.add(Gateway(name="paper", kind="log", config={}, enabled=True))

    def up():
        with snapshot() as session:
            return session.execute(select(Gateway.state)).scalar_one() == "bound"

    until(up)
    running.end()


def test_a_worker_outlives_a_database_that_is_away(start, monkeypatch, caplog):
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - only this test

    real, failures = worker.run_due, []

    def failing(app, name):
        if len(failures) < 3:
            failures.append(1)
            raise OperationalError("select", {}, Exception("gone"))
        return real(app, name)

    monkeypatch.setattr(worker, "run_due", failing)
    start()
    until(lambda: len(jobs_ended()) == len(JOBS))
    assert "the database is away: OperationalError" in caplog.messages
