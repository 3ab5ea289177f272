"""Real processes for end-to-end tests: started on free ports, waited for, always stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import SECRET_KEY
from tests.ports import own_port
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """The processes of one test with a log file each."""

    folder: Path
    database_url: str
    web_port: int = field(default_factory=own_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this test's installation."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FIELDBELL_")}
        return kept | {
            "FLASK_APP": "wsgi.py",
            "FIELDBELL_DATABASE_URL": self.database_url,
            "FIELDBELL_SECRET_KEY": SECRET_KEY,  # gateways' passwords are sealed with it
            "FIELDBELL_VAR_DIR": str(self.folder / "var"),
            "FIELDBELL_BIND": f"127.0.0.1:{self.web_port}",
            "FIELDBELL_BASE_URL": self.base_url,
            "FIELDBELL_WEB_WORKERS": "1",
            "PYTHONPATH": str(ROOT),
        }

    def start(
        self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to ``<name>.log`` in the test's folder."""
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | dict(more or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        self.running[name] = process
        return process

    def start_web(self) -> None:
        """Start the web processes and wait until they are ready."""
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app"]
        self.start("web", gunicorn)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the server says that it is ready."""
        wait_until(lambda: status_of(f"{self.base_url}/health/ready") == 200)

    def start_worker(self) -> None:
        """Start the worker process."""
        self.start("worker", [sys.executable, "-m", "flask", "worker"])

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def flask(self, *arguments: str, check: bool = True) -> str:
        """Run one of our commands."""
        return self.run(sys.executable, "-m", "flask", *arguments, check=check)

    def status(self) -> dict[str, Any]:
        """What ``flask status --json`` says."""
        document: dict[str, Any] = json.loads(self.flask("status", "--json", check=False))
        return document

    def handheld(self, *arguments: str) -> dict[str, Any]:
        """Run the simulated handheld as a process of its own."""
        command = [sys.executable, "-m", "device_sim", "handheld", "--json"]
        state = ["--state", str(self.folder / "handheld"), "--server", self.base_url]
        document: dict[str, Any] = json.loads(self.run(*command, *state, *arguments))
        return document

    def stop(self) -> None:
        """End every process, the hard way when it does not end by itself."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)

    def logs(self) -> str:
        """The end of every log, for a failing test's report."""
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}"
            for file in sorted(self.folder.glob("*.log"))
        )


def status_of(url: str) -> int:
    """The HTTP status of an address; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def get_json(url: str) -> Any:
    """The JSON an address answers with."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)
