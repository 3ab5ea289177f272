"""How gunicorn runs the web processes; every value comes from the settings.

``gunicorn --config config/gunicorn.conf.py wsgi:app`` starts it, as the Procfile does.
"""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from config.settings import Settings

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

_settings = Settings.from_env()

bind = _settings.bind
workers = _settings.web_workers
threads = _settings.web_threads
worker_class = "gthread"
forwarded_allow_ips = "*" if _settings.trusted_proxies else "127.0.0.1"
# A push of the largest size on a slow disk stays far below this; a stop lets requests under way finish.
timeout = 120
graceful_timeout = 20
keepalive = 15
# Workers touch this file all the time; memory is kinder than a disk that is busy with the database.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its own file there
# Two installations of one user must not fight for one socket in his home.
control_socket_disable = True
proc_name = "fieldbell-web"
loglevel = _settings.log_level.lower()
# The application writes one line per request itself.
accesslog = None

# Several processes count together: prometheus-client keeps their figures in files of this folder.
_metrics_dir = _settings.var_dir / "metrics"
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_dir)


def on_starting(server: Arbiter) -> None:
    """Forget the figures of processes that no longer exist, before any worker starts."""
    shutil.rmtree(_metrics_dir, ignore_errors=True)
    _metrics_dir.mkdir(parents=True)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Have every web process write its log as JSON lines, and look for garbage less often.

    What the application is made of lives as long as the process, and a request leaves no cycles
    behind that matter; looking through everything again and again took a tenth of its time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    from server import logs  # noqa: PLC0415 - a process of its own from here on

    logs.to_stdout(_settings.log_level)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Drop the live figures of a worker that has ended; its counters stay counted."""
    # Imported late: prometheus-client looks for the folder when it is first imported.
    from prometheus_client import multiprocess  # noqa: PLC0415

    multiprocess.mark_process_dead(worker.pid)
