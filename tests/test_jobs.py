"""Timed jobs: each slot once, failures recorded, the next slot tried again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from server import clock
from server.db import snapshot, transaction
from server.errors import Conflict
from server.jobs import JOBS, Daily, Every, Job, JobRun, WorkerHeartbeat, run_due
from server.operator import Operator, found

NOW = datetime(2026, 11, 20, 4, 2, 3, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
HELSINKI = ZoneInfo("Europe/Helsinki")


@pytest.fixture
def ground(app):
    clock.set(NOW)
    with app.app_context():
        yield app


def runs():
    with snapshot() as session:
        return [
            (run.name, run.worker, run.result, run.error, run.finished_at is not None)
            for run in session.execute(select(JobRun).order_by(JobRun.slot, JobRun.name)).scalars()
        ]


# --- schedules ----------------------------------------------------------------------------


def test_every_thirty_minutes_starts_at_the_full_and_the_half_hour():
    assert Every(30).slot(NOW, SHANGHAI) == datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    assert Every(30).slot(NOW + timedelta(minutes=28), SHANGHAI).minute == 30


def test_daily_is_a_time_of_the_operators_wall_clock():
    assert Daily(2, 30).slot(NOW, SHANGHAI) == datetime(2026, 11, 19, 18, 30, tzinfo=UTC)
    before = datetime(2026, 11, 19, 18, 29, 59, tzinfo=UTC)
    assert Daily(2, 30).slot(before, SHANGHAI) == datetime(2026, 11, 18, 18, 30, tzinfo=UTC)


def test_daily_runs_once_a_day_also_when_the_clocks_change():
    for first in (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)):
        slots = {
            Daily(3, 30).slot(first + timedelta(minutes=10 * n), HELSINKI)
            for n in range(6 * 24 * 3)
        }
        assert 3 <= len(slots) <= 4
        gaps = sorted(slots)
        assert all(b - a >= timedelta(hours=23) for a, b in pairwise(gaps))


# --- running ------------------------------------------------------------------------------


def test_a_job_runs_once_in_its_slot_and_again_in_the_next(ground):
    ran = []

    def work(_session, settings):
        ran.append(settings)
        return 7

    jobs = (Job("a", Every(10), work),)
    assert run_due(ground, "one", jobs) == 1
    assert run_due(ground, "one", jobs) == 0
    assert run_due(ground, "two", jobs) == 0
    clock.set(NOW + timedelta(minutes=10))
    assert run_due(ground, "two", jobs) == 1
    assert runs() == [("a", "one", 7, None, True), ("a", "two", 7, None, True)]
    assert ran == [ground.extensions["fieldbell"]] * 2


def test_two_workers_at_once_never_run_the_same_slot_twice(ground):
    ran = []

    def work(_session, _settings):
        ran.append(1)
        return 0

    jobs = tuple(Job(f"job {n}", Every(10), work) for n in range(5))
    gate = threading.Barrier(4)

    def worker(name):
        gate.wait()
        run_due(ground, name, jobs)

    threads = [threading.Thread(target=worker, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 5
    assert len(runs()) == 5


def test_a_job_that_fails_is_undone_and_recorded_and_the_others_still_run(ground, caplog):
    def half_way(session, _settings):
        found(session, "X", "CNY", "Asia/Shanghai", "en")
        raise RuntimeError("call +8613812345678 back")

    def refused(session, _settings):
        raise Conflict("thing.closed", "It is closed.")

    jobs = (
        Job("a", Every(10), half_way),
        Job("b", Every(10), refused),
        Job("c", Every(10), lambda session, settings: 1),
    )
    assert run_due(ground, "w", jobs) == 3
    assert runs() == [
        ("a", "w", None, "job.failed", True),
        ("b", "w", None, "thing.closed", True),
        ("c", "w", 1, None, True),
    ]
    with snapshot() as session:
        assert session.get(Operator, 1) is None
        message = session.execute(select(JobRun.message).where(JobRun.name == "a")).scalar_one()
    assert message == "RuntimeError: call +86138****5678 back"
    assert [record.levelname for record in caplog.records if record.message == "job failed"] == [
        "ERROR",
        "ERROR",
    ]
    clock.set(NOW + timedelta(minutes=10))
    assert run_due(ground, "w", jobs[:1]) == 1


def test_a_daily_job_follows_the_operators_zone(ground):
    with transaction() as session:
        found(session, "X", "CNY", "Asia/Shanghai", "en")
    jobs = (Job("a", Daily(2, 30), lambda session, settings: 0),)
    run_due(ground, "w", jobs)
    with snapshot() as session:
        slot = session.execute(select(JobRun.slot)).scalar_one()
    assert slot == datetime(2026, 11, 19, 18, 30, tzinfo=UTC)


def test_every_job_of_the_table_runs_on_an_empty_system(ground):
    assert run_due(ground, "w") == len(JOBS)
    assert [error for _, _, _, error, _ in runs()] == [None] * len(JOBS)
    assert len({job.name for job in JOBS}) == len(JOBS)


def test_housekeeping_forgets_workers_unseen_for_a_day_and_old_runs(ground):
    with transaction() as session:
        for name, hours in (("old", 25), ("new", 1)):
            at = NOW - timedelta(hours=hours)
            session.add(WorkerHeartbeat(name=name, started_at=at, seen_at=at))
        session.add(JobRun(name="x", slot=NOW, worker="w", started_at=NOW - timedelta(days=31)))
    run_due(ground, "w", tuple(job for job in JOBS if job.name == "worker.housekeeping"))
    with snapshot() as session:
        assert list(session.execute(select(WorkerHeartbeat.name)).scalars()) == ["new"]
    assert [(name, result) for name, _, result, _, _ in runs()] == [("worker.housekeeping", 1)]
