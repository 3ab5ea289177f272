"""Timed jobs: one table of what runs when, and the claim that keeps two workers from one slot.

A schedule cuts time into slots. A run is claimed by inserting the (job, slot) row; whoever inserts it
runs the job, everybody else finds it taken. A slot whose worker died is not run again: the jobs are
such that the next slot makes good for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import Index, String, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from config.settings import Settings
from server import clock, logs
from server.billing.service import runs
from server.books.setting import billing_rules
from server.capture import attachments, thumbnails
from server.db import Base, BigId, Session, UtcDateTime, insert_new, snapshot, transaction
from server.dues.service import bank_files, dunning, rounds, settling, terminals, use_credit
from server.errors import DomainError
from server.notify import inbound, retention, statistics, trouble
from server.notify import service as notices
from server.operator import Operator
from server.sync import parts
from server.sync.watch import watch_devices
from server.tracking import service as tracking

logger = logging.getLogger(__name__)

KEEP_RUNS = timedelta(days=30)
THUMBNAILS_AT_ONCE = 200
BILLING_SECONDS = 40


class JobRun(Base):
    """One run of a job, claimed by its slot; no id, no created_at.

    ``slot`` is the start of the slot; ``error`` a stable code, empty when the run ended well;
    ``result`` what the job counted.
    """

    __tablename__ = "job_run"
    __table_args__ = (Index("ix_job_run_started", "started_at"),)

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    slot: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    worker: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[int | None] = mapped_column(BigId)
    error: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str | None] = mapped_column(String(255))


class WorkerHeartbeat(Base):
    """A worker process that says every few seconds that it lives; no id, no created_at."""

    __tablename__ = "worker_heartbeat"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# --- schedules ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Every:
    """Every so many minutes, counted from the start of 1970."""

    minutes: int

    def slot(self, at: datetime, _zone: ZoneInfo) -> datetime:
        """The start of the slot an instant lies in."""
        length = self.minutes * 60_000
        return clock.from_ms(clock.to_ms(at) // length * length)


@dataclass(frozen=True)
class Daily:
    """Once a day from a local time on; a worker that was off catches up when it is back."""

    hour: int
    minute: int = 0

    def slot(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The last time the clock on the operator's wall passed this time."""
        local = at.astimezone(zone)
        today = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0, fold=0)
        if today.astimezone(UTC) > at:
            today = (today - timedelta(days=1)).replace(fold=0)
        return today.astimezone(UTC)


@dataclass(frozen=True)
class Job:
    """A job: its name in tables and logs, when it runs, what it does; it returns a count.

    ``function`` runs inside one transaction. A job that works on files has ``steps`` instead and
    opens its own transactions around them, so that no lock is held while a file is worked on.
    """

    name: str
    schedule: Every | Daily
    function: Callable[[Session, Settings], int] | None = None
    steps: Callable[[Settings], int] | None = None


# --- the jobs -----------------------------------------------------------------------------


def _drop_tracks(session: Session, settings: Settings) -> int:
    return tracking.drop_old_tracks(session, settings.track_retention_days)


def _drop_quarantine(session: Session, _settings: Settings) -> int:
    return tracking.drop_quarantine(session)


def _overdue_attachments(session: Session, settings: Settings) -> int:
    return attachments.raise_overdue(session, settings.attachment_deadline_hours)


def _make_thumbnails(settings: Settings) -> int:
    """Make small pictures of the photos that came; the files first, then the word about them."""
    folder = settings.var_dir.absolute()
    with snapshot() as session:
        photos = thumbnails.wanted(session, THUMBNAILS_AT_ONCE)
    made = {photo.sha256: thumbnails.make(folder, photo) for photo in photos}
    if made:
        good = [sha256 for sha256, well in made.items() if well]
        with transaction() as session:
            thumbnails.note(session, good, sorted(made.keys() - set(good)))
    return len(made)


def _drop_parts(settings: Settings) -> int:
    return parts.drop_abandoned(settings.var_dir.absolute())


def _close_incomplete_texts(session: Session, settings: Settings) -> int:
    return inbound.close_incomplete(session, settings.inbound_part_minutes)


