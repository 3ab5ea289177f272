"""One run from the empty database to the verdict."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_sim.protocol import Client, SyncError
from device_sim.smsc.centre import Behaviour, Centre
from device_sim.torture.barrier import barrier_for
from device_sim.torture.chaos import Chaos, KillingLink, KillingPhones
from device_sim.torture.device import Device, in_threads
from device_sim.torture.plan import Carrier, Day, Plan, describe
from device_sim.torture.stored import read_tracks
from device_sim.torture.system import System, SystemFault, get_lines
from device_sim.torture.verdict import WINDOW, Evidence, Verdict, decide
from device_sim.torture.world import ZONE, World, first_morning, write_routes, write_world

SMSC_PASSWORD = "fieldbell"  # noqa: S105  # of a simulator that serves no real phone
DRAIN_S = 180.0
REST_S = 240.0
OVERTIME_S = 900.0
WORKER_FORGOTTEN_S = 90.0
RESTORED = "server.restored"
MOVING = ("queued", "held", "claimed", "submitted", "accepted")
# A text of unknown fate is sent again after this patience with the gateway, each time twice as long.
RESPONSE_S = 5.0
UNKNOWN_S = 20 * RESPONSE_S


@dataclass(frozen=True)
class Options:
    """How a run is made; ``say`` gets lines for people.

    ``system`` is the installation to torture; without one it is made from folder and database.
    """

    plan: Plan
    folder: Path
    database_url: str
    checkout: Path
    day_s: float
    migrated: bool = False
    say: Callable[[str], None] = print
    system: System | None = None


@dataclass
class Ran:
    """What was tried and what was found."""

    plan: Plan
    verdict: Verdict
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.verdict.wrong and not self.failures


class Run:
    """The parts of a run and the order of its days."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.plan = options.plan
        self.system = options.system or System(
            options.folder, options.database_url, options.checkout
        )
        self.chaos = Chaos(self.system, barrier_for(options.database_url), self.plan.seed)
        start = first_morning(datetime.now(UTC), len(self.plan.days))
        readers = [carrier.name for carrier in self.plan.carriers]
        self.world: World = write_world(
            options.folder / "import", self.plan.seed, readers, self.plan.stops, start, texts=True
        )
        self.phones = KillingPhones(options.folder / "smsc.jsonl")
        self.centre = Centre(self.phones, Behaviour(delay=(0.05, 0.3)), "127.0.0.1", 0)
        self.links: list[KillingLink] = []
        self.devices: list[Device] = []
        self.fleet = options.folder / "fleet"
        self.restored = False
        self._token = ""
        self._status: dict[str, Any] = {}
        self._started = time.monotonic()

    def run(self) -> Ran:
        """Live through every day, come to rest, judge."""
        say = self.options.say
        say(describe(self.plan))
        self.centre.start()
        failures: list[str] = []
        try:
            self._found()
            for day in self.plan.days:
                failures += self._day(day)
            left = self.chaos.left + sum(device.kills_left for device in self.devices)
            failures += [f"{left} kills found nothing to strike"] if left else []
            failures += self._rest()
            verdict = decide(self._evidence())
        finally:
            self.system.stop()
            self.centre.stop()
            for link in self.links:
                link.__exit__(None, None, None)
        ran = Ran(self.plan, verdict, failures=[*failures, *self.chaos.failures])
        ran.kills = sum((d.pulled for d in self.devices), Counter(self.chaos.done))
        for link in self.links:
            ran.faults.update(name for name in link.applied if name != "pass")
        ran.seconds = time.monotonic() - self._started
        return ran

    # Before the first day.

    def _found(self) -> None:
        """Make the system: tables, operator, data, keys, programs."""
        flask = self.system.flask
        if not self.options.migrated:
            flask("db", "upgrade")
        flask(
            *("init", "--operator", "试验电力", "--currency", "CNY", "--language", "zh_Hans"),
            *("--time-zone", ZONE.key, "--username", "admin", "--name", "管理员"),
            *("--email", "", "--password", f"torture-{self.plan.seed}-password"),
        )
        bringing = threading.Thread(target=flask, args=("import", str(self.world.folder)))
        bringing.start()
        keys = {"host": "127.0.0.1", "port": self.centre.port, "system_id": "fieldbell"}
        keys |= {"password": SMSC_PASSWORD, "source": "95598", "response_seconds": RESPONSE_S}
        keys |= {"window": WINDOW}
        flask("notify", "gateway", "sim", "--simulated", "--config", json.dumps(keys))
        self._token = flask("token", "create", "--user", "admin", "--name", "torture").strip()
        bringing.join()
        self._enlist(self.plan.carriers)
        self.system.start_worker()
        self.system.start_web()
        # The worker dies no sooner than the fleet lives.
        self.phones.chaos = self.chaos
        self._say("the system is founded")

    def _enlist(self, carriers: Sequence[Carrier], suffix: str = "") -> list[Device]:
        """Give carriers new handhelds, each with a link and a code of its own."""
        words = [word for carrier in carriers for word in ("--rep", carrier.name)]
        codes = json.loads(self.system.flask("device", "code", *words, "--json"))
        made = []
        for carrier, offered in zip(carriers, codes, strict=True):
            link = KillingLink(
                self.chaos, carrier.faults, f"{self.plan.seed}:{carrier.name}{suffix}"
            )
            link.__enter__()
            self.links.append(link)
            folder = self.fleet / f"{carrier.name}{suffix}"
            device = Device(
                carrier, folder, link.url, self.world.dials, self.plan.seed, self.world.start
            )
            device.code = offered["code"]
            made.append(device)
        self.devices += made
        return made

    # A day.

    def _day(self, day: Day) -> list[str]:
        morning = self.world.morning(day.number)
        period = _period(self.world.start, day.number)
        due = morning.astimezone(ZONE).date().isoformat()
        self.system.flask("open-orders", "--period", period, "--due", due)
        backup = self.options.folder / f"day{day.number + 1}.backup"
        if day.restore:
            self.system.flask("backup", "create", str(backup))
        self._events(day)
        self.chaos.arm(day)
        last = day is self.plan.days[-1]
        # What finds nothing to strike strikes on a later day; the last one lasts until all is done.
        end = time.monotonic() + self.options.day_s + (OVERTIME_S if last else 0)
        drops = threading.Thread(target=self._drop_lines, args=(day.drops,), daemon=True)
        drops.start()
        busy = self._busy
        failures = in_threads([_living(device, day, morning, busy, end) for device in self.devices])
        self.chaos.rest(time.monotonic() + REST_S)
        drops.join()
        if day.restore:
            self._restore(backup)
        self._say(f"day {day.number + 1} is over: {self._so_far()}")
        return failures

    def _busy(self) -> bool:
        """Whether kills of the web processes are left: they need pushes."""
        return bool(len(self.chaos.server))

    def _events(self, day: Day) -> None:
        if day.reassign is not None:
            route, reader = (f"r{number:02d}" for number in day.reassign)
            folder = self.options.folder / f"day{day.number + 1}"
            write_routes(folder, {route: reader})
            self.system.flask("import", str(folder))
        if day.revoke is not None:
            device = next(d for d in self.devices if d.carrier.number == day.revoke)
            number = self._number_of(device)
            if number is not None:
                self.system.flask("device", "revoke", number)
                device.hand_over(self._enlist([device.carrier], "-new")[0])

    def _number_of(self, device: Device) -> str | None:
        """The number the server gave a handheld, None when it never got in."""
        path = device.folder / "device.sqlite3"
        if not path.exists():
            return None
        with sqlite3.connect(path) as db:
            row = db.execute("SELECT value FROM fact WHERE name = 'device_id'").fetchone()
        return str(json.loads(row[0])) if row else None

    def _drop_lines(self, times: int) -> None:
        for _ in range(times):
            time.sleep(min(3.0, self.options.day_s / 4))
            self.centre.drop_connections()

    def _restore(self, backup: Path) -> None:
        """Put the morning's backup back, as after the loss of the machine."""
        self.system.kill_web()
        self.system.kill_worker()
        self._put_back(backup)
        self.restored = True
        self.chaos.done[RESTORED] += 1
        self.system.start_web()
        self.system.start_worker()

    def _put_back(self, backup: Path) -> None:
        """Restore, as soon as the killed worker is no longer taken for a living one."""
        end = time.monotonic() + WORKER_FORGOTTEN_S
        while True:
            try:
                self.system.flask("backup", "restore", str(backup), "--replace")
            except SystemFault:
                if time.monotonic() > end:
                    raise
                time.sleep(2)
            else:
                return

    # The end.

    def _rest(self) -> list[str]:
        """All faults off: send everything, then wait until every text has come to its end."""
        for link in self.links:
            link.calm = True
        self.phones.chaos = None
        problems: list[str] = []
        end = time.monotonic() + DRAIN_S

        def drain(device: Device) -> None:
            with device.switched_on():
                problem = device.drain(end)
            if problem:
                problems.append(problem)

        problems += in_threads([_bound(drain, device) for device in self.devices])
        self._status = self._at_rest()
        self._say("everything has come to rest")
        return problems

    def _at_rest(self) -> dict[str, Any]:
        """The status when every text has come to its end, or when there is no more time for it."""
        start = time.monotonic()
        while True:
            status = self.system.status()
            messages, passed = status["messages"], time.monotonic() - start
            moving = any(messages.get(state) for state in MOVING)
            moving = moving or (messages.get("unknown") and passed < UNKNOWN_S)
            if not moving or passed > REST_S:
                return status
            time.sleep(1)

    def _evidence(self) -> Evidence:
        lines = list(get_lines(f"{self.system.url}/api/v1/captures/export", self._token))
        return Evidence(
            lines=lines,
            status=self._status,
            reconcile=self.system.reconcile(),
            phones=self.phones.document(),
            fleet=self.fleet,
            blobs=self.options.folder / "var" / "blobs",
            homes=self.world.homes,
            tracks=read_tracks(self.options.database_url),
            restored=self.restored,
            differing_documents=self._documents(),
        )

    def _documents(self) -> list[str]:
        """Handhelds that hold other documents than a pull from the start would bring them."""
        different: list[str] = []

        def look(device: Device) -> None:
            with device.switched_on():
                problem = _differing(device, self.system.url)
            if problem:
                different.append(f"{device.folder.name}: {problem}")

        failures = in_threads([_bound(look, device) for device in self.devices])
        return [*different, *failures]

    def _so_far(self) -> str:
        done = sum(self.chaos.done.values()) + sum(
            sum(device.pulled.values()) for device in self.devices
        )
        return f"{done} kills of {len(self.plan.kills)}"

    def _say(self, text: str) -> None:
        self.options.say(f"{time.monotonic() - self._started:7.1f} s  {text}")


