"""A worker's commands as a process of its own, in small turns, to be killed at any moment."""

from __future__ import annotations

import sys
import time

from config.settings import Settings
from server.app import create_app
from server.commands import runner
from server.commands.rules.replies import Limits

if __name__ == "__main__":
    settings = Settings(
        database_url=sys.argv[1], secret_key="a key that only tests know, long enough"
    )
    commands = runner.Commands(create_app(settings), Limits(), most=5)
    commands.start()
    while True:
        time.sleep(1)
