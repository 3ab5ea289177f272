"""A web process that dies between commit and answer: the way of faults, for one test.

Serves the real application; the first push is stored and committed, and before its answer can
leave the process is killed by the kernel, as by a power cut.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from werkzeug.serving import make_server

from config.settings import Settings
from server.app import create_app
from server.sync import push


def die(*_: Any) -> NoReturn:
    """Be killed, with no chance to clean up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(1)


if __name__ == "__main__":
    push.answer_body = die  # type: ignore[assignment]
    make_server("127.0.0.1", int(sys.argv[1]), create_app(Settings.from_env())).serve_forever()
