"""Texts to a carrier that takes a hundred a second: how closely the sending follows, from five seconds on."""

from __future__ import annotations

import time
from functools import partial

from sqlalchemy import func, select

from benchmarks import sms_peer, sms_simulated
from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from benchmarks.sms_send import BooksWrong, queue
from server import operator
from server.db import snapshot, transaction
from server.notify.models import OutboxMessage, OutboxTransition

TAKES = 100
_LEARNING_SECONDS = 5.0
_PATIENCE_SECONDS = 60.0
_LONGEST = 60.0


def sms_throttled(options: Options, databases: Databases) -> list[Figure]:
    """Texts a second after the first five seconds; nothing may fail, and all must arrive."""
    state = machine()
    total = int(TAKES * min(options.seconds, _LONGEST))
    rounds = []
    for number in range(1, options.rounds + 1):
        rate, throttled = _round(options, databases, total)
        rounds.append(rate)
        options.say(
            f"{databases.kind} sms_throttled round {number}: {rate:.0f} texts/s of {TAKES},"
            f" {throttled} of {total} were throttled on the way"
        )
    return [
        Figure(
            "sms_throttled",
            databases.kind,
            median(rounds),
            "texts/s",
            "more",
            ratio={"of_what_the_carrier_takes": round(median(rounds) / TAKES, 3)},
            rounds=[round(rate, 1) for rate in rounds],
            parameters={"texts": total, "carrier_takes": TAKES, "window": 50},
            machine=state,
        )
    ]


def _round(options: Options, databases: Databases, total: int) -> tuple[float, int]:
    url = databases.create("sms")
    migrate(url, options.folder)
    limit = ("--rate", str(TAKES))
    with (
        application(url, options.folder),
        sms_simulated.centre(options.folder, reports=False, more=limit) as centre,
    ):
        with transaction() as session:
            operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
        sms_peer.set_up(centre.port)
        queue(total)
        with sms_peer.worker(url, options.folder) as worker:
            rate = _follow(centre, worker, total)
        with snapshot() as session:
            states = dict(
                session.execute(
                    select(OutboxMessage.status, func.count()).group_by(OutboxMessage.status)
                ).all()
            )
            throttled = session.scalar(
                select(func.count()).where(OutboxTransition.reason == "throttled")
            )
    databases.drop("sms")
    if states != {"accepted": total}:
        raise BooksWrong(f"{states}")
    return rate, throttled or 0


def _follow(centre: sms_simulated.Centre, worker: sms_peer.Worker, total: int) -> float:
    """Wait until everything is taken; texts a second from the fifth second to the last text."""
    taken = partial(_taken, centre)
    end = time.monotonic() + _PATIENCE_SECONDS + 3 * total / TAKES
    while not taken():
        _alive(worker, end)
    sms_peer.wait(_LEARNING_SECONDS)
    begun, before = time.monotonic(), taken()
    while taken() < total:
        _alive(worker, end)
    seconds = time.monotonic() - begun
    sms_peer.wait(1.0)  # the last results are stored
    return (total - before) / seconds


def _taken(centre: sms_simulated.Centre) -> int:
    return int(centre.ask()["segments"])


def _alive(worker: sms_peer.Worker, end: float) -> None:
    if time.monotonic() > end or not worker.alive():
        raise BooksWrong("not everything was taken in time")
    sms_peer.wait(0.1)