def _living(
    device: Device, day: Day, morning: datetime, busy: Callable[[], bool], end: float
) -> Callable[[], None]:
    def live() -> None:
        with device.switched_on():
            device.live(day, morning, busy, end)

    return live


def _bound(function: Callable[[Device], None], device: Device) -> Callable[[], None]:
    return lambda: function(device)


def _differing(device: Device, url: str) -> str | None:
    """What differs between a handheld's documents and a pull from the start."""
    store = device.handheld.store
    client = Client(url, token=store.get("token"))
    fresh: dict[tuple[str, str], object] = {}
    checkpoint = None
    try:
        while True:
            page = client.pull(checkpoint)
            for document in page.documents:
                if not document.get("_deleted"):
                    fresh[str(document["collection"]), str(document["id"])] = document
            checkpoint = page.checkpoint
            if not page.more:
                break
    except SyncError as error:
        # Whoever was shut out holds nothing, and gets nothing.
        kept = len(store.documents("service_point"))
        return f"{error} and still holds {kept} points" if kept and error.status == 401 else None
    finally:
        client.close()
    collections = {collection for collection, _ in fresh}
    mine = {(c, str(d["id"])): d for c in sorted(collections) for d in store.documents(c)}
    wrong = [key for key in fresh.keys() | mine.keys() if fresh.get(key) != mine.get(key)]
    return f"{len(wrong)} of {len(fresh)}, such as {sorted(wrong)[:3]}" if wrong else None


