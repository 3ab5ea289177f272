"""A handheld that lives through the days of a run, and whose battery is pulled between any two steps.

A pull is a ``BaseException`` raised at a step: everything in memory is dropped, the files are closed
as the system closes those of a killed program, and the handheld is switched on again from its folder.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from device_sim.gps import Gps, GpsFaults
from device_sim.handheld import Handheld, Stop
from device_sim.photos import take
from device_sim.protocol import Client, RefusedError, SyncError, UnauthorizedError
from device_sim.radio import Radio
from device_sim.rep import Dials, Habits, Rep
from device_sim.round import Round
from device_sim.syncer import Backoff, Outcome, Syncer
from device_sim.torture.plan import FIRST, PHOTO, Carrier, Day, Kill
from device_sim.walk import Place

HABITS = Habits(skip=0.03, fat_finger=0.03)
CARELESS = Habits(skip=0.05, fat_finger=0.15, hasty=0.7)
RECEIVER = GpsFaults(no_fix=0.03, jump=0.02, stale=0.02, zero=0.01, cold_start_s=60)
CYCLE_S = 600.0
YEAR_S = -365 * 86_400.0
OLD_PROTOCOL = 0
PHOTO_SHARE = 0.1
YARD = Place(31.2320, 121.4720)


class BatteryPulled(BaseException):
    """The handheld is off this instant; nothing but its files is left."""


class LivedClock:
    """Time as lived on the rounds, in the past of the wall clock; during a sync it is now."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self.meeting = False

    def now(self) -> datetime:
        """The time lived, or the present while the handheld speaks to the server."""
        return datetime.now(UTC) if self.meeting else self._now

    def sleep(self, seconds: float) -> bool:
        """Live through some seconds at once."""
        self._now += timedelta(seconds=max(0.0, seconds))
        return True

    def until(self, moment: datetime) -> None:
        """Live on to a moment; time never goes back."""
        self._now = max(self._now, moment)

    @property
    def live(self) -> bool:
        """A run waits for nothing."""
        return True