def _forget_texts(session: Session, settings: Settings) -> int:
    return inbound.forget(session, settings.inbound_retention_days)


def _fan_out(_settings: Settings) -> int:
    """Make messages of what was announced to very many phones, a slice in each transaction."""
    made = 0
    while True:
        with transaction() as session:
            count = notices.next_slice(session)
        if count is None:
            return made
        made += count


def _look_for_trouble(session: Session, _settings: Settings) -> int:
    """Raise for people what keeps texts from leaving, and close what is over."""
    return trouble.look(session, clock.now())


def _match_bank_files(_settings: Settings) -> int:
    """Post what waits of bank files, a slice in each transaction."""
    return bank_files.match_files()


def _take_dunning_steps(_settings: Settings) -> int:
    """Take today's steps for debts that stay; a run that stopped goes on."""
    return dunning.take_steps()


def _use_credit(_settings: Settings) -> int:
    """Let credit settle bills that nothing has settled when they were issued."""
    slices, after = 0, 0
    while True:
        with transaction() as session:
            last = settling.settle_recent(session, after)
        if last is None:
            return slices
        slices, after = slices + 1, last


def _count_messages(_settings: Settings) -> int:
    """Count what was sent today and yesterday."""
    return _count_days(2)


def _count_late_reports(_settings: Settings) -> int:
    """Count the last days again: reports come for some days."""
    return _count_days(8)


def _count_days(days: int) -> int:
    """Count the last days, today included, each read outside the transaction that writes it."""
    counted = 0
    for back in range(days):
        with snapshot() as session:
            zone = _zone(session)
            day = clock.now().astimezone(zone).date() - timedelta(days=back)
            counts = statistics.count_day(session, day, zone)
        with transaction() as session:
            statistics.store_day(session, day, counts)
        counted += len(counts)
    return counted


def _forget_messages(settings: Settings) -> int:
    """Take number and text from messages that are older than they may be kept."""
    before = clock.now() - timedelta(days=settings.message_retention_days)
    forgotten = 0
    while True:
        with transaction() as session:
            count = retention.forget_slice(session, before)
        if not count:
            return forgotten
        forgotten += count


def _bill(settings: Settings) -> int:
    """Go on with bill runs for a while; what is left waits for the next turn."""
    rules, ends = billing_rules(settings), time.monotonic() + BILLING_SECONDS
    with snapshot() as session:
        waiting = runs.under_way(session)
    chunks = 0
    for run_id in waiting:
        left = True
        while left and time.monotonic() < ends:
            with transaction() as session:
                left = runs.step(session, run_id, rules, use_credit)
            chunks += left
    return chunks


def _look_at_balances(_settings: Settings) -> int:
    return rounds.look_at_balances()


def _estimate_charges(_settings: Settings) -> int:
    return rounds.estimate_charges()


def _call_terminals(_settings: Settings) -> int:
    """Post what load terminals are to be told, a hundred at a time."""
    return terminals.deliver() if terminals.waiting() else 0


def _forget_workers(session: Session, _settings: Settings) -> int:
    """Forget workers unseen for a day and runs older than a month."""
    seen = WorkerHeartbeat.seen_at < clock.now() - timedelta(days=1)
    gone = session.scalar(select(func.count()).select_from(WorkerHeartbeat).where(seen)) or 0
    session.execute(delete(WorkerHeartbeat).where(seen))
    session.execute(delete(JobRun).where(JobRun.started_at < clock.now() - KEEP_RUNS))
    return gone


def _analyze(session: Session, _settings: Settings) -> int:
    """Refresh what the database knows of its tables, so that plans fit their size."""
    session.execute(text("ANALYZE"))
    return 0