def _period(start: datetime, day: int) -> str:
    """A month of its own for every day: a point is read once a month."""
    local = start.astimezone(ZONE)
    months = local.year * 12 + local.month - 1 + day
    return f"{months // 12}-{months % 12 + 1:02d}"


def report(ran: Ran) -> str:
    """What was tried and found, the seed first."""
    plan = ran.plan
    struck = ran.kills.total() - ran.kills[RESTORED]
    word = "nothing lost, nothing double" if ran.ok else "BROKEN PROMISES"
    lines = [f"seed {plan.seed}: {word} in {ran.seconds:.0f} s"]
    lines.append(f"  kills {struck} of {len(plan.kills)} planned:")
    lines += [f"    {point} {n}" for point, n in sorted(ran.kills.items())]
    faults = ", ".join(f"{name} {n}" for name, n in sorted(ran.faults.items()))
    lines.append(f"  faults of the links: {faults or 'none'}")
    counts = ", ".join(f"{name} {n}" for name, n in ran.verdict.counts.items())
    lines.append(f"  found: {counts}")
    lines += [f"  WRONG: {sentence}" for sentence in (*ran.verdict.wrong, *ran.failures)]
    return "\n".join(lines)


def torture(options: Options) -> Ran:
    """Make a run; its files stay in the folder."""
    with suppress(FileExistsError):
        options.folder.mkdir(parents=True)
    return Run(replace(options, folder=options.folder.absolute())).run()
