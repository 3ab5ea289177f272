"""Texts through one worker process to an SMS centre: at a steady pace, and as fast as they go."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from benchmarks import sms_peer, sms_simulated
from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median, percentile
from benchmarks.options import Options
from server import clock, operator
from server.db import insert_rows, snapshot, take_ids, transaction
from server.notify.models import DeliveryReport, Gateway, OutboxMessage, OutboxSegment

_CHUNK = 20_000
PACE = 5_000
_STALLED_SECONDS = 30.0
TEXT = "【东岭电力】户号{number},11月用电256度,电费137.73元,余额-137.73元,请交费。"


@dataclass
class Round:
    """What one round gave: texts a second by the centre's clock, and what it cost."""

    rate: float
    worker_processor: float  # share of one core
    answer_p99: float  # milliseconds from being marked submitted to the stored answer
    report_p99: float = 0.0
    books: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """An SMS centre to send to: what it is called and how one is started."""

    name: str
    open: Callable[..., AbstractContextManager[Any]]


STRANGERS = Peer(sms_peer.PACKAGE, sms_peer.centre)
OURS = Peer(sms_simulated.NAME, sms_simulated.centre)


class BooksWrong(Exception):
    """Texts were lost or doubled: the round gives no figure."""


def sms_paced(options: Options, databases: Databases) -> list[Figure]:
    """5,000 segments a second with reports, for `--seconds`, to a stranger's centre and to ours."""
    total = int(PACE * options.seconds)
    return [
        *_measure("sms_paced", options, databases, total, reports=True, rate=PACE),
        *_measure(
            "sms_paced.simulated", options, databases, total, reports=True, rate=PACE, peer=OURS
        ),
    ]


def sms_drain(options: Options, databases: Databases) -> list[Figure]:
    """A full queue as fast as it goes, without and with reports; the latter to our centre too."""
    total, name = options.texts, "sms_drain.with_reports"
    return [
        *_measure("sms_drain", options, databases, total, reports=False),
        *_measure(name, options, databases, total, reports=True),
        *_measure(f"{name}.simulated", options, databases, total, reports=True, peer=OURS),
    ]


def drain(options: Options, databases: Databases, total: int, peer: Peer) -> float:
    """Texts a second of one round without reports."""
    return _round(options, databases, total, reports=False, rate=0, peer=peer).rate


def _measure(
    name: str,
    options: Options,
    databases: Databases,
    total: int,
    *,
    reports: bool,
    rate: int = 0,
    peer: Peer = STRANGERS,
) -> list[Figure]:
    state = machine()
    rounds = []
    for number in range(1, options.rounds + 1):
        one = _round(options, databases, total, reports=reports, rate=rate, peer=peer)
        rounds.append(one)
        options.say(
            f"{databases.kind} {name} round {number}: {one.rate:.0f} texts/s, worker"
            f" {one.worker_processor:.0%} of a core, answer p99 {one.answer_p99:.0f} ms, {one.books}"
        )
    parameters = {
        "texts": total,
        "reports": reports,
        "pace": rate or None,
        "window": 50,
        "centre": peer.name,
        "database": databases.describe(),
    }

    def figure(suffix: str, values: list[float], unit: str, better: str) -> Figure:
        return Figure(
            f"{name}{suffix}",
            databases.kind,
            median(values),
            unit,
            better,
            rounds=[round(value, 2) for value in values],
            parameters=parameters,
            machine=state,
        )

    return [
        figure("", [one.rate for one in rounds], "texts/s", "more"),
        figure(".processor", [one.worker_processor for one in rounds], "cores", "less"),
        figure(".answer_p99", [one.answer_p99 for one in rounds], "ms", "less"),
    ]


def _round(
    options: Options, databases: Databases, total: int, *, reports: bool, rate: int, peer: Peer
) -> Round:
    url = databases.create("sms")
    migrate(url, options.folder)
    with (
        application(url, options.folder),
        peer.open(options.folder, reports=reports) as centre,
    ):
        with transaction() as session:
            operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
        sms_peer.set_up(centre.port, rate=float(rate))
        queue(total)
        databases.settle("sms")
        with sms_peer.worker(url, options.folder) as worker:
            used, seconds = _follow(centre, worker, total, reports=reports)
        books = centre.ask("books")
        found = _check(books, total, reports=reports)
        answers, later = _latencies()
    databases.drop("sms")
    return Round(total / books["seconds"], used / seconds, answers, later, found)