JOBS: tuple[Job, ...] = (
    Job("devices.watch", Every(minutes=10), watch_devices),
    Job("attachments.overdue", Every(minutes=30), _overdue_attachments),
    Job("attachments.thumbnails", Every(minutes=1), steps=_make_thumbnails),
    Job("attachments.parts", Daily(hour=2, minute=45), steps=_drop_parts),
    Job("dues.bank_files", Every(minutes=2), steps=_match_bank_files),
    Job("dues.ladder", Every(minutes=60), steps=_take_dunning_steps),
    Job("dues.credit", Daily(hour=5), steps=_use_credit),
    Job("notices.fan_out", Every(minutes=1), steps=_fan_out),
    Job("notices.trouble", Every(minutes=1), _look_for_trouble),
    Job("notices.statistics", Every(minutes=10), steps=_count_messages),
    Job("notices.late_reports", Daily(hour=1, minute=30), steps=_count_late_reports),
    Job("notices.retention", Daily(hour=2, minute=20), steps=_forget_messages),
    Job("balances.estimate", Every(minutes=60), steps=_estimate_charges),
    Job("balances.look", Every(minutes=2), steps=_look_at_balances),
    Job("balances.terminals", Every(minutes=1), steps=_call_terminals),
    Job("tracking.quarantine", Every(minutes=30), _drop_quarantine),
    Job("tracking.retention", Daily(hour=2, minute=30), _drop_tracks),
    Job("inbound.incomplete", Every(minutes=1), _close_incomplete_texts),
    Job("inbound.retention", Daily(hour=2, minute=40), _forget_texts),
    Job("billing.runs", Every(minutes=1), steps=_bill),
    Job("worker.housekeeping", Every(minutes=60), _forget_workers),
    Job("database.analyze", Daily(hour=3), _analyze),
)


# --- running ------------------------------------------------------------------------------


def run_due(app: Flask, worker_name: str, jobs: tuple[Job, ...] = JOBS) -> int:
    """Run every job whose present slot nobody has run; returns how many this worker ran.

    A job that fails is logged and recorded with its code and is tried again in its next slot.
    """
    settings: Settings = app.extensions["fieldbell"]
    with app.app_context():
        due = _due(jobs)
        return sum(_run(job, slot, worker_name, settings) for job, slot in due)


def _due(jobs: tuple[Job, ...]) -> list[tuple[Job, datetime]]:
    """The jobs whose present slot has no run yet; one read, so that idle rounds write nothing."""
    with snapshot() as session:
        zone = _zone(session)
        runs = session.execute(select(JobRun.name, func.max(JobRun.slot)).group_by(JobRun.name))
        last = {name: slot for name, slot in runs}
    slots = [(job, job.schedule.slot(clock.now(), zone)) for job in jobs]
    return [(job, slot) for job, slot in slots if job.name not in last or last[job.name] < slot]


def _zone(session: Session) -> ZoneInfo:
    """The operator's zone; UTC before there is one."""
    owner = session.get(Operator, 1)
    return owner.zone if owner is not None else ZoneInfo("UTC")


def _run(job: Job, slot: datetime, worker: str, settings: Settings) -> bool:
    if not _claimed(job.name, slot, worker):
        return False
    outcome: dict[str, object] = {}
    try:
        outcome["result"] = _carry_out(job, settings)
    except Exception as error:
        # Whatever a job raises, the others still run.
        code = error.code if isinstance(error, DomainError) else "job.failed"
        logger.exception("job failed", extra={"job": job.name, "code": code})
        outcome = {"error": code, "message": logs.mask(f"{type(error).__name__}: {error}")[:255]}
    else:
        logger.info("job done", extra={"job": job.name, "result": outcome["result"]})
    with transaction() as session:
        session.execute(
            update(JobRun)
            .where(JobRun.name == job.name, JobRun.slot == slot)
            .values(finished_at=clock.now(), **outcome)
        )
    return True


def _carry_out(job: Job, settings: Settings) -> int:
    if job.steps is not None:
        return job.steps(settings)
    assert job.function is not None, "a job has a function or steps"
    with transaction() as session:
        return job.function(session, settings)


def _claimed(name: str, slot: datetime, worker: str) -> bool:
    row = {"name": name, "slot": slot, "worker": worker, "started_at": clock.now()}
    with transaction() as session:
        return bool(insert_new(session, JobRun, [row], ("name", "slot"), "name"))
