"""Many handhelds at once: each lives its working day in a thread of its own and keeps its own store.

A fleet that starts again goes on where it stopped: same tokens, unsent items first. It waits for a
server that is not up yet, and keeps capturing when a token is refused.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from device_sim.clock import Clock, VirtualClock, WallClock, monotonic
from device_sim.gps import Gps, GpsFaults
from device_sim.handheld import Handheld, Stop, place_of
from device_sim.protocol import Client, SyncError
from device_sim.radio import Radio
from device_sim.rep import Dials, Habits, Rep
from device_sim.round import Round
from device_sim.syncer import Backoff, Outcome, Syncer
from device_sim.walk import Place

log = logging.getLogger("device_sim")

WANDER_DWELL_S = (5.0, 20.0)
# Whoever stops a fleet waits for its last sync; a server that hangs must not make that long.
LAST_SYNC_S = 3.0


@dataclass(frozen=True)
class Member:
    """One handheld of a plan: its name (also its folder) and its enrolment code, if it needs one."""

    name: str
    code: str | None = None


@dataclass(frozen=True)
class Plan:
    """A plan file: where the server is, what the dials show, who walks."""

    server: str | None
    dials: Path | None
    handhelds: list[Member]


@dataclass(frozen=True)
class Options:
    """How a fleet behaves. Seconds everywhere; ``pace`` None is real walking."""

    server: str
    state: Path
    seed: str = "1"
    pace: float | None = None
    signal: float = 1.0
    sync_every: float = 60.0
    until_done: bool = False
    live_from: datetime | None = None
    habits: Habits = field(default_factory=Habits)
    gps: GpsFaults = field(default_factory=GpsFaults)
    timeout: float = 10.0


def load_plan(path: Path) -> Plan:
    """Read a plan file. Raises ``ValueError`` saying what is wrong with it."""
    value = json.loads(path.read_text(encoding="utf-8"))
    if "handhelds" not in value:
        raise ValueError(f"{path}: expected an object with a list 'handhelds'")
    members = [Member(str(h["name"]), h.get("code")) for h in value["handhelds"]]
    if len({folder_name(m.name) for m in members}) != len(members):
        raise ValueError(f"{path}: two handhelds share a name")
    dials = _find(path.parent, value["dials"]) if value.get("dials") else None
    return Plan(value.get("server"), dials, members)


def _find(folder: Path, name: str) -> Path:
    """A path in a plan is relative to the plan's folder, or else to the working directory."""
    beside = folder / name
    return beside if beside.exists() else Path(name)


def folder_name(name: str) -> str:
    """The folder of a handheld: its name without anything a path could trip over."""
    return re.sub(r"[^\w-]+", "_", name).strip("_") or "handheld"


