"""Start the demo: `make run`.

Brings the database up to date, loads the demo when it is new, and runs the web processes, the worker,
the simulated SMSC with customers' phones and the simulated handhelds until Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from scripts.processes import Group, end_leftovers

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path("var/demo")
PHONES = "http://127.0.0.1:2780"
SMSC_PORTS = (2775, 2780)
READY_WITHIN = 60.0
# Slow enough to be watched on the map, quick enough that the first bill is texted within a minute.
WALK = ("--pace", "6", "--sync-every", "10")


class CannotStart(Exception):
    """The demo cannot start; the message says why and what to do."""


def main() -> int:
    """Run the demo until it is told to stop; 0 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port of the web pages")
    port: int = parser.parse_args().port
    os.chdir(ROOT)
    DEMO.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with (DEMO / "run.pid").open("a+") as lock:
            _be_the_only_one(lock)
            try:
                return _run(port)
            finally:
                lock.truncate(0)
    except CannotStart as reason:
        print(f"\n{reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _run(port: int) -> int:
    """Prepare the data, start the programs and wait; returns the exit status."""
    base_url = f"http://127.0.0.1:{port}"
    if end_leftovers(DEMO / "processes.json"):
        print("Ended the programs that an earlier start had left behind.", flush=True)
        _wait_for_free_ports(port)
    _ask_for_free_ports(port)
    env = _environment(port, base_url)
    _prepare(env)
    group = Group(env, DEMO / "processes.json")
    try:
        _start_all(group, base_url)
        print(_banner(base_url), flush=True)
        while (name := group.ended()) is None:
            time.sleep(0.3)
        print(f"\n{name} has ended by itself; its last lines are in {_log(name)}.", flush=True)
        return 1
    finally:
        # Stopping must not be interrupted half-way; a second Ctrl-C is not lost, only late.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nStopping …", flush=True)
        group.stop()
        print(
            "Stopped. The data stays in var/; `make run` goes on with it, `make clean` forgets it."
        )


def _start_all(group: Group, base_url: str) -> None:
    simulator = [sys.executable, "-m", "device_sim"]
    gunicorn = ["gunicorn", "--config", "config/gunicorn.conf.py", "wsgi:app"]
    people = ["--people", "device_sim/smsc/people.json"]
    group.start("smsc", [*simulator, "smsc", *people], _log("smsc"))
    group.start("web", gunicorn, _log("web"), _only_trouble)
    _wait_until_ready(group, f"{base_url}/health/ready")
    group.start("worker", ["flask", "worker"], _log("worker"), _only_trouble)
    fleet = ["fleet", "--plan", str(DEMO / "fleet.json"), "--state", str(DEMO / "fleet"), *WALK]
    group.start("fleet", [*simulator, *fleet], _log("fleet"))


def _prepare(env: Mapping[str, str]) -> None:
    """Bring the database up to date and put the demo into it when it is new."""
    print("Preparing the database and the demo …", flush=True)
    prepared = subprocess.run(
        [sys.executable, "-m", "scripts.prepare_demo"],
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if prepared.returncode:
        raise CannotStart(f"{prepared.stdout}\nThe demo's data cannot be prepared.")


def _environment(port: int, base_url: str) -> dict[str, str]:
    """What the programs find in their environment: ours, with the demo's address."""
    return {
        **os.environ,
        "FIELDBELL_BIND": f"127.0.0.1:{port}",
        "FIELDBELL_BASE_URL": base_url,
        "FLASK_APP": "wsgi.py",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def _be_the_only_one(lock: IO[str]) -> None:
    """Hold the demo's lock for as long as this process lives.

    Raises:
        CannotStart: when another start of the demo holds it.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise CannotStart(f"The demo is running already (process {lock.read().strip()}).") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _wait_for_free_ports(port: int) -> None:
    """Give the last of the ended programs a moment to let go of its port."""
    end = time.monotonic() + 3
    while time.monotonic() < end and not all(_is_free(n) for n in (port, *SMSC_PORTS)):
        time.sleep(0.1)


def _ask_for_free_ports(port: int) -> None:
    """See that nobody listens where the demo wants to.

    Raises:
        CannotStart: with the port that is taken.
    """
    if not _is_free(port):
        raise CannotStart(f"Port {port} is in use. Choose another: make run PORT={port + 80}")
    for number in SMSC_PORTS:
        if not _is_free(number):
            raise CannotStart(f"Port {number}, which the simulated SMSC needs, is in use.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_ready(group: Group, url: str) -> None:
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        if name := group.ended():
            raise CannotStart(f"{name} does not start; its last lines are in {_log(name)}.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise CannotStart(f"The web pages are not ready: {url} says so. See {_log('web')}.")


def _only_trouble(line: str) -> str | None:
    """The sentence of a warning or an error; the rest of a log is in its file."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None if line.startswith("[") and "[INFO]" in line else line
    if isinstance(entry, dict) and entry.get("level", "").upper() in (
        "WARNING",
        "ERROR",
        "CRITICAL",
    ):
        return f"{entry['level']} {entry.get('message', entry)}"
    return None


def _banner(base_url: str) -> str:
    file = DEMO / "sign-ins.json"
    sign_ins = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    people = "\n".join(
        f"    {person['username']:<12} {person['password']:<16} {person['role']}"
        for person in sign_ins
    )
    rule = "─" * min(72, shutil.get_terminal_size().columns)
    return (
        f"\n{rule}\n  Fieldbell is running:   {base_url}\n  The customers' phones:  {PHONES}\n"
        f"\n  Sign in as   (the demo's own sign-ins)\n{people}\n\n"
        f"  Logs are in {DEMO}/log. Ctrl-C stops everything; the data stays.\n{rule}\n"
    )


def _log(name: str) -> Path:
    return DEMO / "log" / f"{name}.log"


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
