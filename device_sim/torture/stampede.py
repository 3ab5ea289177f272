"""``python -m device_sim stampede``: a whole fleet hands in its day in the same second.

Every handheld has been without signal all day. At the stroke they all sync with a server of two web
processes; measured is how long it takes until the last outbox is empty, and how large the server grew.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from device_sim.check import Held, compare
from device_sim.clock import epoch_ms, rfc3339
from device_sim.gps import Gps
from device_sim.handheld import Handheld, Stop
from device_sim.protocol import Client, Json, SyncError
from device_sim.rep import shown
from device_sim.syncer import Backoff, Syncer
from device_sim.torture.device import LivedClock, in_threads
from device_sim.torture.stored import count_points
from device_sim.torture.system import System, SystemFault, get_lines
from device_sim.torture.verdict import held_by_server, witnessed
from device_sim.torture.world import ZONE, World, first_morning, write_world

READY_AT_ONCE = 4
READY_WITHIN_S = 300.0
FILES_EACH = 8
FILES_BESIDE = 500
SHIFT_ITEMS = 2
DRAIN_S = 3600.0
PERIOD = "2026-01"
STEP_S = 8 * 3600

DESCRIPTION = """\
Each handheld holds a day's captures and track; all start to sync in the same second against two web
processes. Everything must arrive once, with equal content, every reading must be billed and every point
of the tracks must be stored. Prints the time until the last outbox was empty and the largest resident
size of the server's processes, then one JSON line with the same figures. Exit code 0 when nothing was
lost or double.
"""

EXAMPLES = """\
examples:
  python -m device_sim stampede --devices 50
  python -m device_sim stampede --devices 500 --database postgresql+psycopg://fieldbell@127.0.0.1/x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add = parser.add_argument
    add("--devices", type=int, default=50, help="handhelds (default: %(default)s)")
    add("--captures", type=int, default=120, help="readings of each (default: %(default)s)")
    add("--points", type=int, default=3000, help="track points of each (default: %(default)s)")
    add(
        "--patience",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="of a handheld with one answer (default: %(default)s)",
    )
    add("--web-workers", type=int, default=2, help="web processes (default: %(default)s)")
    add("--seed", type=int, default=1, help="of meters and people (default: %(default)s)")
    add("--database", default="sqlite", metavar="URL", help="sqlite or an empty database's address")
    add("--state", type=Path, metavar="DIR", help="keep all files here (default: thrown away)")


