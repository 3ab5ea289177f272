"""A GPS receiver at a serial port, used in place of the simulated one."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import datetime

from device_sim.gps import Fix, Receiver
from device_sim.serial.line import Line, LineError, parse_port
from device_sim.serial.lines import LineCutter
from device_sim.serial.nmea import LONGEST_SENTENCE, Fixes
from device_sim.walk import Place

log = logging.getLogger("device_sim")

BAUD = 9600
FRESH_S = 10.0
SILENT_S = 3.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


class SerialGps(Receiver):
    """Reads ``PORT`` or ``PORT@BAUD`` in a thread of its own; a port that went away is opened again.

    A fix is given until it is ``fresh_s`` old. Nothing here ever makes a capture wait.
    """

    def __init__(self, port: str, fresh_s: float = FRESH_S) -> None:
        self._port, self._baud = parse_port(port, BAUD)
        self._fresh_s = fresh_s
        self._fixes = Fixes()
        self._lock = threading.Lock()
        self._told: tuple[Fix, float] | None = None
        self._heard_at: float | None = None
        self._open = False
        self._stopped = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gps", daemon=True)
        self._thread.start()

    def fix(
        self, *_: Place | datetime | float | None, **__: Place | datetime | float | None
    ) -> Fix | None:
        """The receiver's latest fix unless it is too old; where the person really is plays no part."""
        with self._lock:
            told = self._told
        if told is None or time.monotonic() - told[1] > self._fresh_s:
            return None
        return told[0]

    @property
    def absence(self) -> str:
        """Why there is no fix: ``off`` (no port), ``timeout`` (nothing heard), ``no_fix``."""
        with self._lock:
            if not self._open:
                return "off"
            silent = self._heard_at is None or time.monotonic() - self._heard_at > SILENT_S
            return "timeout" if silent else "no_fix"

    def wait(self, within_s: float) -> bool:
        """Wait for a first fix, at most so long; whether there is one."""
        return self._news.wait(within_s)

    def close(self) -> None:
        """Stop listening."""
        self._stopped.set()
        self._thread.join(5)

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._stopped.is_set():
            try:
                line = Line(self._port, self._baud)
                wait = FIRST_WAIT_S
                try:
                    self._listen(line)
                finally:
                    with suppress(LineError):
                        line.close()
            except LineError as error:
                log.debug("gps: %s", error)
                self._note_open(is_open=False)
                self._stopped.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)

    def _listen(self, line: Line) -> None:
        self._note_open(is_open=True)
        cutter = LineCutter(LONGEST_SENTENCE)
        while not self._stopped.is_set():
            for sentence in cutter.feed(line.read(0.2)):
                self._take(sentence)

    def _take(self, sentence: bytes) -> None:
        heard = self._fixes.sentences
        fix = self._fixes.feed(sentence)
        now = time.monotonic()
        with self._lock:
            if self._fixes.sentences > heard:
                self._heard_at = now
            if fix is not None:
                self._told = fix, now
            elif self._fixes.latest is None:
                self._told = None
        if fix is not None:
            self._news.set()

    def _note_open(self, *, is_open: bool) -> None:
        with self._lock:
            self._open = is_open
            if not is_open:
                self._heard_at = None
