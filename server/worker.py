"""The worker process: gateways, texted commands and timed jobs, until it is told to stop.

Any number of workers may run beside each other: messages and job slots are claimed in the database.
One that is killed loses nothing: what it had claimed falls due again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from types import FrameType

import click
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from server import clock, logs
from server.commands.rules.replies import Limits
from server.commands.runner import Commands
from server.db import bulk_upsert, snapshot, transaction
from server.jobs import WorkerHeartbeat, run_due
from server.notify.dispatch import Gateways
from server.operator import Operator
from server.terminal import command, settings

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0


def own_name() -> str:
    """The name of this process in tables and logs: host and process id."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def work(app: Flask, stop: threading.Event, name: str, beat_seconds: float = BEAT_SECONDS) -> None:
    """Run jobs, gateways and texted commands until ``stop`` is set, then drain and return.

    A database that is away, or not founded yet, is waited for.
    """
    beats = threading.Thread(
        target=_beat_until, args=(app, stop, name, beat_seconds), name="heartbeat", daemon=True
    )
    beats.start()
    started: tuple[Gateways | Commands, ...] = ()
    logger.info("worker started", extra={"worker": name})
    while True:
        try:
            started = started or _start(app)
            run_due(app, name)
        except SQLAlchemyError as error:
            logger.warning("the database is away: %s", type(error).__name__)
        if stop.wait(beat_seconds):
            break
    logger.info("worker stops", extra={"worker": name})
    for part in started:
        part.stop()
    beats.join()
    _say_stopped(app, name)
    logger.info("worker stopped", extra={"worker": name})


def _start(app: Flask) -> tuple[Gateways | Commands, ...]:
    """Start the threads once it is known whether this is a demo, which may use simulated gateways only."""
    made: Settings = app.extensions["fieldbell"]
    with app.app_context(), snapshot() as session:
        is_demo = session.scalar(select(Operator.is_demo))
    if is_demo is None:
        return ()
    parts = (
        Gateways(app, only_simulated=is_demo),
        Commands(app, Limits(made.replies_per_hour, made.answer_strangers)),
    )
    for part in parts:
        part.start()
    return parts


# --- heartbeat ----------------------------------------------------------------------------


def _beat_until(app: Flask, stop: threading.Event, name: str, beat_seconds: float) -> None:
    """Say every few seconds that this worker lives, also while a long job runs."""
    started_at = clock.now()
    with app.app_context():
        while True:
            row = {
                "name": name,
                "started_at": started_at,
                "seen_at": clock.now(),
                "stopped_at": None,
            }
            try:
                with transaction() as session:
                    bulk_upsert(session, WorkerHeartbeat, [row], ("name",))
            except SQLAlchemyError as error:
                logger.warning("the heartbeat was not written: %s", type(error).__name__)
            if stop.wait(beat_seconds):
                return


def _say_stopped(app: Flask, name: str) -> None:
    try:
        with app.app_context(), transaction() as session:
            session.execute(
                update(WorkerHeartbeat)
                .where(WorkerHeartbeat.name == name)
                .values(stopped_at=clock.now())
            )
    except SQLAlchemyError as error:
        logger.warning("the stop was not written: %s", type(error).__name__)


# --- command ------------------------------------------------------------------------------


@command("worker")
def worker_command() -> None:
    """Run the worker process: send and carry out texts, run timed jobs. Stop it with Ctrl-C or SIGTERM."""
    logs.to_stdout(settings().log_level)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    # Threads need the application itself, not the proxy of this one.
    work(click.get_current_context().ensure_object(ScriptInfo).load_app(), stop, own_name())
