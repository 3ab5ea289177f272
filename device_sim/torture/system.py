"""The server's programs as processes: started, waited for, killed, started again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READY_WITHIN = 90.0
COMMAND_WITHIN = 900.0


class SystemFault(Exception):
    """A program of the server does not do what a run needs; the message carries its last words."""


def free_port() -> int:
    """A TCP port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class System:
    """One installation under ``folder``: its database, its web processes and its worker.

    ``checkout`` is where the programs are started; every program gets its settings from the
    environment, as in production.
    """

    folder: Path
    database_url: str
    checkout: Path
    web_workers: int = 2
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    web: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    peaks: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _key: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def url(self) -> str:
        """Where the web processes answer."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this installation; those of the caller's own do not count."""
        # Programs that are started again and again want their bytecode.
        others = ("FIELDBELL_", "PYTHONDONTWRITEBYTECODE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        return kept | {
            "FLASK_APP": "wsgi.py",
            "FIELDBELL_DATABASE_URL": self.database_url,
            "FIELDBELL_VAR_DIR": str(self.folder / "var"),
            "FIELDBELL_BIND": f"127.0.0.1:{self.port}",
            "FIELDBELL_BASE_URL": self.url,
            "FIELDBELL_WEB_WORKERS": str(self.web_workers),
            "FIELDBELL_SECRET_KEY": self._key,
            "FIELDBELL_LOG_LEVEL": "WARNING",
            **self.settings,
        }

    # Commands.

    def flask(self, *words: str, good: Sequence[int] = (0,)) -> str:
        """Run one of the product's commands to its end and return what it printed.

        Raises:
            SystemFault: when its exit code is not a good one.
        """
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "flask", *words],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN,
            check=False,
        )
        if done.returncode not in good:
            raise SystemFault(f"flask {' '.join(words)}: {done.stdout}{done.stderr}"[-4000:])
        return done.stdout

    def status(self) -> dict[str, Any]:
        """What ``flask status --json`` says."""
        found: dict[str, Any] = json.loads(self.flask("status", "--json"))
        return found

    def reconcile(self) -> dict[str, Any]:
        """What ``flask reconcile --json`` says; differences are an answer, not a failure."""
        found: dict[str, Any] = json.loads(self.flask("reconcile", "--json", good=(0, 1)))
        return found

    # Programs.

    def start_web(self) -> None:
        """Start the web processes and wait until they are ready."""
        with self._lock:
            gunicorn = ["gunicorn", "--config", "config/gunicorn.conf.py", "wsgi:app"]
            self.web = self._start("web", gunicorn)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the server says that it is ready.

        Raises:
            SystemFault: when it does not come up.
        """
        self._wait(lambda: _answers(f"{self.url}/health/ready"), "the web processes are not ready")

    def start_worker(self) -> None:
        """Start the worker."""
        with self._lock:
            self.worker = self._start("worker", ["flask", "worker"])

    def kill_web(self) -> None:
        """Kill every web process at once, as by a power cut."""
        self.note_memory()
        self._kill(self.web)

    def kill_one_web_worker(self, choose: Callable[[Sequence[int]], int]) -> None:
        """Kill one of the web processes; the others and their parent live on."""
        self.note_memory()
        children = list(_children(self.web.pid)) if self.web else []
        if children:
            with suppress(ProcessLookupError):
                os.kill(choose(children), signal.SIGKILL)

    def kill_worker(self) -> None:
        """Kill the worker."""
        self._kill(self.worker)

    def stop(self) -> None:
        """Ask every program to end, and end by force what does not."""
        self.note_memory()
        running = [p for p in (self.worker, self.web) if p is not None and p.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                self._kill(process)
        self.web = self.worker = None

    def note_memory(self) -> None:
        """Keep the largest resident size of every web process, in kilobytes."""
        if self.web is None:
            return
        for pid in (self.web.pid, *_children(self.web.pid)):
            self.peaks[pid] = max(self.peaks.get(pid, 0), _peak_kb(pid))

    def log(self, name: str, lines: int = 30) -> str:
        """The end of a program's log."""
        path = self.folder / f"{name}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def _start(self, name: str, words: Sequence[str]) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", *words],
                cwd=self.checkout,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # A group of its own, so that one signal takes all of its processes at once.
                start_new_session=True,
            )

    def _kill(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def _wait(self, what: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + READY_WITHIN
        while not what():
            if time.monotonic() > end:
                raise SystemFault(f"{otherwise}:\n{self.log('web')}")
            time.sleep(0.1)


def get_lines(url: str, token: str) -> Iterator[dict[str, Any]]:
    """The JSON lines of an address that needs a personal token."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # our own server
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        for line in answer:
            yield json.loads(line)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own server
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        yield from (int(word) for word in text.split())


def _peak_kb(pid: int) -> int:
    """The largest resident size a process ever had; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
