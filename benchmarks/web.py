"""The web processes under measurement, started as in real use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTS_WITHIN = 60.0


class Failed(Exception):
    """The web processes did not start; the message ends with their log."""


def free_port() -> int:
    """A TCP port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Web:
    """The running web processes: where they answer, and their parent's process id."""

    port: int
    parent: int

    def cpu_seconds(self) -> float:
        """What all of them together have used of the processors; 0 where the system does not tell.

        On a machine that is busy with other things this is steadier than any time on the clock.
        """
        children = Path(f"/proc/{self.parent}/task/{self.parent}/children")
        if not children.exists():
            return 0.0
        return sum(map(_cpu_seconds, children.read_text().split()))


def _cpu_seconds(process: str) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def processes(url: str, folder: Path, workers: int, threads: int) -> Iterator[Web]:
    """Run gunicorn with the product's own configuration on a database.

    Raises:
        Failed: when it does not become ready.
    """
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIELDBELL_")}
    environment = kept | {
        "FIELDBELL_DATABASE_URL": url,
        "FIELDBELL_VAR_DIR": str(folder / "var"),
        "FIELDBELL_BIND": f"127.0.0.1:{port}",
        "FIELDBELL_WEB_WORKERS": str(workers),
        "FIELDBELL_WEB_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app"]
    log_file = folder / "web.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(port, process, log_file)
        yield Web(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Failed(f"the web processes do not start:\n{log.read_text(errors='replace')[-3000:]}")
