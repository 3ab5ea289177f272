"""The SMS centre that measurements send to, and the worker process that is measured."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from server.db import transaction
from server.notify import service

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "smpp@0.5.1"
_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """The centre cannot be had on this machine; the message says what would help."""


def install(folder: Path) -> Path:
    """Fetch the npm package into a folder of its own and give the folder. Raises Missing."""
    place = folder / "smpp"
    if not (place / "node_modules" / "smpp").exists():
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise Missing("There is no npm: install it (Debian: apt-get install npm).")
        place.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(place), "--no-audit", "--no-fund", PACKAGE]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Missing(f"npm could not fetch {PACKAGE}:\n{done.stderr[-500:]}")
        shutil.copyfile(ROOT / "benchmarks" / "sms_smsc.js", place / "smsc.js")
    return place


class Centre:
    """The SMS centre: its port, its books, and a way to have it send texts of people."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = json.loads(self._line())["port"]

    def ask(self, command: str = "count") -> dict[str, Any]:
        """Give a command and read the figures; `books` counts doubles too."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Missing("The SMS centre has ended.")
        return line


@contextmanager
def centre(folder: Path, *, reports: bool) -> Iterator[Centre]:
    """A centre of the npm package `smpp` on a free port. Raises Missing."""
    place = install(folder)
    command = [str(shutil.which("node")), "smsc.js", "reports" if reports else "silent"]
    with subprocess.Popen(
        command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Centre(process)
        finally:
            process.kill()


def set_up(port: int, **options: Any) -> None:
    """The one gateway of a round."""
    config = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "fieldbell",
        "password": "fieldbell",
        "source": "95598",
        "window": 50,
        **options,
    }
    with transaction() as session:
        service.put_gateway(session, "carrier", "smpp", config, simulated=True)


class Worker:
    """The worker process under measurement."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def processor_seconds(self) -> float:
        """Processor time it has used so far."""
        with suppress(OSError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        return 0.0

    def memory_mib(self) -> float:
        """Memory it holds now."""
        with suppress(OSError):
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return 0.0

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None


@contextmanager
def worker(url: str, folder: Path) -> Iterator[Worker]:
    """A process that does what `flask worker` does with gateways; stopped in order at the end."""
    command = [sys.executable, "-m", "benchmarks.sms_worker", url, str(folder)]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield Worker(process)
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()


def wait(seconds: float) -> None:
    """Let the others work."""
    time.sleep(seconds)