def queue(total: int) -> None:
    """Queue `total` texts to as many phones."""
    with snapshot() as session:
        gateway_id = session.scalars(select(Gateway.id)).one()
    now = clock.now()
    common = {
        "created_at": now,
        "event": "bill.issued",
        "category": "bill",
        "priority": 50,
        "delivery": "at_least_once",
        "language": "zh_Hans",
        "segments": 1,
        "status": "queued",
        "gateway_id": gateway_id,
        "attempts": 0,
        "copies": 0,
        "losses": 0,
        "possible_duplicate": False,
        "status_at": now,
    }
    for start in range(0, total, _CHUNK):
        numbers = range(start, min(start + _CHUNK, total))
        with transaction() as session:
            ids = take_ids(session, {OutboxMessage: len(numbers)})[OutboxMessage]
            rows = [
                {
                    "id": identity,
                    "key": f"bill:{number}",
                    "phone": f"+8612{number:09d}",
                    "text": TEXT.format(number=10_000_000 + number),
                    **common,
                }
                for identity, number in zip(ids, numbers, strict=True)
            ]
            insert_rows(session, OutboxMessage, rows)


def _follow(
    centre: Any, worker: sms_peer.Worker, total: int, *, reports: bool
) -> tuple[float, float]:
    """Wait until everything is sent and stored; the worker's processor seconds and the time they took."""
    wanted = "acknowledged" if reports else "segments"
    began = before = None
    seen, changed = -1, time.monotonic()
    while True:
        sms_peer.wait(0.2)
        counts = centre.ask()
        if began is None and counts["segments"]:
            began, before = time.monotonic(), worker.processor_seconds()
        if counts[wanted] >= total and began is not None and before is not None:
            break
        if counts[wanted] != seen:
            seen, changed = counts[wanted], time.monotonic()
        if time.monotonic() - changed > _STALLED_SECONDS or not worker.alive():
            raise BooksWrong(f"nothing moves any more: {counts}")
    used, seconds = worker.processor_seconds() - before, time.monotonic() - began
    sms_peer.wait(1.0)  # the last results are stored
    return used, seconds


def _check(books: dict[str, Any], total: int, *, reports: bool) -> dict[str, Any]:
    """Nothing lost, nothing doubled, every state as it must be. Raises BooksWrong."""
    end = "delivered" if reports else "accepted"
    with snapshot() as session:
        by_state = dict(
            session.execute(
                select(OutboxMessage.status, func.count()).group_by(OutboxMessage.status)
            ).all()
        )
        segments = session.scalar(select(func.count()).where(OutboxSegment.status == end))
        kept = session.scalar(select(func.count(DeliveryReport.segment_id)))
    wrong = (
        books["texts"] != total
        or books["doubles"]
        or books["refused"]
        or by_state != {end: total}
        or segments != total
        or kept != (total if reports else 0)
    )
    if wrong:
        raise BooksWrong(f"{books}, {by_state}, segments {segments}, reports {kept}")
    return {"lost": total - books["texts"], "double": books["doubles"]}


def _latencies() -> tuple[float, float]:
    """The 99th percentile of the time to the stored answer and from there to the report, in ms."""
    columns = (OutboxSegment.submitted_at, OutboxSegment.answered_at, OutboxSegment.reported_at)
    answers, later = [], []
    with snapshot() as session:
        sample = select(*columns).where(OutboxSegment.id % 7 == 0)
        for submitted, answered, reported in session.execute(sample):
            if answered is None:
                continue
            answers.append((answered - submitted).total_seconds() * 1000)
            if reported is not None:
                later.append((reported - answered).total_seconds() * 1000)
    return percentile(answers, 0.99), percentile(later, 0.99) if later else 0.0
