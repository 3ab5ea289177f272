"""Run several programs as one: start, tell their lines apart, stop all when one ends or somebody says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

COLOURS = (36, 33, 32, 35, 34)
STOPS_WITHIN = 10.0


class Group:
    """Programs that live and die together.

    Their process ids are kept in a file, so that the next start finds and ends what a killed one left.
    """

    def __init__(self, env: Mapping[str, str], records: Path) -> None:
        self._env = dict(env)
        self._records = records
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        shows: Callable[[str], str | None] = str,
    ) -> None:
        """Start a program; every line goes to its log, and what ``shows(line)`` returns to the terminal."""
        process = subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C in the terminal reaches only us; the programs are stopped in their order.
            start_new_session=True,
        )
        prefix = _prefix(name, len(self._running))
        self._running[name] = process
        self._record()
        reader = threading.Thread(target=_relay, args=(process, prefix, log, shows), daemon=True)
        reader.start()
        self._readers.append(reader)

    def ended(self) -> str | None:
        """The name of a program that has ended by itself, if one has."""
        return next((n for n, process in self._running.items() if process.poll() is not None), None)

    def stop(self) -> None:
        """Stop the programs one after another, the last started first; end by force what does not stop."""
        for name, process in reversed(self._running.items()):
            _signal(process.pid, signal.SIGTERM)
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                print(f"{name} does not stop; it is ended by force.", flush=True)
                _signal(process.pid, signal.SIGKILL)
                process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        self._records.unlink(missing_ok=True)

    def _record(self) -> None:
        started = {p.pid: _started(p.pid) for p in self._running.values()}
        self._records.parent.mkdir(parents=True, exist_ok=True)
        self._records.write_text(json.dumps(started), encoding="utf-8")


def end_leftovers(records: Path) -> list[int]:
    """End the programs of an earlier start that was itself killed; return their process ids."""
    if not records.exists():
        return []
    ended: list[int] = []
    with suppress(ValueError):
        for pid, start in json.loads(records.read_text(encoding="utf-8")).items():
            # A process id may belong to somebody else by now.
            if start and _started(int(pid)) == start:
                _signal(int(pid), signal.SIGKILL)
                ended.append(int(pid))
                _wait_until_gone(int(pid), start)
    records.unlink(missing_ok=True)
    return ended


def _wait_until_gone(pid: int, start: str) -> None:
    """Give the system a moment to take back what a killed program held, its ports above all."""
    end = time.monotonic() + STOPS_WITHIN
    while time.monotonic() < end and _started(pid) == start:
        time.sleep(0.05)


def _started(pid: int) -> str:
    """When a running process was started, in the system's own words; empty when there is none."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state[0] == "Z" else state[19]
    with suppress(OSError):
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return ""


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a program and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _prefix(name: str, number: int) -> str:
    label = f"{name:>6} │ "
    return f"\033[{COLOURS[number % len(COLOURS)]}m{label}\033[0m" if sys.stdout.isatty() else label


def _relay(
    process: subprocess.Popen[str], prefix: str, log: Path, shows: Callable[[str], str | None]
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            shown = shows(line.rstrip("\n"))
            if shown:
                print(prefix + shown, flush=True)