class Life:
    """One handheld's life: enrol, shift, round after round, until asked to stop. Runs in one thread."""

    def __init__(
        self, member: Member, options: Options, dials: Dials, stop: threading.Event
    ) -> None:
        self._options = options
        self._code = member.code
        self._stop = stop
        self._wall = WallClock(stop)
        seed = f"{options.seed}:{member.name}"
        clock: Clock = self._wall
        if options.live_from:
            clock = VirtualClock(options.live_from, self._wall)
        gps = Gps(random.Random(f"{seed}:gps"), options.gps)
        folder = options.state / folder_name(member.name)
        self.handheld = Handheld(folder, clock, gps, name=member.name)
        seed = f"{seed}:{self.handheld.boots}"
        gps.rng.seed(f"{seed}:gps")
        self.handheld.store.put(server=options.server)
        self.syncer = Syncer(self.handheld, Client(options.server, timeout=options.timeout))
        self._backoff = Backoff(
            random.Random(f"{seed}:backoff"), most=max(10.0, options.sync_every)
        )
        cycle = options.sync_every * 8
        self._radio = Radio(random.Random(f"{seed}:radio"), options.signal, cycle)
        self._rng = random.Random(f"{seed}:walk")
        rep = Rep(f"{options.seed}:{member.name}", dials, options.habits)
        self._round = Round(self.handheld, rep, self._rng, self._pause, options.pace)
        self._next_sync = 0.0
        self._settled = False
        self._wandering = 0

    def run(self) -> None:
        """Live until stopped (or done, when asked so); ends the shift and tries a last sync."""
        try:
            if self._get_ready():
                self._work()
            self._finish()
        finally:
            self.syncer.client.close()
            self.handheld.close()

    def _get_ready(self) -> bool:
        """Enrol if needed and pull for the first time; False when stopped before that."""
        while not self._stop.is_set():
            if self._sync().error is None or self.handheld.route_points():
                return True
            self._wall.sleep(max(0.1, self._next_sync - monotonic()))
        return False

    def _enrol(self) -> SyncError | None:
        """Use the code of the plan where it is needed; the error when that did not work."""
        refused = self.handheld.store.get("token_refused")
        if self._code is None or (self.handheld.enrolled and not refused):
            return None
        try:
            self.syncer.enrol(self._code)
        except SyncError as error:
            level = logging.WARNING if error.status else logging.DEBUG
            log.log(level, "%s: not enrolled: %s", self.handheld.name, error)
            return None if self.handheld.enrolled else error
        return None

    def _work(self) -> None:
        self.handheld.start_shift()
        while not self._stop.is_set():
            stops = self.handheld.open_stops()
            if stops:
                self._settled = False
                self._visit(stops[0])
            elif self._options.until_done and self._settled and not self._unsent():
                return
            else:
                self._wander()

    def _visit(self, stop: Stop) -> None:
        item_id = self._round.visit(stop)
        if item_id:
            log.debug("%s: stop %s captured", self.handheld.name, stop.point.get("sequence"))

    def _wander(self) -> None:
        """Nothing to read: walk on along the route, look for new orders at each sync."""
        place = None if self._options.until_done else self._next_place()
        if place is None:
            live = self.handheld.clock.true.live
            self._pause(min(1.0, self._options.sync_every) if live else 60.0)
        elif self._round.walk_to(place, slowly=True):
            self._round.stand(self._rng.uniform(*WANDER_DWELL_S))

    def _next_place(self) -> Place | None:
        places = [place for point in self.handheld.route_points() if (place := place_of(point))]
        if not places:
            return None
        self._wandering = (self._wandering + 1) % len(places)
        return places[self._wandering]

    def _pause(self, seconds: float) -> bool:
        """Let time pass and sync when it is time; False ends the present walk."""
        if not self.handheld.clock.true.sleep(seconds) or self._stop.is_set():
            return False
        if not self.handheld.clock.true.live or monotonic() < self._next_sync:
            return True
        if not self._radio.has_signal(monotonic()):
            self._next_sync = monotonic() + min(1.0, self._options.sync_every)
            return True
        wandering = not self.handheld.open_stops()
        self._sync()
        return not (wandering and self.handheld.open_stops())

    def _sync(self) -> Outcome:
        error = self._enrol()
        outcome = Outcome(error=error) if error else self.syncer.sync()
        error = outcome.error
        if error is None:
            self._backoff.reset()
            self._settled = True
            wait = self._options.sync_every * self._rng.uniform(0.8, 1.2)
        else:
            wait = self._backoff.next(error.retry_after)
            log.debug("%s: sync failed: %s", self.handheld.name, error)
        self._next_sync = monotonic() + wait
        if outcome.sent:
            told = ", ".join(f"{n} {verdict}" for verdict, n in sorted(outcome.verdicts.items()))
            log.info("%s: sent %d items: %s", self.handheld.name, outcome.sent, told)
        return outcome

    def _unsent(self) -> int:
        store = self.handheld.store
        return store.unsent()[0] - store.parked() + store.photos_unsent()

    def _finish(self) -> None:
        clock = self.handheld.clock.true
        while not clock.live:
            clock.sleep(60)
        self.handheld.end_shift()
        self.syncer.client.close()
        self.syncer.client.timeout = min(self._options.timeout, LAST_SYNC_S)
        if self.handheld.enrolled:
            self.syncer.sync()
        unsent, _ = self.handheld.store.unsent()
        log.info("%s: shift ended, %d items unsent", self.handheld.name, unsent)


class Fleet:
    """Runs every member of a plan until all are done or ``stop`` is set."""

    def __init__(self, members: list[Member], options: Options, dials: Dials | None = None) -> None:
        self.stop = threading.Event()
        self.failed: list[str] = []
        self._options = options
        self._dials = dials or Dials()
        self._threads = [
            threading.Thread(target=self._live, args=(member, number), name=member.name)
            for number, member in enumerate(members)
        ]

    def run(self, duration: float | None = None) -> bool:
        """Run to the end (or for ``duration`` seconds); True when no member failed."""
        for thread in self._threads:
            thread.start()
        deadline = None if duration is None else monotonic() + duration
        while any(thread.is_alive() for thread in self._threads):
            if deadline is not None and monotonic() >= deadline:
                self.stop.set()
            for thread in self._threads:
                thread.join(0.1)
        return not self.failed

    def _live(self, member: Member, number: int) -> None:
        options = self._options
        spread = random.Random(f"{options.seed}:start:{number}").uniform(0, 1)
        if self.stop.wait(min(1.0, options.sync_every) * spread):
            return
        try:
            Life(member, options, self._dials, self.stop).run()
        except Exception:
            self.failed.append(member.name)
            log.exception("%s: the simulation of this handheld failed", member.name)