class Device:
    """One handheld and its person. A thread that uses it does so within ``switched_on``."""

    def __init__(
        self, carrier: Carrier, folder: Path, url: str, dials: Dials, seed: int, start: datetime
    ) -> None:
        self.carrier = carrier
        self.folder = folder
        self.code = ""
        self._replaced = False
        self.pulled: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._url = url
        self._dials = dials
        self._seed = f"torture:{seed}:{carrier.name}:{folder.name}"
        self._rng = random.Random(self._seed)
        self._radio = Radio(random.Random(f"{self._seed}:radio"), carrier.signal, CYCLE_S)
        self._clock = LivedClock(start)
        self._kills: deque[Kill] = deque()
        self._passed = 0
        self._awake = False
        self._battery_was_out = False
        self._offline = False

    @property
    def kills_left(self) -> int:
        """How many pulls are still to come."""
        return len(self._kills)

    def hand_over(self, other: Device) -> None:
        """Let another handheld of the same person take the kills from now on, and those left."""
        self._replaced = True
        other._kills.extend(self._kills)
        self._kills.clear()

    # Power.

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Switch on for the block, and off in good order after it."""
        self._boot()
        try:
            yield
        finally:
            self._awake = False
            self.client.close()
            self.handheld.close()

    def _boot(self) -> None:
        self._awake = True
        gps = Gps(random.Random(f"{self._seed}:gps:{self._passed}"), RECEIVER)
        self.handheld = Handheld(self.folder, self._clock, gps, name=self.carrier.name)
        self.handheld.clock.offset_s = self._offset_s()
        if self.carrier.profile == "fast_clock":
            self.handheld.clock.drift_ppm = 60.0
        self.client = Client(self._url, timeout=20)
        self.syncer = Syncer(self.handheld, self.client)
        careless = self.carrier.profile == "careless"
        rep = Rep(self._seed, self._dials, CARELESS if careless else HABITS)
        self._round = Round(self.handheld, rep, self._rng, self._clock.sleep)
        for part in (self.handheld.store, self.handheld.witness, self.client):
            part.step = self._step

    def _offset_s(self) -> float:
        """How wrong the clock is after switching on; one handheld forgets the year without battery."""
        if self.carrier.profile == "year_off":
            return YEAR_S
        if self.carrier.profile == "fast_clock":
            return 240.0
        if self.carrier.profile == "dead_clock" and self._battery_was_out:
            return -self._clock.now().timestamp()
        return 0.0

    def _step(self, name: str) -> None:
        if not self._awake or not self._kills or self._kills[0].point != name:
            return
        self._passed += 1
        if self._passed < self._kills[0].nth:
            return
        self._passed = 0
        self._kills.popleft()
        self.pulled[name] += 1
        raise BatteryPulled(name)

    def _drop_dead(self) -> None:
        """Close the files as the system closes those of a killed program."""
        self.client.close()
        self.handheld.store.close()
        self.handheld.witness.close()

    def surviving(self, what: Callable[[], None]) -> None:
        """Do something again and again until the battery stays in."""
        while True:
            try:
                what()
            except BatteryPulled:
                self._drop_dead()
                self._battery_was_out = True
                self._boot()
            else:
                return

    # A day.

    def live(self, day: Day, morning: datetime, busy: Callable[[], bool], end: float) -> None:
        """Live a day: pull, read the round, sync, and go on a little while kills are left.

        ``busy`` says that the server's kills of the day are not done; ``end`` is when to stop
        waiting for any, by the monotonic clock.
        """
        number = self.carrier.number
        mine = () if self._replaced else day.device_kills
        kills = [kill for kill in mine if kill.victim == number]
        # Steps that come once in a life stand first, in the order of life.
        self._kills.extend(sorted(kills, key=lambda kill: _place(kill.point)))
        self._offline = number in day.silent
        backoff = Backoff(random.Random(f"{self._seed}:backoff:{day.number}"), 0.05, 1.0)
        self._clock.until(morning)
        self.surviving(lambda: self._morning(day, backoff, end))
        self.surviving(lambda: self._work(day))
        self.surviving(lambda: self._evening(day, backoff, end))
        while time.monotonic() < end and (self._kills or (busy() and not self._offline)):
            self.surviving(self._overtime)

    def _morning(self, day: Day, backoff: Backoff, end: float) -> None:
        self._start_day(day)
        if not self.handheld.enrolled:
            self._persist(self._enrol, backoff, end)
        if not self._offline:
            self._persist(self._sync, backoff, end)

    def _start_day(self, day: Day) -> None:
        old = self.carrier.number in day.old
        self.client.protocol = OLD_PROTOCOL if old else type(self.client).protocol

    def _work(self, day: Day) -> None:
        self._start_day(day)
        self.handheld.start_shift()
        for stop in self.handheld.open_stops():
            self._visit(stop)
            if not day.rush and self._rng.random() < self.carrier.eager:
                self._sync()

    def _visit(self, stop: Stop) -> None:
        self._round.visit(stop)
        if self._rng.random() < PHOTO_SHARE:
            self._note("表计照片", with_photo=True)
        if self.carrier.profile != "careless":
            return
        chance = self._rng.random()
        if chance < 0.1:
            self._clock.sleep(40)
            self._read_again(stop, stop.meter_serial)
        elif chance < 0.2:
            self._clock.sleep(40)
            self._read_again(stop, "M-somebody-else")

    def _note(self, text: str, *, with_photo: bool) -> None:
        photos = [take(self._rng)] if with_photo else []
        self.handheld.capture("note.v1", {"text": text, "subject": None}, photos=photos)

    def _read_again(self, stop: Stop, serial: str | None) -> None:
        true = self._dials.at(stop.meter_serial or "", "total", self._clock.now())
        if true is not None:
            entry = [{"kind": "total", "value": str(int(true))}]
            self.handheld.read(stop, entry, meter_serial=serial)

    def _evening(self, day: Day, backoff: Backoff, end: float) -> None:
        self._start_day(day)
        self.handheld.end_shift()
        if not self._offline:
            self._persist(self._sync, backoff, end)

    def _overtime(self) -> None:
        """Something small to store and to send, so that every step is passed."""
        self._clock.sleep(30)
        wanted = bool(self._kills) and self._kills[0].point in PHOTO
        self._note("加班", with_photo=wanted)
        for _ in range(10):
            # Who has no stops any more stands in the yard.
            self.handheld.stand(self.handheld.place or YARD)
            self._clock.sleep(1)
        self.handheld.flush_track()
        if not self._offline:
            self._sync(always=True)
        time.sleep(0.02 if self._kills else 0.3)

    # Speaking to the server.

    def _persist(self, what: Callable[[], SyncError | None], backoff: Backoff, end: float) -> None:
        """Try until it worked, was refused for good, or the day is over."""
        backoff.reset()
        while (error := what()) is not None and error.retry and time.monotonic() < end:
            time.sleep(backoff.next(error.retry_after))

    def _enrol(self) -> SyncError | None:
        with self._meeting():
            try:
                self.syncer.enrol(self.code)
            except SyncError as error:
                return error
        return None

    def _sync(self, *, always: bool = False) -> SyncError | None:
        """One sync, when there is signal; the failure that ended it."""
        signal = self._radio.has_signal(self._clock.now().timestamp())
        if not always and not signal:
            self._clock.sleep(CYCLE_S / 4)
        return self._outcome().error

    def _outcome(self) -> Outcome:
        with self._meeting():
            outcome = self.syncer.sync()
        if outcome.error is not None:
            self.outcomes[outcome.error.code or type(outcome.error).__name__] += 1
        elif self.carrier.profile == "dead_clock":
            self._battery_was_out = False
            self.handheld.clock.offset_s = 0.0
        return outcome

    def _meeting(self) -> _Meeting:
        return _Meeting(self._clock)

    # The end of a run.

    def drain(self, end: float) -> str | None:
        """Send everything over a good link; what is wrong when that does not work in time."""
        self._kills.clear()
        self._offline = False
        self.client.protocol = type(self.client).protocol
        wait = 0.1
        while True:
            outcome = self._outcome()
            store = self.handheld.store
            waiting = len(store.photos_waiting()) + store.track_waiting()
            unsent = store.unsent()[0] + waiting
            error = outcome.error
            at_home = error is None or isinstance(error, (UnauthorizedError, RefusedError))
            if not unsent and at_home:
                return None
            store.unpark()
            if time.monotonic() > end:
                return f"{self.folder.name}: {unsent} items, photos and points unsent: {error}"
            time.sleep(wait)
            wait = min(2.0, wait * 1.5)


def _place(point: str) -> int:
    return FIRST.index(point) if point in FIRST else len(FIRST)


class _Meeting:
    """While it lasts, the handheld's time is the present."""

    def __init__(self, clock: LivedClock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._clock.meeting = True

    def __exit__(self, *_: object) -> None:
        self._clock.meeting = False


def in_threads(tasks: Sequence[Callable[[], None]]) -> list[str]:
    """Run tasks side by side to their end; the failures of the simulation itself."""
    failures: list[str] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001  # told at the end of the run, the others go on
            failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        with suppress(RuntimeError):
            thread.join()
    return failures
