"""The gateways' part of `flask worker` as a process of its own: `python -m benchmarks.sms_worker URL FOLDER`."""

from __future__ import annotations

import cProfile
import os
import signal
import sys
import threading
from pathlib import Path

from config.settings import Settings
from server.app import create_app
from server.notify.dispatch import run_gateways
from server.notify.dispatch.runner import Runner


def main(url: str, folder: Path) -> None:
    """Run until SIGTERM; with BENCH_PROFILE the runners' threads are profiled into that file."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app = create_app(Settings(database_url=url, var_dir=folder / "var", secret_key="-" * 32))
    profile = os.environ.get("BENCH_PROFILE")
    if profile:
        _profile(profile)
    run_gateways(app, stop)


def _profile(file: str) -> None:
    plain = Runner._run  # noqa: SLF001 - the thread's whole work

    def run(self: Runner) -> None:
        profiler = cProfile.Profile()
        profiler.runcall(plain, self)
        profiler.dump_stats(file)

    Runner._run = run  # type: ignore[method-assign]  # noqa: SLF001


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
