"""A worker killed again and again under load, and the books afterwards.

`python -m tests.notify.killing` does what a test does with three kills, for longer: a hundred kills
with a window of 50, on an SQLite file of its own or on the empty database that `--database` names.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask_migrate
from sqlalchemy import select

from config.settings import Settings
from device_sim.smsc.centre import Behaviour, Centre
from device_sim.smsc.phones import Phones
from server import operator
from server.app import create_app
from server.db import snapshot, transaction
from server.notify import service
from server.notify.models import OutboxMessage
from tests.notify.conftest import ROOT, bill, put_gateway
from tests.waiting import wait_until

AHEAD = 6  # windows: one in the air, five that wait for it in memory


@dataclass(frozen=True)
class Books:
    """What was found at the end: texts of either class by state, and how often phones showed them."""

    bills: Counter[str]
    onces: Counter[str]
    shown: Counter[str]
    unknown_most: int

    def doubles(self, kind: str) -> int:
        """How many texts of a kind phones showed more than once."""
        return sum(
            times > 1 and text.startswith("once") == (kind == "once")
            for text, times in self.shown.items()
        )

    def wrong(self) -> list[str]:
        """Every sentence that does not hold."""
        checks = {
            "every text of the at-least-once class is delivered": set(self.bills) == {"delivered"},
            "no text of the at-most-once class came twice": not self.doubles("once"),
            "what is unknown is bounded by window and batch": (
                self.onces["unknown"] <= self.unknown_most
            ),
            "nothing is left in between": set(self.onces) <= {"delivered", "unknown"},
        }
        return [sentence for sentence, holds in checks.items() if not holds]


def run(url: str, kills: int, window: int, texts: int, pause: float = 0.3, seed: int = 7) -> Books:
    """Queue `texts` of each class, kill the worker `kills` times while it sends, let it finish, look."""
    chance = random.Random(seed)
    centre = Centre(Phones(), Behaviour(delay=(0.0, 0.5)), "127.0.0.1", 0)
    centre.start()
    put_gateway("carrier", centre.port, window=window, response_seconds=2.0)
    with transaction() as session:
        service.enqueue(session, [bill(number) for number in range(texts)])
        service.enqueue(session, [_once(number) for number in range(texts)])
    command = [sys.executable, "-m", "tests.notify.worker_process", url]
    for number in range(kills):
        before = centre.phones.counts()["segments"]
        with _worker(command):
            wait_until(_more_than(centre, before), 300)
            time.sleep(chance.uniform(0, pause))
        if number + 1 < kills and _left() < texts // 4:
            _queue_more(number, texts // 2)
    with _worker(command):
        wait_until(lambda: set(by_class()[0]) == {"delivered"}, 300)
        wait_until(lambda: set(by_class()[1]) <= {"delivered", "unknown"}, 300)
    centre.stop()
    shown = Counter(text["text"] for phone in centre.phones.document() for text in phone["texts"])
    return Books(*by_class(), shown, kills * window * AHEAD)


@contextmanager
def _worker(command: list[str]) -> Iterator[None]:
    """A worker that is killed at the end, whatever it is doing."""
    worker = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        worker.kill()
        worker.wait()


def _more_than(centre: Centre, before: int) -> Callable[[], bool]:
    return lambda: centre.phones.counts()["segments"] > before


def _once(number: int) -> service.Notice:
    """A text of the class that is never sent twice."""
    phone = f"+86120000{5000 + number % 5000:05d}"
    return service.Notice(
        "operator.text", f"once:{number}", phone, None, {"text": f"once {number}"}
    )


def _queue_more(number: int, texts: int) -> None:
    """Keep the queue filled, so that every kill meets a worker at work."""
    begin = 100_000 * (number + 1)
    numbers = range(begin, begin + texts)
    bills = [bill(n, f"+86120000{n % 5000:05d}") for n in numbers]
    with transaction() as session:
        service.enqueue(session, bills)
        service.enqueue(session, [_once(n) for n in numbers])


def _left() -> int:
    bills, onces = by_class()
    return bills["queued"] + onces["queued"]


def by_class() -> tuple[Counter[str], Counter[str]]:
    """The states of the texts that must arrive, and of those that must not come twice."""
    m = OutboxMessage
    with snapshot() as session:
        rows = session.execute(select(m.event, m.status)).all()
    bills = Counter(status for event, status in rows if event == "bill.issued")
    return bills, Counter(status for event, status in rows if event != "bill.issued")


def main() -> int:
    """Run it from the command line; 1 when a sentence does not hold."""
    made = argparse.ArgumentParser(prog="python -m tests.notify.killing")
    made.add_argument("--database", help="an empty database (default: an SQLite file of its own)")
    made.add_argument("--kills", type=int, default=100)
    made.add_argument("--window", type=int, default=50)
    made.add_argument("--texts", type=int, default=2000, help="of each class, at the beginning")
    made.add_argument("--seed", type=int, default=7)
    asked = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="fieldbell-kills-") as folder:
        url = asked.database or f"sqlite:///{folder}/kills.db"
        key = "a key that only tests know, long enough"
        settings = Settings(database_url=url, secret_key=key, var_dir=Path(folder))
        with create_app(settings).app_context():
            flask_migrate.upgrade()
            with transaction() as session:
                operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
            books = run(url, asked.kills, asked.window, asked.texts, seed=asked.seed)
    told = [
        f"{asked.kills} kills of the worker, window {asked.window}, seed {asked.seed}",
        f"at least once: {dict(books.bills)}, shown more than once: {books.doubles('bill')}",
        f"at most once: {dict(books.onces)}, shown more than once: {books.doubles('once')}",
        f"unknown allowed: {books.unknown_most}",
        *(f"WRONG: {sentence}" for sentence in books.wrong()),
    ]
    sys.stdout.write("\n".join(told) + "\n")
    return 1 if books.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
