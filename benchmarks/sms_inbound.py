"""Texts of people, each stored before it is acknowledged: how many a second a carrier gets rid of."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from benchmarks import sms_peer
from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from benchmarks.sms_send import BooksWrong
from server import operator
from server.db import snapshot, transaction
from server.notify.models import InboundMessage

WINDOW = 100
_PATIENCE_SECONDS = 300.0


def sms_inbound(options: Options, databases: Databases) -> list[Figure]:
    """Measure on one kind of database; the centre keeps 100 deliveries without an answer."""
    state = machine()
    rounds = []
    for number in range(1, options.rounds + 1):
        rate, processor = _round(options, databases, options.texts)
        rounds.append(rate)
        options.say(
            f"{databases.kind} sms_inbound round {number}: {rate:.0f} texts/s, worker"
            f" {processor:.0%} of a core"
        )
    return [
        Figure(
            "sms_inbound",
            databases.kind,
            median(rounds),
            "texts/s",
            "more",
            rounds=[round(rate) for rate in rounds],
            parameters={
                "texts": options.texts,
                "window": WINDOW,
                "centre": sms_peer.PACKAGE,
                "database": databases.describe(),
            },
            machine=state,
        )
    ]


def _round(options: Options, databases: Databases, total: int) -> tuple[float, float]:
    url = databases.create("sms")
    migrate(url, options.folder)
    with (
        application(url, options.folder),
        sms_peer.centre(options.folder, reports=False) as centre,
    ):
        with transaction() as session:
            operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
        sms_peer.set_up(centre.port)
        with sms_peer.worker(url, options.folder) as worker:
            _warm_up(centre)
            used = worker.processor_seconds()
            counts = _pour(centre, total)
            used = worker.processor_seconds() - used
        with snapshot() as session:
            stored = session.scalar(select(func.count()).select_from(InboundMessage))
    databases.drop("sms")
    if counts["refused"] or stored != total + WINDOW:
        raise BooksWrong(f"{stored} of {total + WINDOW} stored, {counts}")
    return total / counts["pouring_seconds"], used / counts["pouring_seconds"]


def _warm_up(centre: sms_peer.Centre) -> None:
    """Wait until the worker is bound, and let a first window through."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not centre.ask()["bound"]:
        if time.monotonic() > until:
            raise BooksWrong("the worker does not bind")
        sms_peer.wait(0.2)
    _pour(centre, WINDOW)


def _pour(centre: sms_peer.Centre, total: int) -> dict[str, float]:
    """Have the centre deliver `total` texts; its figures when all are answered."""
    centre.ask(f"deliver {total} {WINDOW}")
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (counts := centre.ask())["pouring_seconds"]:
        if time.monotonic() > until:
            raise BooksWrong(f"deliveries stand still: {counts}")
        sms_peer.wait(0.1)
    return counts