@dataclass
class Outcome:
    """What was measured; ``wrong`` is empty when nothing was lost or double."""

    seconds: float = 0.0
    median_s: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    peaks_mb: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Stampede:
    """One stampede from the empty database to the verdict."""

    def __init__(self, args: argparse.Namespace, folder: Path, database: str) -> None:
        self.args = args
        self.system = System(folder, database, Path.cwd(), web_workers=args.web_workers)
        start = first_morning(datetime.now(UTC), 1)
        self.readers = [f"r{n:03d}" for n in range(1, args.devices + 1)]
        self.world: World = write_world(
            folder / "import", args.seed, self.readers, args.captures, start, texts=False
        )
        self.fleet = folder / "fleet"
        self._room = threading.Semaphore(READY_AT_ONCE)
        self._stroke = threading.Barrier(args.devices + 1)
        self._lock = threading.Lock()
        self._drained: list[float] = []
        self._started = 0.0
        self._refusals: Counter[str] = Counter()
        self._begun = time.monotonic()

    def run(self) -> Outcome:
        """Make the system, fill the outboxes, let everybody start, check."""
        flask = self.system.flask
        try:
            flask("db", "upgrade")
            flask(
                *("init", "--operator", "试验电力", "--currency", "CNY", "--language", "zh_Hans"),
                *("--time-zone", ZONE.key, "--username", "admin", "--name", "管理员"),
                *("--email", "", "--password", "stampede-password"),
            )
            self._say(f"{len(self.world.homes)} meters are imported …")
            flask("import", str(self.world.folder))
            due = self.world.start.astimezone(ZONE).date().isoformat()
            flask("open-orders", "--period", PERIOD, "--due", due)
            token = flask("token", "create", "--user", "admin", "--name", "stampede").strip()
            words = [word for reader in self.readers for word in ("--rep", reader)]
            codes = [c["code"] for c in json.loads(flask("device", "code", *words, "--json"))]
            self.system.start_web()
            self._say(f"{len(codes)} handhelds get ready …")
            failures = self._all_at_once(codes)
            self.system.note_memory()
            self._say("all have drained; the books are checked …")
            outcome = self._judge(token)
            outcome.wrong += _told(failures)
        finally:
            self.system.stop()
        return outcome

    def _all_at_once(self, codes: Sequence[str]) -> list[str]:
        failures: list[str] = []

        def strike() -> None:
            self._stroke.wait()
            self._started = time.monotonic()
            self._say("all start now")

        starter = threading.Thread(target=strike, daemon=True)
        starter.start()
        failures += in_threads(
            [self._life(name, code) for name, code in zip(self.readers, codes, strict=True)]
        )
        return failures

    def _life(self, name: str, code: str) -> Callable[[], None]:
        def live() -> None:
            clock = LivedClock(self.world.start)
            handheld = Handheld(self.fleet / name, clock, Gps(random.Random(name)), name=name)
            syncer = Syncer(handheld, Client(self.system.url, timeout=self.args.patience))
            try:
                with self._room:
                    self._get_ready(syncer, code)
                    _fill(handheld, self.world, self.args.points)
                clock.meeting = True
                syncer.client.close()
                self._stroke.wait()
                self._drain(syncer)
            except BaseException:
                # Nobody may wait for one who never comes.
                self._stroke.abort()
                raise
            finally:
                syncer.client.close()
                handheld.close()

        return live

    def _get_ready(self, syncer: Syncer, code: str) -> None:
        """Join and pull; a server that is busy is asked again."""
        backoff = Backoff(random.Random(code), 0.5, 10.0)
        end = time.monotonic() + READY_WITHIN_S
        while (error := _joined(syncer, code)) is not None:
            if not error.retry or time.monotonic() > end:
                raise error
            time.sleep(backoff.next(error.retry_after))

    def _drain(self, syncer: Syncer) -> None:
        backoff = Backoff(random.Random(syncer.handheld.name), 0.5, 10.0)
        end = time.monotonic() + DRAIN_S
        error: SyncError | None
        while (error := syncer.sync().error) is not None:
            with self._lock:
                self._refusals[error.code or type(error).__name__] += 1
            if time.monotonic() > end:
                raise error
            time.sleep(backoff.next(error.retry_after))
        unsent = syncer.handheld.store.unsent()[0] + syncer.handheld.store.track_waiting()
        if unsent:
            raise RuntimeError(f"{syncer.handheld.name} still holds {unsent}")
        with self._lock:
            self._drained.append(time.monotonic() - self._started)

    def _judge(self, token: str) -> Outcome:
        lines = list(get_lines(f"{self.system.url}/api/v1/captures/export", token))
        report = compare(witnessed(self.fleet), list[Held](held_by_server(lines)))
        outcome = Outcome(refusals=self._refusals)
        drained = sorted(self._drained)
        if drained:
            outcome.seconds, outcome.median_s = drained[-1], drained[len(drained) // 2]
        outcome.peaks_mb = sorted((kb // 1000 for kb in self.system.peaks.values()), reverse=True)
        if not report.ok:
            outcome.wrong.append(
                f"{len(report.missing)} missing, {len(report.twice)} twice,"
                f" {len(report.different)} different, {len(report.unknown)} unknown"
            )
        readings = self.args.devices * self.args.captures
        items = readings + self.args.devices * SHIFT_ITEMS
        applied = sum(line["verdict"] == "applied" for line in lines)
        bills = self.system.status()["bills"]["issued"]
        if (report.witnessed, applied, bills) != (items, items, readings):
            outcome.wrong.append(
                f"of {items} captures {report.witnessed} were witnessed, {applied} applied,"
                f" of {readings} readings {bills} billed"
            )
        points = count_points(self.system.database_url)
        whole = sum(number == self.args.points for number in points.values())
        if whole != self.args.devices:
            outcome.wrong.append(
                f"the tracks of {whole} handhelds are whole, {sum(points.values())} points stored"
            )
        return outcome

    def _say(self, text: str) -> None:
        _say(f"{time.monotonic() - self._begun:7.1f} s  {text}")


def _joined(syncer: Syncer, code: str) -> SyncError | None:
    try:
        syncer.enrol(code)
    except SyncError as error:
        return error
    return syncer.sync().error


def _told(failures: Sequence[str]) -> list[str]:
    """The failures of handhelds, without those who only waited for one that never came."""
    own = [failure for failure in failures if not failure.startswith("BrokenBarrierError")]
    return own[:20] or list(failures[:1])


def _fill(handheld: Handheld, world: World, points: int) -> None:
    """A day in the outbox: a shift, every meter of the round read, a point every few seconds."""
    handheld.start_shift()
    stops = handheld.open_stops()
    pause = STEP_S / max(1, len(stops))
    seq = handheld.store.next_seq()
    items = []
    for number, stop in enumerate(stops):
        handheld.clock.true.sleep(pause)
        item = _reading(handheld, world, stop, seq + number)
        handheld.witness.begin(item, synced=number == len(stops) - 1)
        base = str(stop.order.get("version") or "")
        items.append((item, f"read_order:{stop.order['id']}", base))
    handheld.store.add_all(items)
    for item, _, _ in items:
        handheld.witness.saved(str(item["id"]))
    handheld.store.add_track(_track(stops, world.start, points))
    handheld.clock.true.sleep(pause)
    handheld.end_shift()


def _reading(handheld: Handheld, world: World, stop: Stop, seq: int) -> Json:
    now = handheld.clock.true.now()
    true = world.dials.at(stop.meter_serial or "", "total", now) or Decimal(0)
    place = stop.point["position"]
    return {
        "id": str(uuid.uuid4()),
        "seq": seq,
        "type": "meter_reading.v1",
        "captured_at": rfc3339(handheld.clock.now()),
        "uptime_ms": handheld.clock.uptime_ms(),
        "gps": {
            "lat": place["lat"],
            "lon": place["lon"],
            "accuracy_m": 5.0,
            "fix_at": rfc3339(now),
            "provider": "gnss",
            "mock": False,
            "crs": "wgs84",
        },
        "base": str(stop.order.get("version") or ""),
        "data": {
            "read_order": int(stop.order["id"]),
            "service_point": int(stop.point["id"]),
            "meter_serial": stop.meter_serial,
            "reason": "01",
            "registers": [{"kind": "total", "value": shown(true, 5)}],
            "trouble": None,
            "note": None,
        },
    }


def _track(stops: Sequence[Stop], start: datetime, points: int) -> list[list[int]]:
    """A walk up and down the round at walking speed."""
    if not stops:
        return []
    places = [stop.point["position"] for stop in stops]
    rows = []
    for n in range(points):
        place = places[min(n * len(places) // points, len(places) - 1)]
        at = start + timedelta(seconds=1 + n * STEP_S / points)
        lat, lon = round(place["lat"] * 1e7) + n % 7 * 10, round(place["lon"] * 1e7)
        rows.append([epoch_ms(at), lat, lon, 50, 120, 0, 80, 0])
    return rows


def run(args: argparse.Namespace) -> int:
    """Make a stampede; 0 when nothing was lost or double, 2 when so many handhelds cannot be."""
    if not _room_for(args.devices):
        sys.stderr.write(f"stampede: too few open files for {args.devices}: see `ulimit -Hn`\n")
        return 2
    folder = (args.state or Path(tempfile.mkdtemp(prefix="fieldbell-stampede-"))).absolute()
    database = args.database
    if database == "sqlite":
        database = f"sqlite:///{folder}/fieldbell.db"
    # Whoever ends a stampede ends the programs it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        outcome = Stampede(args, folder, database).run()
    except SystemFault as fault:
        sys.stderr.write(f"stampede: {fault}\n")
        return 1
    for line in _report(args, outcome):
        _say(line)
    if args.state is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if outcome.wrong else 0


def _room_for(devices: int) -> bool:
    """Ask the system for as many open files as the fleet needs; the server inherits the limit."""
    wanted = devices * FILES_EACH + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        return False
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def _report(args: argparse.Namespace, outcome: Outcome) -> list[str]:
    readings = args.devices * args.captures
    rate = readings / outcome.seconds if outcome.seconds else 0.0
    figures: dict[str, Any] = {
        "devices": args.devices,
        "captures": readings,
        "track_points": args.devices * args.points,
        "database": args.database.partition(":")[0],
        "web_workers": args.web_workers,
        "seconds": round(outcome.seconds, 1),
        "median_s": round(outcome.median_s, 1),
        "captures_per_s": round(rate),
        "worst_mb": outcome.peaks_mb[:1],
        "all_mb": sum(outcome.peaks_mb),
        "refusals": dict(outcome.refusals),
        "wrong": outcome.wrong,
    }
    times = f"{outcome.seconds:.1f} s, half of them after {outcome.median_s:.1f} s"
    largest, together = max(outcome.peaks_mb, default=0), sum(outcome.peaks_mb)
    return [
        f"{args.devices} handhelds, {readings} readings: the last outbox was empty after {times}",
        f"largest web process {largest} MB, all of them {together} MB",
        *(f"WRONG: {sentence}" for sentence in outcome.wrong),
        json.dumps(figures, ensure_ascii=False),
    ]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
